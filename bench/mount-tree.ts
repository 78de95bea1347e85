// Source trees made for measurements, the same every time: as a tar, and as a git repository. Sizes of files are spread as those of
// source code are (a median of 6 KB, a mean of 15), their text is words, which compress to half.

import { closeSync, openSync, writeSync } from 'node:fs';
import { run, type Scene } from './mount-scene.ts';

const medianBytes = 6000;
const spreadOfSizes = 1.4;
const bytesMax = 1 << 20;
const filesInFolder = 12;
const commits = 10;

/** Numbers from 0 to 1 that follow from the seed (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface TreeFile {
  path: string;
  content: Buffer;
}

function* treeFiles(count: number, seed: number): Iterable<TreeFile> {
  const next = numbers(seed);
  const text = sampleText(next);
  for (let i = 0; i < count; i++) {
    const normal = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
    const bytes = Math.min(bytesMax, Math.max(16, Math.round(medianBytes * Math.exp(spreadOfSizes * normal))));
    const from = Math.floor(next() * (text.length - bytes));
    const path = `${folderOf(Math.floor(i / filesInFolder))}/file-${i}.c`;
    yield { path, content: Buffer.concat([Buffer.from(`/* ${path} */\n`), text.subarray(from, from + bytes)]) };
  }
}

/** Folders nest: eight in each. */
function folderOf(number: number): string {
  const above = number < 8 ? 'tree' : folderOf(Math.floor(number / 8) - 1);
  return `${above}/part-${number}`;
}

function sampleText(next: () => number): Buffer {
  const letters = 'etaoinshrdlucmfwypvbgkjqxz_';
  const word = () =>
    Array.from({ length: 2 + Math.floor(next() * 9) }, () => letters[Math.floor(next() ** 2 * letters.length)]).join(
      '',
    );
  const words = Array.from({ length: 3000 }, word);
  const ends = [' ', ' ', ' ', ' = ', '(', ');\n', ', ', '->', ' {\n  ', '}\n\n'];
  const parts: string[] = [];
  for (let length = 0; length < 4 * bytesMax; ) {
    const part = `${words[Math.floor(next() ** 2 * words.length)]}${ends[Math.floor(next() * ends.length)]}`;
    parts.push(part);
    length += part.length;
  }
  return Buffer.from(parts.join(''));
}

/** Writes a tar of so many files; resolves with the bytes of their contents. */
export function writeTar(path: string, files: number): number {
  const file = openSync(path, 'w');
  const folders = new Set<string>();
  let bytes = 0;
  const write = (part: Buffer) => writeSync(file, part);
  const addFolder = (folder: string) => {
    if (folders.has(folder)) return;
    if (folder.includes('/')) addFolder(folder.slice(0, folder.lastIndexOf('/')));
    folders.add(folder);
    write(tarHeader(`${folder}/`, 0, '5'));
  };
  for (const { path, content } of treeFiles(files, 1)) {
    addFolder(path.slice(0, path.lastIndexOf('/')));
    write(tarHeader(path, content.length, '0'));
    write(content);
    write(Buffer.alloc(-content.length & 511));
    bytes += content.length;
  }
  write(Buffer.alloc(1024));
  closeSync(file);
  return bytes;
}

/** A POSIX ustar header: owned by root, of one moment. */
function tarHeader(name: string, bytes: number, type: '0' | '5'): Buffer {
  const header = Buffer.alloc(512);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0');
  header.write(name, 0, 100);
  header.write(type === '5' ? '0000755' : '0000644', 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(bytes, 11), 124);
  header.write(octal(1_700_000_000, 11), 136);
  header.fill(' ', 148, 156);
  header.write(type, 156);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\x00 `, 148);
  return header;
}

/** Makes a bare repository of so many files in ten commits. */
export async function writeRepository(path: string, files: number, scene: Scene): Promise<void> {
  await run('git', ['init', '--quiet', '--bare', '--initial-branch=main', path], { signal: scene.signal });
  const input = importStream(files);
  await run('git', [`--git-dir=${path}`, 'fast-import', '--quiet'], { signal: scene.signal, input });
}

function* importStream(files: number): Iterable<Buffer> {
  const all = [...treeFiles(files, 2)];
  const each = Math.ceil(all.length / commits);
  for (let i = 0; i < commits; i++) {
    yield Buffer.from(`commit refs/heads/main\ncommitter Bench <bench@localhost> ${1_700_000_000 + i} +0000\n`);
    yield Buffer.from(`data <<END\nPart ${i}\nEND\n`);
    for (const { path, content } of all.slice(i * each, (i + 1) * each)) {
      yield Buffer.from(`M 100644 inline ${path}\ndata ${content.length}\n`);
      yield content;
      yield Buffer.from('\n');
    }
  }
}
