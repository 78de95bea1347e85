// Hostile input for a while: `npm run fuzz -- --seconds 60 [--only NAME] [--seed N] [--count N]`. Seeds count up from N, a random
// number by default; each violation prints what shows it again.

import { inspect } from 'node:util';
import { canary } from '../test/fuzz/canary.ts';
import { type Fuzzer, tryInput } from '../test/fuzz/fuzzer.ts';
import { fuzzers } from '../test/fuzz/table.ts';

const reportedMax = 5;

function option(name: string): string | undefined {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
}

interface Tally {
  tried: number;
  violations: number;
}

/** Inputs from that seed on, until the time is over. At least one. */
async function run(subject: Fuzzer, seed: number, untilMs: number, count: number): Promise<Tally> {
  const tally: Tally = { tried: 0, violations: 0 };
  do {
    try {
      await tryInput(subject, seed + tally.tried);
    } catch (error) {
      if (++tally.violations <= reportedMax) process.stdout.write(`${inspect(error)}\n`);
    }
    tally.tried++;
  } while (tally.tried < count && performance.now() < untilMs);
  return tally;
}

/** Codecs are many and fast. */
function weightOf({ name }: Fuzzer): number {
  return name.startsWith('codec ') ? 1 : 8;
}

const only = option('only');
const chosen = [...fuzzers, canary].filter(({ name }) =>
  only === undefined ? name !== 'canary' : name.includes(only),
);
if (chosen.length === 0) {
  process.stdout.write(`no fuzzer ${only}; there are:\n${fuzzers.map(({ name }) => `  ${name}`).join('\n')}\n`);
  process.exit(1);
}
const seed = Number(option('seed') ?? Math.floor(Math.random() * 1e9));
const endMs = performance.now() + Number(option('seconds') ?? 60) * 1000;
const total: Tally = { tried: 0, violations: 0 };
process.stdout.write(`from seed ${seed}\n`);
for (const [index, subject] of chosen.entries()) {
  // What others left over is shared by those to come.
  const weights = chosen.slice(index).map(weightOf);
  const shareMs = ((endMs - performance.now()) * weightOf(subject)) / weights.reduce((sum, weight) => sum + weight, 0);
  const count = Number(option('count') ?? Number.POSITIVE_INFINITY);
  const { tried, violations } = await run(subject, seed, performance.now() + shareMs, count);
  const verdict = violations === 0 ? '' : `, ${violations} VIOLATIONS`;
  process.stdout.write(`${subject.name.padEnd(28)} ${String(tried).padStart(8)} inputs${verdict}\n`);
  total.tried += tried;
  total.violations += violations;
}
const memory = Math.round(process.resourceUsage().maxRSS / 1024);
process.stdout.write(`${total.tried} inputs, ${total.violations} violations, at most ${memory} MiB of memory\n`);
process.exit(total.violations > 0 ? 1 : 0);
