// The program as a process: exit codes, streams, signals, old names. The built one when there is a build, else the sources.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { root } from './shell.ts';

const program = join(root, existsSync(join(root, 'dist/infinit.cjs')) ? 'bin/infinit.js' : 'bin/dev.js');
const folder = mkdtempSync(join(tmpdir(), 'infinit-process-'));
const { NO_COLOR: _colour, FORCE_COLOR: _force, ...inherited } = process.env;
const env = { ...inherited, INFINIT_HOME: folder, INFINIT_RUNTIME_DIR: join(folder, 'run'), INFINIT_USER: 'alice' };

after(() => rmSync(folder, { recursive: true, force: true }));

function infinit(words: string[], options: { program?: string; env?: NodeJS.ProcessEnv; input?: string } = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [options.program ?? program, ...words], {
    env: { ...env, ...options.env },
    input: options.input ?? '',
    encoding: 'utf8',
    timeout: 30_000,
  });
  return { status, stdout, stderr };
}

test('--version prints the version of the package', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  assert.deepEqual(infinit(['--version']), { status: 0, stdout: `${version}\n`, stderr: '' });
});

test('exit codes are 0, 1 and 2, and errors go to standard error', () => {
  assert.equal(infinit(['user', 'create']).status, 0);
  const twice = infinit(['user', 'create']);
  assert.deepEqual(twice, { status: 1, stdout: '', stderr: 'infinit: fatal error: user "alice" already exists\n' });
  const usage = infinit(['user', 'create', '--foo']);
  assert.equal(usage.status, 2);
  assert.match(usage.stderr, /^infinit: command line error: unknown option: --foo\nTry 'infinit user create --help'/);
  assert.equal(infinit([]).status, 1);
});

test('INFINIT_BACKTRACE shows where an error comes from', () => {
  const { stderr } = infinit(['user', 'export', 'nobody'], { env: { INFINIT_BACKTRACE: '1' } });
  assert.match(stderr, /fatal error: user "nobody" does not exist\nInfinitError: .*\n\s+at /);
});

test('private keys and folders are closed to others, and a full export to a file as well', async () => {
  const { statSync } = await import('node:fs');
  const output = join(folder, 'full.json');
  assert.equal(infinit(['user', 'export', '--full', '-o', output]).status, 0);
  const data = join(folder, '.local/share/infinit/filesystem/users');
  const modes = [output, join(data, 'alice'), data].map((path) => (statSync(path).mode & 0o777).toString(8));
  assert.deepEqual(modes, ['600', '600', '700']);
});

test('an old link to the program names the object', () => {
  const link = join(folder, 'infinit-user');
  symlinkSync(program, link);
  const { status, stdout, stderr } = infinit(['--list', '--script'], { program: link });
  assert.deepEqual(
    { status, stderr },
    { status: 0, stderr: 'infinit: this form is deprecated, use: infinit user list\n' },
  );
  assert.deepEqual(JSON.parse(stdout), [{ name: 'alice', has_private_key: true }]);
});

test('a reader that leaves early is no error', async () => {
  const child = spawn(process.execPath, [program, 'completion', 'bash'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.on('data', (piece) => {
    stderr += piece;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGQUIT'] as const) {
  test(`${signal} stops a running command gracefully`, async () => {
    const name = signal.toLowerCase();
    assert.equal(infinit(['silo', 'create', 'memory', name]).status, 0);
    const created = infinit(['network', 'create', name, '--silo', name]);
    assert.equal(created.status, 0, created.stderr);
    const child = spawn(process.execPath, [program, 'network', 'run', name, '--listen', '127.0.0.1'], { env });
    let stdout = '';
    let stderr = '';
    child.stderr.on('data', (piece) => {
      stderr += piece;
    });
    await new Promise<void>((resolve) => {
      child.once('close', () => resolve());
      child.stdout.on('data', (piece) => {
        stdout += piece;
        resolve();
      });
    });
    assert.equal(stdout, `Running network "alice/${name}".\n`, stderr);
    const closed = new Promise((resolve) => child.once('close', (code, by) => resolve({ code, by })));
    child.kill(signal);
    assert.deepEqual(await closed, { code: 0, by: null }, stderr);
  });
}
