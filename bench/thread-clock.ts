// Processor time of the thread that asks. Node 20 has no call for it; its WASI does. On a busy machine the longest time between
// two turns of an event loop says how long the thread had to wait for a core; this says how long it worked.

import { WASI } from 'node:wasi';

/** The part of WebAssembly used here. */
declare const WebAssembly: {
  Module: new (code: Uint8Array) => object;
  Instance: new (module: object) => { exports: { memory: { buffer: ArrayBuffer } } };
};

/** A module that has nothing but one page of memory, exported as "memory". */
const memoryOnly = '0061736d010000000503010001070a01066d656d6f72790200';
const threadCpuClock = 3;

const wasi = new WASI({ version: 'preview1' });
const instance = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(memoryOnly, 'hex')));
wasi.initialize(instance);
const result = new DataView(instance.exports.memory.buffer);
const { clock_time_get: readClock } = wasi.wasiImport as {
  clock_time_get(clock: number, precision: bigint, into: number): number;
};

/** Milliseconds this thread has worked. */
export function threadCpuMs(): number {
  readClock(threadCpuClock, 0n, 0);
  return Number(result.getBigUint64(0, true)) / 1e6;
}

/** Looks every millisecond; the call that ends it gives the longest work between two looks, less that millisecond. */
export function watchTurns(): () => number {
  let last = threadCpuMs();
  let longest = 0;
  const look = () => {
    const now = threadCpuMs();
    longest = Math.max(longest, now - last);
    last = now;
  };
  const timer = setInterval(look, 1);
  return () => {
    clearInterval(timer);
    look();
    return Math.max(0, longest - 1);
  };
}
