// Simulations of whole nodes under faults, by seed: `npm run simulate -- --seed 42`, or `--seeds 100` for the first hundred.
// A failure prints the seed; the same seed gives the same course of events.

import { describe } from '../test/simulator/linearizable.ts';
import { createWorld } from '../test/simulator/runtime/world.ts';
import { FaultSchedule } from '../test/simulator/whole-faults.ts';

function option(name: string): string | undefined {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
}

async function simulate(seed: string, verbose: boolean): Promise<boolean> {
  const world = createWorld({
    seed,
    log: ({ atMs, host, level, component, message }) => {
      if (verbose) process.stdout.write(`${atMs.toFixed(0).padStart(7)} ${host} ${level} ${component}: ${message}\n`);
    },
  });
  const schedule = new FaultSchedule(world, { nodes: 5, clients: 2, durationMs: 60_000, keys: 6 });
  try {
    const { answered, history, faults, violation } = await schedule.run();
    const course = `${world.eventCount} events, ${answered} of ${history.length} operations answered, trace ${world.trace().slice(0, 12)}`;
    process.stdout.write(
      `seed ${seed}: ${violation ? 'NOT LINEARIZABLE' : 'ok'}, ${course}, ${JSON.stringify(faults)}\n`,
    );
    if (violation) process.stdout.write(`key ${violation.key}\n${describe(violation.operations)}\n`);
    return violation === undefined;
  } catch (error) {
    process.stdout.write(
      `seed ${seed}: FAILED after ${world.nowMs.toFixed(0)} ms: ${error instanceof Error ? error.stack : String(error)}\n`,
    );
    return false;
  }
}

const only = option('seed');
const seeds =
  only === undefined ? Array.from({ length: Number(option('seeds') ?? 10) }, (_, i) => String(i + 1)) : [only];
const failed: string[] = [];
for (const seed of seeds) if (!(await simulate(seed, process.argv.includes('--verbose')))) failed.push(seed);
if (failed.length > 0)
  process.stdout.write(`${failed.map((seed) => `npm run simulate -- --seed ${seed} --verbose`).join('\n')}\n`);
process.exit(failed.length > 0 ? 1 : 0);
