// Files written to a mount until told to stop, each with fsync, remembered by hash once that was acknowledged; and read again later. A
// process of its own writes and reads: this one never touches a mount.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { run, shell } from './device.ts';

/** Every seventh file replaces one of five, by rename; what fails is tried again, as who serves the mount may be ending. */
const program = `
import hashlib, os, select, sys, time
folder, sizes = sys.argv[1], [int(size) for size in sys.argv[2].split(',')]
def told_to_stop(): return bool(select.select([sys.stdin], [], [], 0)[0])
def tell(*words): print(*words, flush=True)
def safe(name, data):
    with open(f'{folder}/{name}.part', 'wb') as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(f'{folder}/{name}.part', f'{folder}/{name}')
    at = os.open(folder, os.O_RDONLY)
    os.fsync(at)
    os.close(at)
count = 0
while not told_to_stop():
    name = f'replaced-{count // 7 % 5}' if count % 7 == 0 else f'file-{count}'
    data = os.urandom(sizes[count % len(sizes)])
    digest = hashlib.sha256(data).hexdigest()
    tell('begun', name, digest)
    while True:
        try:
            safe(name, data)
            break
        except OSError as error:
            tell('failed', name, error.strerror)
            if told_to_stop(): sys.exit(0)
            time.sleep(0.2)
    tell('safe', name, digest)
    count += 1`;

const usualSizes = [1000, 60_000, 5000, 400_000];

export class FileLedger {
  /** By path: what is safe, and what else it may be since. */
  private readonly files = new Map<string, { safe?: string; begun?: string }>();
  private rounds = 0;
  /** Files that are safe, replaced ones each time. */
  acknowledged = 0;
  failures = 0;
  private writer: ChildProcess | undefined;

  /** Goes on in a folder of its own. */
  async begin(mountpoint: string, sizes: readonly number[] = usualSizes): Promise<void> {
    const folder = `round-${this.rounds++}`;
    await run('mkdir', [`${mountpoint}/${folder}`]);
    this.writer = spawn('python3', ['-c', program, `${mountpoint}/${folder}`, sizes.join(',')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    createInterface({ input: this.writer.stdout as NodeJS.ReadableStream }).on('line', (line) =>
      this.hear(folder, line),
    );
  }

  /** Resolves when it has stopped; what it began last may be there or not. */
  async end(): Promise<void> {
    const { writer } = this;
    this.writer = undefined;
    if (writer === undefined) return;
    const closed = once(writer, 'close');
    writer.stdin?.end('stop');
    const [code] = await closed;
    assert.equal(code, 0, 'files are written');
  }

  /** Kills it, with whatever it waits for. */
  close(): void {
    this.writer?.kill('SIGKILL');
  }

  async verify(mountpoint: string): Promise<void> {
    const names = [...this.files].filter(([, { safe }]) => safe !== undefined).map(([name]) => name);
    if (names.length === 0) return;
    const found = await shell(`cd ${mountpoint} && xargs -d '\\n' sha256sum --`, names.join('\n'));
    const hashes = new Map(
      found
        .trim()
        .split('\n')
        .map((line) => [line.slice(66), line.slice(0, 64)]),
    );
    for (const name of names) {
      const { safe, begun } = this.files.get(name) ?? {};
      const hash = hashes.get(name);
      assert.ok(
        hash !== undefined && (hash === safe || hash === begun),
        `${name} at ${mountpoint}: ${hash}, not ${safe}`,
      );
    }
  }

  private hear(folder: string, line: string): void {
    const [what, name, digest = ''] = line.split(' ');
    const path = `${folder}/${name}`;
    const file = this.files.get(path) ?? {};
    if (what === 'begun') this.files.set(path, { ...file, begun: digest });
    else if (what === 'failed') this.failures++;
    else {
      this.files.set(path, { safe: digest });
      this.acknowledged++;
    }
  }
}
