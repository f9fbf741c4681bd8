import '../trampoline_main.ts';
