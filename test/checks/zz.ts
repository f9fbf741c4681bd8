import { plainServer } from './server.ts';
import { Session } from '../../agent/checks/wire/session.ts';
import { postgresPort } from '../../agent/checks/postgres_port.ts';
import { sleep } from '../../agent/platform/clock.ts';
const server = await plainServer('127.0.0.71');
await server.start();
const sig = new AbortController().signal;
const port = postgresPort(server.target, {fence:()=>'open'});
const fns: Record<string, ()=>Promise<unknown>> = { 
  select: ()=>Session.once(server.target,'select 1', new AbortController().signal),
  port: ()=>port.run({ms:750, signal:new AbortController().signal}),
  both: ()=>Promise.all([Session.once(server.target,'select 1', new AbortController().signal), port.run({ms:750, signal:new AbortController().signal})]),
  nothing: async()=>{},
};
async function m(what:string,n:number,gap:number,f:()=>Promise<unknown>){
  const b=process.cpuUsage(); const t=performance.now();
  for(let i=0;i<n;i++){ await f(); if(gap) await sleep(gap);}
  const a=process.cpuUsage(b); console.log(what, 'gap',gap,'user',(a.user/1000/n).toFixed(3),'sys',(a.system/1000/n).toFixed(3),'ms/op', 'wall', ((performance.now()-t)/n).toFixed(1));
}
for (const [k,f] of Object.entries(fns)) await m(k,50,0,f);
for (let r=0;r<2;r++) for (const k of ['nothing','select','port','both']) await m(k,15,1000,fns[k]!);
await server.end(); process.exit(0);
