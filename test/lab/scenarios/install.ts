import '../install_main.ts';
