/**
 * A call as root over a socket: asked once, and never a failure taken for done. The other end is the real one
 * where that is said.
 */
import { afterEach, describe, expect, test } from 'bun:test';
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createTrampoline } from '../../../agent/roles/root/call.ts';
import { callOverSocket } from '../../../agent/roles/root/socket.ts';
import { root as top } from '../../structure/files.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'root-socket-'));
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** `turn`: the how many-th connection, from 1 on. */
async function listen(path: string, on: (socket: Socket, turn: number) => void): Promise<Server> {
  let turn = 0;
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {});
    on(socket, ++turn);
  });
  cleanups.push(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  await new Promise<void>((done) => server.listen(path, done));
  return server;
}

const WORDS = ['service', 'stop', 'a.service'];
const call = (path: string, more = {}) =>
  callOverSocket({ path, words: WORDS, deadline: 30_000, beginWithin: 20_000, ...more });
const OK = '{"code":0,"stdout":"done\\n","stderr":""}\n';

/** Greets, and answers the first whole line; `heard` has what came. */
const honest =
  (heard: string[] = [], answer = OK) =>
  (socket: Socket) => {
    socket.write('ready\n');
    socket.once('data', (bytes) => {
      heard.push(bytes.toString());
      socket.end(answer);
    });
  };

describe('root is not asked over a socket', () => {
  test('where there is no folder for it, or none that this user may enter', async () => {
    expect(await call(join(folder(), 'none', 'call.sock'))).toBeUndefined();
    const shut = join(folder(), 'shut');
    mkdirSync(shut);
    chmodSync(shut, 0o600);
    // Root itself enters every folder.
    if (process.getuid?.() !== 0) expect(await call(join(shut, 'call.sock'))).toBeUndefined();
  });

  test('where the folder is empty and stays so', async () => {
    expect(await call(join(folder(), 'call.sock'))).toBeUndefined();
  });
});

describe('an answer', () => {
  test('is the trampoline’s, and the question says by when it is to be begun', async () => {
    const path = join(folder(), 'call.sock');
    const heard: string[] = [];
    await listen(path, honest(heard));
    expect(await call(path)).toMatchObject({ code: 0, stdout: 'done\n', stderr: '' });
    expect(heard).toHaveLength(1);
    const { until, call: words } = JSON.parse(heard[0] ?? '');
    expect(words).toEqual(WORDS);
    expect(until).toBeGreaterThan(0);
    expect(heard[0]?.endsWith('\n')).toBe(true);
  });

  test('in pieces is put together', async () => {
    const path = join(folder(), 'call.sock');
    await listen(path, (socket) => {
      socket.write('rea');
      setTimeout(() => socket.write('dy\n'), 20);
      socket.once('data', () => {
        socket.write(OK.slice(0, 9));
        setTimeout(() => socket.end(OK.slice(9)), 20);
      });
    });
    expect(await call(path)).toMatchObject({ code: 0, stdout: 'done\n' });
  });

  test('of two at once goes to each its own', async () => {
    const path = join(folder(), 'call.sock');
    await listen(path, (socket) => {
      socket.write('ready\n');
      socket.once('data', (bytes) => {
        const word = JSON.parse(bytes.toString()).call[0];
        setTimeout(
          () => socket.end(`${JSON.stringify({ code: 0, stdout: word, stderr: '' })}\n`),
          word === 'a' ? 60 : 5,
        );
      });
    });
    const [a, b] = await Promise.all([call(path, { words: ['a'] }), call(path, { words: ['b'] })]);
    expect([a?.stdout, b?.stdout]).toEqual(['a', 'b']);
  });
});

describe('asked again', () => {
  test('while nobody listens yet, and while those who come are hung up on', async () => {
    const path = join(folder(), 'call.sock');
    // What a socket is that nobody listens on any more, to whoever connects.
    writeFileSync(path, '');
    const asked = call(path, { beginWithin: 25_000 });
    const heard: string[] = [];
    await Bun.sleep(100);
    rmSync(path);
    await listen(path, (socket, turn) => (turn < 4 ? socket.destroy() : honest(heard)(socket)));
    expect(await asked).toMatchObject({ code: 0 });
    expect(heard).toHaveLength(1);
  });

  test('no longer than it may take to begin: nothing was done then, and that is said', async () => {
    const path = join(folder(), 'call.sock');
    await listen(path, (socket) => socket.destroy());
    const result = await call(path, { beginWithin: 200 });
    expect(result?.code).toBeUndefined();
    expect(result?.ended).toBeUndefined();
    expect(result?.stderr).toContain('nothing was done');
  });

  test('by nobody who was heard: what became of it is not known', async () => {
    const path = join(folder(), 'call.sock');
    let turns = 0;
    await listen(path, (socket, turn) => {
      turns = turn;
      socket.write('ready\n');
      socket.once('data', () => socket.destroy());
    });
    const result = await call(path);
    expect([result?.code, turns]).toEqual([undefined, 1]);
    expect(result?.stderr).toContain('it may have been done');
  });
});

