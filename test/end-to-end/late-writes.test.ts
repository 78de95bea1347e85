// A mount with a journal of its own (`--async`): it takes writes while no storage node runs, keeps them over a kill, comes up again
// without the network, and sends them when it is there. What others did meanwhile is not lost, and what cannot be sent is kept.

import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Node } from './cluster.ts';
import { type Device, eventually, Lab, shell } from './device.ts';
import { cannotMount, type Mount, mountOn } from './volume.ts';

const network = 'alice/cluster';
const sendMs = 120_000;

interface Stat {
  name: string;
  operations: number;
  size: number;
  refused: number;
}

interface Operation {
  operation: string;
  type: string;
  paths: string[];
  refused?: string;
}

describe('a mount with --async', { timeout: 900_000, skip: cannotMount() ?? false }, () => {
  const lab = new Lab();
  /** Keeps everything. */
  let keeper: Device;
  /** Have no silo. */
  let writer: Device;
  let reader: Device;
  let node: Node;
  let late: Mount;
  let other: Mount;

  const json = async <T>(device: Device, words: readonly string[]) =>
    JSON.parse(await device.run([...words, '--script'])) as T;
  const stat = async (): Promise<Stat> => {
    const [found] = await json<Stat[]>(writer, ['journal', 'stat', '--network', 'cluster']);
    assert.ok(found);
    return found;
  };
  const described = () => json<Operation[]>(writer, ['journal', 'describe', '--network', 'cluster']);
  const allSent = () =>
    eventually('all is sent', sendMs, async () => {
      const { operations } = await stat();
      return operations === 0;
    });
  const mountLate = () => mountOn(writer, ['--async']);
  const journal = () => {
    const folder = join(writer.folders.state, network, '.links/alice/journals');
    const [name] = readdirSync(folder);
    return join(folder, name as string);
  };
  const stopNode = () => node.stop('SIGKILL');
  const startNode = async () => {
    node = await keeper.startNode(network);
  };
  const sums = (mount: Mount, folder: string) =>
    shell(`cd ${mount.mountpoint}/${folder} && find . -type f | LC_ALL=C sort | xargs -r sha256sum`);
  const killed = async (mount: Mount) => {
    await mount.stop('SIGKILL');
    await shell(`umount --lazy ${mount.mountpoint}`);
  };

  before(async () => {
    keeper = lab.device('keeper', 'alice');
    writer = lab.device('writer', 'alice');
    reader = lab.device('reader', 'alice');
    await keeper.run(['user', 'create']);
    await keeper.run(['silo', 'create', 'filesystem', 'disk', '--capacity', '2GB']);
    await keeper.run(['network', 'create', 'cluster', '--silo', 'disk']);
    await startNode();
    await keeper.run(['network', 'update', 'cluster', '--peer', node.endpoint]);
    await keeper.run(['volume', 'create', 'shared', '--network', 'cluster', '--create-root']);
    for (const device of [writer, reader]) {
      await device.run(['user', 'import'], await keeper.run(['user', 'export', 'alice', '--full']));
      await device.run(['network', 'import'], await keeper.run(['network', 'export', 'cluster']));
      await device.run(['network', 'link', 'cluster']);
      await device.run(['volume', 'import'], await keeper.run(['volume', 'export', 'shared']));
    }
  });
  after(async () => {
    await lab.close();
  });

  test('needs the network the first time, and says what it gives up', async () => {
    await stopNode();
    const refused = await writer.attempt(['volume', 'mount', 'shared', '-m', join(writer.home, 'mnt'), '--async']);
    assert.equal(refused.code, 1);
    assert.equal(existsSync(join(journal(), 'head')), false);
    await startNode();
    late = await mountLate();
    for (const word of ['kept on this disk', 'O_EXCL', 'lost with this device'])
      assert.ok(late.output.includes(word), word);
    other = await mountOn(reader);
    await shell(`cd ${late.mountpoint} && mkdir d && echo early > d/early && echo both > both.txt && echo gone > gone`);
    await allSent();
    await shell(`cd ${late.mountpoint} && ls -R . && cat d/early both.txt gone`);
    await eventually('the other mount sees it', sendMs, () =>
      shell(`cat ${other.mountpoint}/d/early`).catch(() => false),
    );
    const again = await writer.attempt(['volume', 'mount', 'shared', '-m', join(writer.home, 'mnt2'), '--async']);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /open with --async on this device already/);
  });

  test('locks hold among the users of the mount', async () => {
    const at = `${late.mountpoint}/d/lock`;
    const refused = await shell(`touch ${at}; flock ${at} -c 'flock --nonblock ${at} -c true || echo refused'`);
    assert.equal(refused, 'refused\n');
  });

  test('takes writes without a storage node, and has them after a kill, without one still', async () => {
    await allSent();
    await stopNode();
    await shell(`
cd ${late.mountpoint}
mkdir -p d/deep/er
for i in $(seq 1 40); do echo "words $i" > d/deep/f$i; done
head -c 3000000 /dev/urandom > d/large
ln -s large d/link
mv d/deep/f40 d/deep/er/moved
rm d/deep/f39
sync d/large
echo over > d/early`);
    const before = await sums(late, 'd');
    const { operations, size } = await stat();
    assert.ok(operations > 40, `${operations}`);
    assert.ok(size > 3_000_000, `${size}`);
    const paths = (await described()).flatMap((one) => one.paths);
    for (const path of ['/d/large', '/d/deep/f7']) assert.ok(paths.includes(path), path);
    await killed(late);
    late = await mountLate();
    assert.equal(await sums(late, 'd'), before);
    assert.equal((await shell(`cat ${late.mountpoint}/d/early`)).trim(), 'over');
    await shell(`cd ${late.mountpoint}; echo more > d/more`);
    const after = await sums(late, 'd');
    const [mode, folder] = [statSync(journal()).mode & 0o777, readdirSync(journal())];
    assert.equal(mode, 0o700);
    for (const name of folder.filter((one) => /head|log$/.test(one))) {
      const path = join(journal(), name);
      assert.equal(statSync(path).mode & 0o777, 0o600, path);
      assert.equal(readFileSync(path).includes('words 7'), false, path);
    }
    const stopped = (await stat()).operations;
    await late.stop('SIGTERM');
    assert.match(late.output, new RegExp(`${stopped} operations wait; they are sent by the next mount`));
    await startNode();
    late = await mountLate();
    await allSent();
    assert.equal((await stat()).size, 0);
    await eventually('the other mount has all of it', sendMs, async () => {
      const seen = await sums(other, 'd').catch(() => '');
      return seen === after;
    });
  });

  test('what both changed is there twice; what was written to a deleted file is kept, told, and taken out', async () => {
    await stopNode();
    await shell(`cd ${late.mountpoint}; echo ours > both.txt; echo 'late words' > gone`);
    const waiting = (await stat()).operations;
    assert.ok(waiting > 0);
    // It stops for the time others need.
    await late.stop('SIGTERM');
    await startNode();
    await eventually('the other mount writes', sendMs, () =>
      shell(`cd ${other.mountpoint}; echo theirs > both.txt; sync both.txt; rm -f gone; echo done`).catch(() => false),
    );
    late = await mountLate();
    await allSent();
    const found = await eventually('a copy is beside', sendMs, async () => {
      const texts = await shell(`cd ${other.mountpoint}; cat both.txt; cat both\\ \\(*\\).txt`).catch(() => '');
      return texts.includes('theirs') && texts;
    });
    assert.equal(found, 'ours\ntheirs\n');
    assert.match(late.output, /both\.txt/);
    const { refused } = await stat();
    assert.ok(refused > 0, late.output);
    const kept = (await described()).filter((one) => one.refused !== undefined);
    assert.deepEqual([...new Set(kept.flatMap((one) => one.paths))], ['/gone']);
    let text = '';
    for (const { operation, type } of kept) {
      const file = join(writer.home, 'operation.json');
      const words = [
        'journal',
        'export',
        '--network',
        'cluster',
        '--operation',
        operation,
        '--output',
        file,
        '--remove',
      ];
      await writer.run(words);
      assert.equal(statSync(file).mode & 0o777, 0o600);
      const exported = JSON.parse(readFileSync(file, 'utf8'));
      assert.equal(exported.operation, operation);
      if (type === 'write')
        for (const { pieces } of exported.files)
          for (const { content } of pieces) text += Buffer.from(content, 'base64').toString();
    }
    assert.equal(text, 'late words\n');
    assert.equal((await stat()).refused, 0);
  });

  test('a journal that is damaged or of another user is refused, and left as it is', async () => {
    await stopNode();
    await shell(`cd ${late.mountpoint}; echo last > last; sync last`);
    await late.stop('SIGTERM');
    const folder = journal();
    const head = join(folder, 'head');
    const attempt = () => writer.attempt(['volume', 'mount', 'shared', '-m', join(writer.home, 'mnt'), '--async']);
    const content = () =>
      readdirSync(folder)
        .filter((name) => name.endsWith('.log'))
        .map((name) => readFileSync(join(folder, name)));
    const before = content();
    copyFileSync(head, `${head}.kept`);
    const damaged = readFileSync(head);
    damaged[40] = (damaged[40] as number) ^ 1;
    writeFileSync(head, damaged);
    for (const outcome of [await attempt(), await writer.attempt(['journal', 'stat'])]) {
      assert.equal(outcome.code, 1);
      assert.match(outcome.stderr, /is damaged, or another user's/);
    }
    renameSync(head, `${head}.damaged`);
    assert.match((await attempt()).stderr, /has no head/);
    renameSync(`${head}.kept`, head);
    assert.deepEqual(content(), before);
    late = await mountLate();
    assert.equal((await shell(`cat ${late.mountpoint}/last`)).trim(), 'last');
    await startNode();
    await allSent();
    await eventually('the other mount has it', sendMs, () => shell(`cat ${other.mountpoint}/last`).catch(() => false));
    await late.stop('SIGTERM');
    await other.stop('SIGTERM');
  });
});
