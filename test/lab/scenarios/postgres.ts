import '../postgres_main.ts';