describe('given up', () => {
  test('at the deadline, when the answer does not come', async () => {
    const path = join(folder(), 'call.sock');
    await listen(path, (socket) => void socket.write('ready\n'));
    expect(await call(path, { deadline: 3000 })).toMatchObject({ ended: 'deadline' });
  });

  test('before it was asked, when nobody greets: the question is not left behind', async () => {
    const path = join(folder(), 'call.sock');
    const heard: string[] = [];
    const gone = Promise.withResolvers<void>();
    await listen(path, (socket) => {
      socket.on('data', (bytes) => void heard.push(bytes.toString()));
      socket.on('close', () => gone.resolve());
      socket.resume();
    });
    expect((await call(path, { beginWithin: 200 }))?.stderr).toContain('nothing was done');
    await gone.promise;
    expect(heard).toEqual([]);
  });
});

for (const [what, answer] of [
  ['no JSON', 'fine\n'],
  ['no code', '{"stdout":"","stderr":""}\n'],
  ['a code that is none', '{"code":"0","stdout":"","stderr":""}\n'],
  ['an end in the middle', '{"code":0,"std'],
] as const)
  test(`an answer that is ${what} is not taken for done`, async () => {
    const path = join(folder(), 'call.sock');
    await listen(path, honest([], answer));
    const result = await call(path);
    expect(result?.code).toBeUndefined();
    expect(result?.stderr).toContain('it may have been done');
  });

test('somebody else who listens there is told nothing', async () => {
  const path = join(folder(), 'call.sock');
  const heard: string[] = [];
  await listen(path, (socket) => {
    socket.write('220 mail.example ESMTP\r\n');
    socket.on('data', (bytes) => void heard.push(bytes.toString()));
  });
  expect((await call(path, { beginWithin: 3000 }))?.stderr).toContain('speaks another protocol');
  expect(heard).toEqual([]);
});

/**
 * The real other end, a process for each connection as systemd starts it, with hands that only write down.
 */
async function realEnd(): Promise<string> {
  const dir = folder();
  const probe = join(dir, 'probe.ts');
  writeFileSync(
    probe,
    `import process from 'node:process';
     import { writeSync } from 'node:fs';
     import { answerOne } from '${top}/agent/trampoline/answer.ts';
     import { boottime } from '${top}/agent/platform/boottime.ts';
     import { fakeRoot } from '${top}/test/trampoline/fake_root.ts';
     const root = fakeRoot({ answer: (call) => ({ stdout: call.startsWith('systemctl show') ? 'Id=x\\n' : '' }) });
     await answerOne(process.argv[2] ?? '', {
       root,
       input: process.stdin,
       write: (text) => void writeSync(1, text),
       now: boottime,
     });
     process.exit(0);`,
  );
  const path = join(dir, 'call.sock');
  await listen(path, (socket) => {
    const child = spawn(process.execPath, [probe, 'cfyuser'], { stdio: ['pipe', 'pipe', 'inherit'] });
    cleanups.push(() => void child.kill('SIGKILL'));
    child.stdin.on('error', () => {});
    socket.pipe(child.stdin);
    child.stdout.pipe(socket);
  });
  return path;
}

test('the trampoline’s client and its other end understand each other', async () => {
  const trampoline = createTrampoline({
    socket: await realEnd(),
    over: (one) => callOverSocket({ ...one, deadline: 60_000, beginWithin: 60_000 }),
    run: () => Promise.reject(new Error('sudo was asked')),
  });
  expect(await trampoline('service', 'status', 'cloudify-consul.service')).toBe('Id=x\n');
  expect(await trampoline('service', 'stop', 'cloudify-consul.service')).toBe('');
  await expect(trampoline('service', 'stop', 'ssh.service')).rejects.toMatchObject({
    code: 'trampoline_refused',
  });
}, 120_000);
