import '../systemd_main.ts';
