import {readdirSync,readFileSync} from 'node:fs';
import { createConnection } from 'node:net';
import { plainServer } from './server.ts';
import { Session } from '../../agent/checks/wire/session.ts';
import { startup, query, terminate } from '../../agent/checks/wire/messages.ts';
import { sleep, systemClock } from '../../agent/platform/clock.ts';
import { Runner } from '../../agent/checks/runner.ts';
import { systemTimers } from '../../agent/checks/timers.ts';
import { pass } from '../../agent/checks/port.ts';
const server = await plainServer('127.0.0.71');
await server.start();
const path = `${server.target.socketDir}/.s.PGSQL.${server.target.port}`;
const pre = Buffer.concat([startup({user:'postgres',database:'postgres',application_name:'x',search_path:'pg_catalog'}), query('select 1'), terminate]);
const bare = () => new Promise<void>((res) => {
  const s = createConnection({ path });
  s.on('data', (d) => { if (d.includes('SELECT 1')) { s.destroy(); res(); } });
  s.on('error', () => {});
  s.write(pre);
});
const threads=()=>Object.fromEntries(readdirSync('/proc/self/task').map(t=>[t, [readFileSync(`/proc/self/task/${t}/comm`,'utf8').trim(), Number(readFileSync(`/proc/self/task/${t}/schedstat`,'utf8').split(' ')[0])/1e6]]));
async function measure(what: string, ms: number): Promise<void> {
  const b=threads() as any; await sleep(ms); const a=threads();
  const d=Object.entries(a).map(([t,[c,v]]:any)=>[c,(v-(b[t]?.[1]??0))/ms*1000] as const);
  console.log(what.padEnd(20), 'sum', d.reduce((s,x)=>s+x[1],0).toFixed(2), d.filter(x=>x[1]>0.01).map(([c,v])=>`${c}:${v.toFixed(2)}`).join(' '));
}
const log:any={warn(){},info(){}};
const S={group:'database',every:1000,ttl:5000,critical:true,rise:2,fall:3} as any;
const runnerOf=(fs:Record<string,()=>Promise<unknown>>)=>new Runner({checks:Object.entries(fs).map(([n,f])=>({check:{name:n as any,run:async()=>{await f();return pass('x')}},settings:S,limit:750})),failFast:true,role:()=>'active',clock:systemClock,timers:systemTimers,log});
const none=async()=>{};
const variants: Record<string, ()=>()=>void> = {
  nothing: ()=>()=>{},
  interval: ()=>{const t=setInterval(()=>{},1000); return ()=>clearInterval(t)},
  runner2none: ()=>{const r=runnerOf({postgres_port:none,postgres_select:none}); r.start(); return ()=>r.stop()},
  intervalBare: ()=>{const t=setInterval(()=>void bare(),1000); return ()=>clearInterval(t)},
  intervalOnce: ()=>{const t=setInterval(()=>void Session.once(server.target,'select 1',new AbortController().signal),1000); return ()=>clearInterval(t)},
  runnerOnce: ()=>{const r=runnerOf({postgres_select:()=>Session.once(server.target,'select 1',new AbortController().signal)}); r.start(); return ()=>r.stop()},
};
for (let i=0;i<300;i++) { await bare(); await Session.once(server.target,'select 1',new AbortController().signal); }
for (let r=0;r<2;r++) for (const [k,f] of Object.entries(variants)) { const stop=f(); await sleep(1000); await measure(k,15000); stop(); }
await server.end(); process.exit(0);
