// All fuzzers, one table.

import { codecFuzzers } from './codecs.ts';
import { fileFuzzers } from './files.ts';
import type { Fuzzer } from './fuzzer.ts';
import { hubFuzzers } from './hub.ts';
import { liveFuzzers } from './live.ts';
import { portFuzzers } from './ports.ts';
import { signedFuzzers } from './signed.ts';
import { storedFuzzers } from './stored.ts';

export const fuzzers: readonly Fuzzer[] = [
  ...codecFuzzers,
  ...signedFuzzers,
  ...storedFuzzers,
  ...fileFuzzers,
  ...liveFuzzers,
  ...hubFuzzers,
  ...portFuzzers,
];
