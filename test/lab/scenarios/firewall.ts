import '../firewall_main.ts';
