// The wizard at a terminal: what is answered is made, and nothing before; a wrong answer is asked again; Ctrl-C leaves nothing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Shell } from './shell.ts';

const enter = '\n';
const controlC = '\u0003';

async function withShell(task: (shell: Shell) => Promise<void>): Promise<void> {
  const shell = new Shell('init');
  try {
    await task(shell);
  } finally {
    shell.close();
  }
}

test('empty answers take the defaults, others are taken, wrong ones asked again', () =>
  withShell(async (shell) => {
    const { stdout, stderr, code } = await shell.talk(
      ['init'],
      [
        [/Your name/, `Bob${enter}`],
        [/invalid user name "Bob"/, `\u0015bob${enter}`],
        [/Folder for the data/, enter],
        [/How much/, `lots${enter}`],
        [/lots/, `\u0015500MB${enter}`],
        [/Name of the network/, `home${enter}`],
        [/Name of the volume/, enter],
        [/Where it is mounted/, `mnt${enter}`],
        [/Make all this\?/, enter],
      ],
    );
    assert.equal(code, 0, stderr);
    assert.match(stderr, /silo +local, 500 ?MB/);
    const text = stdout.toString();
    assert.match(text, /^Locally saved identity for user "bob"\.$/m);
    assert.match(text, /^Linked device to network "bob\/home"\.$/m);
    assert.match(text, /^ {4}infinit volume mount shared --as bob$/m);
    const { stdout: exported } = await shell.run('infinit silo export local --script');
    assert.equal(JSON.parse(exported.toString()).capacity, 500_000_000);
    const { stdout: list } = await shell.run('infinit volume list');
    assert.equal(list.toString(), 'bob/shared: bob/home\n');
  }));

test('what options say is not asked', () =>
  withShell(async (shell) => {
    const given = ['--silo', 's', '--network', 'n', '--volume', 'v', '--mountpoint', '/mnt/v'];
    const { code, stderr } = await shell.talk(
      ['init', ...given],
      [
        [/Your name/, enter],
        [/Make all this\?/, enter],
      ],
    );
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stderr, /Name of the|Folder|Where/);
  }));

for (const [how, answers] of [
  ['Ctrl-C at the first question', [[/Your name/, controlC]]],
  [
    'Ctrl-C later',
    [
      [/Your name/, enter],
      [/Folder for the data/, enter],
      [/How much/, controlC],
    ],
  ],
  [
    'no at the end',
    [
      [/Your name/, enter],
      [/Make all this\?/, `n${enter}`],
    ],
  ],
] as const)
  test(`${how}: nothing is made, and it says so`, () =>
    withShell(async (shell) => {
      const given = how.startsWith('no') ? ['--silo', 's', '--network', 'n', '--volume', 'v', '-m', '/m'] : [];
      const { stdout, stderr, code } = await shell.talk(['init', ...given], answers);
      assert.deepEqual([code, stdout.toString()], [1, '']);
      assert.match(stderr, /cancelled: nothing was made/);
      assert.doesNotMatch(stderr, /bug of infinit|at .*\.ts:/);
      for (const object of ['user', 'silo', 'network', 'volume'])
        assert.equal((await shell.run(`infinit ${object} list --script`)).stdout.toString(), '[]\n');
    }));
