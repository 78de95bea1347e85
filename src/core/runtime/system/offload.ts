// Compression in the thread pool of zlib: zstd level 1 where this Node has it, brotli quality 1 elsewhere. Data whose samples
// look random is left alone, because trying costs milliseconds a megabyte and gains nothing.

import zlib from 'node:zlib';
import { asBuffer, type Bytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import type { CodecName, Offload } from '../runtime.ts';

const samples = 8;
const sampleBytes = 512;
const entropyBitsMax = 7.5;
const keptRatioMax = 0.95;

type Callback = (error: Error | null, result: Buffer) => void;
type OutputLimit = { maxOutputLength?: number };

interface Method {
  compress(data: Bytes, done: Callback): void;
  compressSync(data: Bytes): Buffer;
  decompress(data: Bytes, options: OutputLimit, done: Callback): void;
  decompressSync(data: Bytes, options: OutputLimit): Buffer;
}

const { constants } = zlib;

const brotli: Method = {
  compress: (data, done) => zlib.brotliCompress(data, brotliOptions(data), done),
  compressSync: (data) => zlib.brotliCompressSync(data, brotliOptions(data)),
  decompress: zlib.brotliDecompress,
  decompressSync: zlib.brotliDecompressSync,
};

function brotliOptions(data: Bytes): zlib.BrotliOptions {
  return { params: { [constants.BROTLI_PARAM_QUALITY]: 1, [constants.BROTLI_PARAM_SIZE_HINT]: data.length } };
}

/** What newer Node versions add to zlib. */
interface ZstdFunctions {
  zstdCompress?: (data: Bytes, options: object, done: Callback) => void;
  zstdCompressSync?: (data: Bytes, options: object) => Buffer;
  zstdDecompress?: Method['decompress'];
  zstdDecompressSync?: Method['decompressSync'];
}

function findZstd(): Method | undefined {
  const { zstdCompress, zstdCompressSync, zstdDecompress, zstdDecompressSync } = zlib as ZstdFunctions;
  if (!zstdCompress || !zstdCompressSync || !zstdDecompress || !zstdDecompressSync) return undefined;
  const level = (constants as Record<string, number>).ZSTD_c_compressionLevel ?? 100;
  const options = { params: { [level]: 1 } };
  return {
    compress: (data, done) => zstdCompress(data, options, done),
    compressSync: (data) => zstdCompressSync(data, options),
    decompress: zstdDecompress,
    decompressSync: zstdDecompressSync,
  };
}

const zstd = findZstd();

function methodOf(codec: Exclude<CodecName, 'none'>): Method {
  const method = codec === 'zstd' ? zstd : brotli;
  if (!method)
    throw new InfinitError('unsupported', `this version of Node has no ${codec}`, { hint: 'run it with Node 24' });
  return method;
}

export const systemOffload: Offload = {
  preferredCodec: zstd ? 'zstd' : 'brotli',

  async compress(data, codec) {
    if (codec === 'none' || looksRandom(data)) return undefined;
    const method = methodOf(codec);
    const packed = await new Promise<Buffer>((resolve, reject) =>
      method.compress(data, (error, out) => (error ? reject(error) : resolve(out))),
    );
    return worthKeeping(data, packed);
  },

  async decompress(data, codec, limit) {
    if (codec === 'none' || limit === 0) return decompressSync(data, codec, limit);
    const method = methodOf(codec);
    return new Promise<Buffer>((resolve, reject) =>
      method.decompress(data, { maxOutputLength: limit }, (error, out) =>
        error ? reject(badInput(codec, error)) : resolve(out),
      ),
    );
  },

  decompressSync,
};

export function compressSync(data: Bytes, codec: CodecName): Buffer | undefined {
  if (codec === 'none' || looksRandom(data)) return undefined;
  return worthKeeping(data, methodOf(codec).compressSync(data));
}

export function decompressSync(data: Bytes, codec: CodecName, limit: number): Buffer {
  if (codec === 'none') {
    if (data.length > limit) throw new InfinitError('corrupt', `${data.length} bytes are above the limit of ${limit}`);
    return asBuffer(data);
  }
  const method = methodOf(codec);
  let out: Buffer;
  try {
    // zlib knows no limit of zero.
    out = method.decompressSync(data, { maxOutputLength: Math.max(1, limit) });
  } catch (error) {
    throw badInput(codec, error);
  }
  if (out.length > limit) throw badInput(codec, undefined);
  return out;
}

function badInput(codec: CodecName, cause: unknown): InfinitError {
  return new InfinitError('corrupt', `bad ${codec} data, or more output than allowed`, { cause });
}

function worthKeeping(data: Bytes, packed: Buffer): Buffer | undefined {
  return packed.length <= data.length * keptRatioMax ? packed : undefined;
}

/** Whether the byte frequencies of samples spread over the data leave nothing to gain. */
export function looksRandom(data: Bytes): boolean {
  const total = samples * sampleBytes;
  if (data.length < total) return false;
  const counts = new Uint16Array(256);
  const stride = Math.floor((data.length - sampleBytes) / (samples - 1));
  for (let sample = 0; sample < samples; sample++)
    for (let at = sample * stride, end = at + sampleBytes; at < end; at++) {
      const byte = data[at] as number;
      counts[byte] = (counts[byte] as number) + 1;
    }
  let bits = 0;
  for (const count of counts) if (count > 0) bits -= (count / total) * Math.log2(count / total);
  return bits > entropyBitsMax;
}
