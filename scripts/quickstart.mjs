// `npm run quickstart`: a three-node network in throw-away homes under .quickstart/, a key put on one node and read on another, a
// volume mounted on two of them, a file written on one mount and read on the other. Leaves it running; `npm run quickstart -- --stop` ends it and removes the folder. Needs no terminal. `--folder DIR` puts the
// homes elsewhere.

import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const asked = process.argv.indexOf('--folder');
const folder = asked > 0 && process.argv[asked + 1] ? resolve(process.argv[asked + 1]) : join(root, '.quickstart');
const nodes = ['one', 'two', 'three'];
const program = join(root, 'bin', 'infinit.js');

function environment(node) {
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('INFINIT_')));
  return {
    ...own,
    INFINIT_HOME: join(folder, node),
    INFINIT_RUNTIME_DIR: join(folder, node, 'run'),
    INFINIT_USER: 'alice',
  };
}

/** Runs one command as the device would, and shows it. */
function infinit(node, words, input) {
  if (!words.includes('--script')) console.log(`[${node}] $ infinit ${words.join(' ')}`);
  const stdio = [input === undefined ? 'ignore' : 'pipe', 'pipe', 'inherit'];
  const output = execFileSync(process.execPath, [program, ...words], {
    env: environment(node),
    input,
    stdio,
    encoding: 'utf8',
  });
  return output.trimEnd();
}

function show(text) {
  if (text !== '') console.log(text);
}

/** Mounts and doors first: they hand over to the nodes. */
function stop() {
  stopAll((name) => !name.startsWith('network'));
  stopAll(() => true);
  const left = mounts();
  if (left.length > 0) throw new Error(`still mounted: ${left.join(', ')}; unmount and run this again`);
  rmSync(folder, { recursive: true, force: true });
}

/** What is mounted below the folder. */
function mounts() {
  if (!existsSync('/proc/self/mounts')) return [];
  const points = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '');
  return points.filter((point) => point.startsWith(`${folder}/`));
}

function stopAll(which) {
  for (const node of nodes) {
    const pids = join(folder, node, 'run', 'pids');
    for (const name of (existsSync(pids) ? readdirSync(pids) : []).filter(which)) {
      const pid = Number(readFileSync(join(pids, name), 'utf8'));
      try {
        process.kill(pid, 'SIGTERM');
        waitForEnd(pid);
        console.log(`[${node}] stopped ${name.replace(/\.pid$/, '')} (pid ${pid})`);
      } catch (error) {
        if (error.code !== 'ESRCH') throw error;
      }
    }
  }
}

function waitForEnd(pid) {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let tries = 0; tries < 150; tries++) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    Atomics.wait(pause, 0, 0, 100);
  }
  process.kill(pid, 'SIGKILL');
}

function start() {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  show(infinit('one', ['user', 'create', 'alice']));
  const identity = infinit('one', ['user', 'export', 'alice', '--full', '--script']);
  for (const node of nodes) {
    if (node !== 'one') infinit(node, ['user', 'import', '--script'], identity);
    show(infinit(node, ['silo', 'create', 'filesystem', 'disk', '--capacity', '2GB']));
  }
  show(infinit('one', ['network', 'create', 'cluster', '--silo', 'disk', '--replication-factor', '3']));
  const network = infinit('one', ['network', 'export', 'cluster', '--script']);
  for (const node of ['two', 'three']) {
    infinit(node, ['network', 'import', '--script'], network);
    show(infinit(node, ['network', 'link', 'cluster', '--silo', 'disk']));
  }
  const endpoints = join(folder, 'endpoints');
  show(
    infinit('one', ['network', 'run', 'cluster', '--daemon', '--listen', '127.0.0.1', '--endpoints-file', endpoints]),
  );
  const peer = readFileSync(endpoints, 'utf8').trim().split('\n')[0];
  for (const node of ['two', 'three']) {
    show(infinit(node, ['network', 'run', 'cluster', '--daemon', '--listen', '127.0.0.1', '--peer', peer]));
  }
  show(infinit('one', ['key-value-store', 'create', 'notes', '--network', 'cluster']));
  const store = infinit('one', ['key-value-store', 'export', 'notes', '--script']);
  for (const node of ['two', 'three']) infinit(node, ['key-value-store', 'import', '--script'], store);
  show(
    infinit('one', [
      'key-value-store',
      'run',
      'notes',
      '--daemon',
      '--listen',
      `unix:${join(folder, 'one', 'run', 'notes.sock')}`,
    ]),
  );
  infinit('one', ['key-value-store', 'put', 'notes', 'greeting'], 'hello from node one');
  const answer = infinit('three', ['key-value-store', 'get', 'notes', 'greeting']);
  console.log(answer);
  if (answer !== 'hello from node one') throw new Error('the key read on node three is not what was put on node one');
  const reason = cannotMount();
  if (reason === undefined) startVolume();
  else console.log(`No volume is mounted here: ${reason}`);
  return reason === undefined;
}

/** Why not, or undefined. */
function cannotMount() {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
  } catch {
    return '/dev/fuse is missing or may not be opened';
  }
  if (process.getuid() === 0) return undefined;
  return spawnSync('fusermount3', ['--version']).status === 0 ? undefined : 'install fuse3, or be root';
}

function startVolume() {
  show(infinit('one', ['volume', 'create', 'shared', '--network', 'cluster']));
  const volume = infinit('one', ['volume', 'export', 'shared', '--script']);
  infinit('two', ['volume', 'import', '--script'], volume);
  for (const node of ['one', 'two']) {
    const words = ['volume', 'mount', 'shared', '--mountpoint', mountpoint(node), '--daemon', '--listen', '127.0.0.1'];
    show(infinit(node, words));
  }
  shell('one', `echo 'hello from the first mount' > ${mountpoint('one')}/greeting`);
  const read = shell('two', `cat ${mountpoint('two')}/greeting`);
  console.log(read);
  if (read !== 'hello from the first mount')
    throw new Error('the file read on the second mount is not what was written on the first');
}

function mountpoint(node) {
  return join(folder, node, 'shared');
}

/** Runs a line in a process of its own, and shows it. */
function shell(node, line) {
  console.log(`[${node}] $ ${line}`);
  return execFileSync('sh', ['-c', line], { encoding: 'utf8' }).trimEnd();
}

function volumeSteps() {
  return `
The volume "shared" is mounted twice; what one writes the other reads:
  cp -r docs ${mountpoint('one')} && ls ${mountpoint('two')}/docs
  infinit volume status shared                    who leads, what is on its way
`;
}

function nextSteps(mounted) {
  const home = join(folder, 'two');
  console.log(`
Three nodes are running. Each is a device of its own, with its home under
  ${folder}

Be the second device:
  export INFINIT_HOME=${home} INFINIT_RUNTIME_DIR=${join(home, 'run')} INFINIT_USER=alice
  alias infinit=${program}

  infinit network inspect cluster --peers         who is there
  infinit network inspect cluster --redundancy    how many copies
  echo hi | infinit key-value-store put notes k   put a key
  infinit key-value-store get notes k             read it on any device
  infinit key-value-store list notes              list keys
${mounted ? volumeSteps() : ''}
Stop everything and remove the folder:
  npm run quickstart -- --stop`);
}

if (process.argv.includes('--stop')) {
  stop();
} else {
  if (existsSync(folder)) stop();
  try {
    nextSteps(start());
  } catch (error) {
    console.error(`quickstart failed: ${error.message}`);
    stop();
    process.exitCode = 1;
  }
}
