// The mount against the real kernel: the system's own tools on files kept in memory, both ways of reading the device, caches that
// other clients' changes must reach, callers that give up, servers that die, as root and as an ordinary user.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { shellScripts } from './fuse-scripts.ts';
import type { ServerOptions } from './fuse-server.ts';

const program = fileURLToPath(new URL('fuse-server.ts', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));
const startTimeoutMs = 60_000;
const answerTimeoutMs = 60_000;
const nobody = 65_534;

/** Why nothing can be mounted here. */
function cannotMount(): string | false {
  if (process.getuid?.() !== 0) return 'only root mounts here';
  if (!existsSync('/dev/fuse')) return 'this system has no /dev/fuse';
  return false;
}

const missing = (...tools: string[]) => {
  const found = tools.filter((tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0);
  return found.length > 0 ? `${found.join(', ')} missing` : undefined;
};

const folder = mkdtempSync(join(tmpdir(), 'infinit-fuse-'));
let count = 0;
const running = new Set<Server>();

/** A process that mounts; the test itself must not touch the mount by calls that wait for it in its own process. */
class Server {
  readonly mountpoint: string;
  readonly lines: string[] = [];
  readonly errors: string[] = [];
  readonly child: ChildProcess;

  constructor(options: ServerOptions, mountpoint = join(folder, `m${count++}`)) {
    this.mountpoint = mountpoint;
    const words = ['--import', 'tsx', program, mountpoint, JSON.stringify(options)];
    this.child = spawn(process.execPath, words, { cwd: root, stdio: 'pipe' });
    running.add(this);
    this.child.on('exit', () => running.delete(this));
    for (const [stream, into] of [
      [this.child.stdout, this.lines],
      [this.child.stderr, this.errors],
    ] as const)
      if (stream) createInterface({ input: stream }).on('line', (line) => into.push(line));
  }

  static async start(options: ServerOptions = {}, mountpoint?: string): Promise<Server> {
    const server = new Server(options, mountpoint);
    await server.until('mounted');
    return server;
  }

  async until(line: string): Promise<void> {
    const deadline = performance.now() + startTimeoutMs;
    while (!this.lines.includes(line)) {
      const isOver = this.child.exitCode !== null || performance.now() > deadline;
      assert.ok(!isOver, `no "${line}": ${this.lines.join('; ')} ${this.errors.join('\n')}`);
      await sleep(20);
    }
  }

  /** Tells the server, and waits for what it says to that. */
  async tell(line: string): Promise<string> {
    const before = this.lines.length;
    this.child.stdin?.write(`${line}\n`);
    const isAnswer = (text: string) => text.startsWith('done ') || text.startsWith('failed ');
    for (let i = 0; i < answerTimeoutMs / 20 && !this.lines.slice(before).some(isAnswer); i++) await sleep(20);
    return this.lines.slice(before).find(isAnswer) ?? 'no answer';
  }

  async stop(): Promise<void> {
    assert.equal(await this.tell('unmount'), 'done unmount');
    await this.exited();
  }

  async exited(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
  }
}

/** The command fails. A `!` before it would hide when it does not: it never ends a script. */
const no = 'no() { if "$@"; then echo "done, not refused: $*"; return 1; fi; }';

async function shell(script: string, cwd: string, expected = 0): Promise<string> {
  const child = spawn('bash', ['-euc', `${no}\n${script}`], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece: Buffer) => (output += piece.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  assert.equal(code, expected, `${script}\n${output}`);
  return output.trim();
}

const isMounted = (path: string) => readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${path} `);

const why = cannotMount();

after(async () => {
  for (const server of running) {
    server.child.kill('SIGKILL');
    await server.exited();
    if (isMounted(server.mountpoint)) spawnSync('umount', ['-l', server.mountpoint]);
  }
  rmSync(folder, { recursive: true });
});

const data = join(folder, 'data');
const dataBytes = 20 * 1024 * 1024;

const ways: readonly ServerOptions[] = [
  { freshForMs: 0 },
  { freshForMs: 60_000 },
  { freshForMs: 60_000, transport: 'pool' },
];

for (const options of ways) {
  const { transport = 'the first', freshForMs = 0 } = options;
  describe(`${transport} transport, answers that hold ${freshForMs} ms`, { skip: why }, () => {
    let server: Server;
    before(async () => {
      await shell(`test -e ${data} || head -c ${dataBytes} /dev/urandom > ${data}`, folder);
      server = await Server.start({ words: ['suid', 'dev'], ...options });
    });

    for (const [index, [what, { script, tools = [], needsMap = false }]] of Object.entries(
      shellScripts(data),
    ).entries())
      test(what, { skip: (needsMap && freshForMs === 0 && 'not with direct I/O') || missing(...tools) }, () =>
        shell(`mkdir ${index}; cd ${index}; ${script}`, server.mountpoint).then(() => {}),
      );

    test('nothing was out of order, and the mountpoint that was made goes', async () => {
      await server.stop();
      assert.deepEqual(
        server.errors.filter((line) => !line.includes(' info ')),
        [],
      );
      assert.ok(!existsSync(server.mountpoint));
    });
  });
}

describe('what the system shows', { skip: why }, () => {
  test('the name, the type, the space and the read-ahead', async () => {
    const server = await Server.start({ name: 'alice/home, sweet' });
    const line = await shell(`findmnt -no SOURCE,FSTYPE,OPTIONS ${server.mountpoint}`, folder);
    assert.match(line, /^alice\/home, sweet\s+fuse\.infinit\s+rw,nosuid,nodev,.*default_permissions,allow_other/);
    assert.match(await shell('df .', server.mountpoint), /alice\/home, sweet/);
    const device = await shell(`findmnt -no MAJ:MIN ${server.mountpoint}`, folder);
    assert.equal(await shell(`cat /sys/class/bdi/${device}/read_ahead_kb`, folder), '1024');
    await server.stop();
  });

  test('read-only is read-only', async () => {
    const server = await Server.start({ readOnly: true });
    await shell('no touch f 2>/dev/null; ls; df . >/dev/null', server.mountpoint);
    await shell(
      `mount -o remount,rw ${server.mountpoint} 2>/dev/null || true; no touch f 2>/dev/null`,
      server.mountpoint,
    );
    await server.stop();
  });

  test("others' bits follow the group's", async () => {
    const server = await Server.start({ mapOthers: true });
    const modes = await shell('touch f; chmod 750 f; stat -c %a f; chmod 707 f; stat -c %a f', server.mountpoint);
    assert.deepEqual(modes.split('\n'), ['755', '700']);
    await server.stop();
  });
});

describe('changes of other clients', { skip: why }, () => {
  test('are seen at once, though the kernel may cache for a minute', async () => {
    const server = await Server.start({ freshForMs: 60_000 });
    const { mountpoint } = server;
    await shell('echo mine > f; cat f; no cat new 2>/dev/null; ls -l', mountpoint);
    assert.equal(await server.tell('write f theirs'), 'done write');
    assert.equal(await shell('cat f', mountpoint), 'theirs');
    assert.equal(await server.tell('make new theirs'), 'done make');
    assert.equal(await shell('cat new', mountpoint), 'theirs');
    assert.equal(await server.tell('make f another'), 'done make');
    assert.equal(await shell('cat f', mountpoint), 'another');
    await shell('mv f g; cat g', mountpoint);
    assert.equal(await server.tell('remove g'), 'done remove');
    await shell('no cat g 2>/dev/null; no stat g 2>/dev/null', mountpoint);
    await server.stop();
  });

  test('reach the kernel while it is busy with the same directory', async () => {
    const server = await Server.start({ freshForMs: 60_000 });
    const load = shell('for i in $(seq 400); do echo $i > f$i; cat shared >/dev/null; rm f$i; done', server.mountpoint);
    const told = [await server.tell('make shared first')];
    await shell('touch shared', server.mountpoint);
    for (let i = 0; i < 50; i++) told.push(await server.tell(`${i % 3 ? 'write' : 'make'} shared v${i}`));
    assert.ok(told.every((line) => line.startsWith('done')));
    await load.catch(() => {});
    assert.equal(await shell('cat shared', server.mountpoint), 'v49');
    await server.stop();
  });
});

describe('giving up', { skip: why }, () => {
  test('a caller is interrupted, others are served, a killed one goes', async () => {
    const server = await Server.start({ stuckReads: true });
    const { mountpoint } = server;
    await shell(
      'echo x > f; timeout -s INT 1 cat f || test $? = 124; timeout -s KILL 1 cat f || test $? = 137',
      mountpoint,
    );
    const stuck = spawn('cat', [join(mountpoint, 'f')]);
    await sleep(200);
    await shell('ls -l f; touch g', mountpoint);
    stuck.kill('SIGTERM');
    await once(stuck, 'exit');
    await server.stop();
  });

  test('a request fails after the time one gave it', async () => {
    const server = await Server.start({ stuckReads: true, words: ['timeout=1'] });
    assert.match(await shell('echo x > f; cat f', server.mountpoint, 1), /Input\/output error/);
    await server.stop();
  });
});

describe('the end', { skip: why }, () => {
  test('a mount whose server was killed is replaced; a living one is not touched', async () => {
    const first = await Server.start();
    const { mountpoint } = first;
    first.child.kill('SIGKILL');
    await first.exited();
    assert.match(await shell(`ls ${mountpoint}`, folder, 2), /not connected/);
    const second = await Server.start({}, mountpoint);
    await shell('echo alive > f', mountpoint);
    const third = new Server({}, mountpoint);
    await third.exited();
    assert.match(third.errors.join('\n'), /exists: .* is already mounted on/);
    assert.equal(await shell('cat f', mountpoint), 'alive');
    await second.stop();
    assert.ok(!isMounted(mountpoint));
  });

  test('a stopped server is not taken for a dead one', async () => {
    const first = await Server.start();
    first.child.kill('SIGSTOP');
    const second = new Server({}, first.mountpoint);
    await second.exited();
    assert.match(second.errors.join('\n'), /exists: .* is already mounted on/);
    first.child.kill('SIGCONT');
    await first.stop();
  });

  test('a mount in use says so, and is detached lazily', async () => {
    const server = await Server.start();
    const { mountpoint } = server;
    const user = spawn('bash', ['-c', `exec 5> ${mountpoint}/f; echo open; read; echo text >&5`], { stdio: 'pipe' });
    await once(user.stdout, 'data');
    assert.match(await server.tell('unmount'), /^failed conflict: .* is in use/);
    assert.equal(await server.tell('lazy'), 'done lazy');
    assert.ok(!isMounted(mountpoint));
    assert.ok(!server.lines.includes('ended'));
    user.stdin.write('\n');
    const [code] = (await once(user, 'exit')) as [number];
    assert.equal(code, 0);
    await server.until('ended');
  });

  test("another's umount ends it", async () => {
    const server = await Server.start();
    await shell(`umount ${server.mountpoint}`, folder);
    await server.until('ended');
  });

  test('a connection the kernel was told to abort leaves no dead mount', async () => {
    const server = await Server.start();
    const number = (await shell(`findmnt -no MAJ:MIN ${server.mountpoint}`, folder)).replace(/^\d+:/, '');
    await shell(`unshare -m sh -c 'mount -t fusectl c /mnt; echo 1 > /mnt/${number}/abort'`, folder);
    await server.until('ended');
    await server.exited();
    assert.ok(!isMounted(server.mountpoint) && !existsSync(server.mountpoint));
  });

  test('without the FUSE device one is told so', async () => {
    const start = `${process.execPath} --import tsx ${program} ${folder}/none`;
    const script = `cd ${root}; mount --bind /dev/null /dev/fuse; ${start} </dev/null`;
    assert.match(
      await shell(`exec unshare -m bash -euc '${script}'`, folder, 1),
      /unsupported: this system has no FUSE/,
    );
    assert.ok(!existsSync(join(folder, 'none')));
  });

  test('an occupied folder and an unknown option are refused', async () => {
    const taken = join(folder, 'taken');
    mkdirSync(join(taken, 'x'), { recursive: true });
    for (const [server, pattern] of [
      [new Server({}, taken), /exists: .* is not empty/],
      [new Server({ words: ['fd=0'] }), /usage: unknown mount option/],
    ] as const) {
      await server.exited();
      assert.match(server.errors.join('\n'), pattern);
    }
  });
});

/** Runs as an ordinary user, in a place of its own where everybody may use FUSE, as on most systems. Scripts are files: no quoting. */
async function asUser(home: string, script: string): Promise<string> {
  const device = join(folder, 'fuse');
  const [outer, inner] = [join(folder, 'outer.sh'), join(folder, 'inner.sh')];
  writeFileSync(inner, script);
  writeFileSync(
    outer,
    `mkdir ${home}; chown ${nobody} ${home}; mknod -m 666 ${device} c 10 229; mount --bind ${device} /dev/fuse
    exec setpriv --reuid ${nobody} --regid ${nobody} --clear-groups bash -eu ${inner}`,
  );
  chmodSync(folder, 0o755);
  return shell(`exec unshare -m bash -eu ${outer}`, folder);
}

function cannotMountAsUser(): string | false {
  if (why) return why;
  const none = missing('fusermount3', 'setpriv', 'unshare');
  if (none) return none;
  const words = ['--reuid', String(nobody), '--clear-groups', process.execPath, '-e', `fs.accessSync('${program}')`];
  return spawnSync('setpriv', words).status !== 0 && 'an ordinary user cannot read this folder';
}

describe('an ordinary user', { skip: cannotMountAsUser() }, () => {
  test('mounts, works, unmounts, and replaces what a killed server left', async () => {
    const home = join(folder, 'user');
    const script = `${no}; cd ${root}; mkfifo ${home}/in; exec 7<>${home}/in
      start() { ${process.execPath} --import tsx ${program} ${home}/m '{"uid":${nobody}}' <&7 >${home}/out 2>&1 & server=$!
        for i in $(seq 300); do grep -q '^mounted' ${home}/out && return; kill -0 $server || break; sleep 0.1; done; cat ${home}/out; exit 1; }
      start; grep ' ${home}/m fuse.infinit ' /proc/mounts; cd ${home}/m; echo hello > f; test $(cat f) = hello; test $(stat -c %u f) = ${nobody}
      no chown 0 f 2>/dev/null; cp /bin/true t; ./t; cd ${root}
      kill -9 $server; wait $server || true; no ls ${home}/m 2>/dev/null; rm ${home}/out
      start; test -z "$(ls ${home}/m)"; echo unmount >&7; wait $server; cat ${home}/out; no grep ' ${home}/m ' /proc/mounts`;
    const output = await asUser(home, script);
    assert.match(output, /user_id=65534/);
    assert.match(output, /done unmount/);
  });
});
