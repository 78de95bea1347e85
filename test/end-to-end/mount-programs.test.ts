// Ordinary programs on a mounted volume, unchanged: version control, package managers, databases, load generators, backups,
// containers. Each runs as a process of its own.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Lab, shell } from './device.ts';
import { Engine } from './engine.ts';
import { needs } from './needs.ts';
import { cannotMount, createVolume, type Mount, mountOn } from './volume.ts';

const project = fileURLToPath(new URL('../..', import.meta.url));
const why = cannotMount();

/** Increments rows in transactions from several processes at once; every increment must be there. */
const sqliteLoad = `
pids=
for process in 1 2 3 4; do
  ( for i in $(seq 100); do
      echo "PRAGMA busy_timeout = 60000; BEGIN IMMEDIATE; UPDATE counters SET value = value + 1 WHERE id = $((i % 10)); INSERT INTO log (process, i, filler) VALUES ($process, $i, hex(randomblob(500))); COMMIT;"
    done | sqlite3 -bail "$1" >/dev/null ) &
  pids="$pids $!"
done
for pid in $pids; do wait "$pid"; done
`;

describe('programs on a mount', { timeout: 900_000, skip: why ?? false }, () => {
  const lab = new Lab();
  let mount: Mount;
  let other: Mount;
  const at = (...parts: string[]) => join(mount.mountpoint, ...parts);

  before(async () => {
    const { devices } = await createVolume(lab);
    mount = await mountOn(devices.one);
    other = await mountOn(devices.two);
  });
  after(async () => {
    if (mount !== undefined) assert.equal(await mount.stop('SIGINT'), 0);
    if (other !== undefined) assert.equal(await other.stop('SIGINT'), 0);
    await lab.close();
  });

  test('git clones, commits, and finds its objects sound', needs('git'), async () => {
    await shell(`
      git clone --quiet --no-hardlinks ${project} ${at('clone')}
      cd ${at('clone')}
      git fsck --full --strict 2>&1
      git -c user.name=t -c user.email=t@t commit --quiet --allow-empty -m one
      echo change >> README.md
      git -c user.name=t -c user.email=t@t commit --quiet -am two
      git gc --quiet
      git fsck --full --strict 2>&1
      git status --porcelain`);
    const log = await shell(
      `git -C ${join(other.mountpoint, 'clone')} -c safe.directory='*' rev-list --count --max-count=2 HEAD`,
    );
    assert.equal(log.trim(), '2');
  });

  test('npm installs a real project', async () => {
    await shell(`
      mkdir ${at('project')}
      cp ${join(project, 'package.json')} ${join(project, 'package-lock.json')} ${at('project')}
      cd ${at('project')}
      npm ci --ignore-scripts --no-audit --no-fund --prefer-offline >/dev/null 2>&1
      npm ls --all >/dev/null
      node -e "import('chalk').then(({ default: c }) => process.stdout.write(c.bold('x')))"`);
  });

  test(
    'an SQLite database under load of four processes stays sound, in both journal modes',
    needs('sqlite3'),
    async () => {
      writeFileSync(join(lab.folder, 'load.sh'), sqliteLoad);
      for (const mode of ['delete', 'persist']) {
        const file = at(`${mode}.db`);
        const found = await shell(`
        sqlite3 ${file} 'PRAGMA journal_mode = ${mode}; CREATE TABLE counters (id INTEGER PRIMARY KEY, value INTEGER);
          CREATE TABLE log (process INTEGER, i INTEGER, filler TEXT, PRIMARY KEY (process, i));
          WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9) INSERT INTO counters SELECT i, 0 FROM n;' >/dev/null
        bash -euo pipefail ${join(lab.folder, 'load.sh')} ${file}
        sqlite3 ${file} 'SELECT sum(value) FROM counters; SELECT count(*) FROM log; PRAGMA integrity_check;'`);
        assert.equal(found, '400\n400\nok\n');
        assert.equal(
          await shell(`sqlite3 -readonly ${join(other.mountpoint, `${mode}.db`)} 'PRAGMA integrity_check;'`),
          'ok\n',
        );
      }
    },
  );

  test('fio reads back what it wrote, with checksums', needs('fio'), async () => {
    const common = `--directory=${at()} --size=32m --verify=crc32c --verify_fatal=1 --minimal --fallocate=none`;
    for (const [name, words] of Object.entries({
      sequential: '--rw=write --bs=1m --ioengine=psync --end_fsync=1',
      random: '--rw=randrw --bs=4k --ioengine=psync --fsync=64',
      direct: '--rw=randwrite --bs=4k --ioengine=psync --direct=1',
      mapped: '--rw=randwrite --bs=4k --ioengine=mmap',
      several: '--rw=randwrite --bs=16k --ioengine=psync --numjobs=4',
    }))
      await shell(`cd ${lab.folder} && fio --name=${name} ${common} ${words} >/dev/null`);
  });

  test('stress-ng finds nothing wrong with files, names, links, locks and attributes', needs('stress-ng'), async () => {
    mkdirSync(join(lab.folder, 'stress'));
    await shell(`
      mkdir ${at('stress')}
      stress-ng --temp-path ${at('stress')} --verify --timeout 3 --dir 1 --dentry 1 --rename 1 --link 1 --symlink 1 --hdd 1 \\
        --utime 1 --xattr 1 --flock 1 --lockf 1 --seek 1 --fallocate 1 --chmod 1 --chown 1 --fstat 1 --sync-file 1 --getdent 1 2>&1
      rm -r ${at('stress')}`);
  });

  test('rsync copies twice, the second time nothing', needs('rsync'), async () => {
    const listed = await shell(`
      rsync -aHX --delete ${project}/src ${at('mirror')}/
      rsync -aHX --delete --itemize-changes ${project}/src ${at('mirror')}/
      diff -r ${project}/src ${at('mirror')}/src`);
    assert.equal(listed, '');
  });

  test('tar unpacks what it packed', async () => {
    await shell(`
      mkdir ${at('unpacked')}
      tar -C ${project} -cf ${at('docs.tar')} docs test
      tar -C ${at('unpacked')} -xf ${at('docs.tar')}
      diff -r ${project}/docs ${at('unpacked')}/docs && diff -r ${project}/test ${at('unpacked')}/test`);
  });

  test('restic keeps backups on it', needs('restic'), async () => {
    await shell(`
      export RESTIC_REPOSITORY=${at('backups')} RESTIC_PASSWORD=long-enough RESTIC_CACHE_DIR=${lab.folder}/restic-cache
      restic init --quiet
      restic backup --quiet ${project}/src
      restic check --quiet --read-data
      restic restore latest --quiet --target ${lab.folder}/restored
      diff -r ${project}/src ${lab.folder}/restored${project}/src`);
  });

  test('a container uses a folder of it', needs('dockerd', 'docker', 'busybox'), async () => {
    const engine = await Engine.start(lab.folder);
    try {
      await shell(`mkdir -p ${at('data')} && echo from-host > ${at('data')}/host`);
      const seen = await engine.run(
        ['-v', `${at('data')}:/data`],
        'cat /data/host && echo from-container > /data/container && sync',
      );
      assert.equal(seen, 'from-host\n');
      assert.equal(await shell(`cat ${join(other.mountpoint, 'data/container')}`), 'from-container\n');
    } finally {
      await engine.stop();
    }
  });
});
