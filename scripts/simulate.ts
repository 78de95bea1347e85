// Simulations of whole nodes under mixed faults, by seed: `npm run simulate -- --seed 42 --nodes 5 --minutes 2`, or
// `--seeds 1..100` for many. The same seed gives the same course of events; a failure prints the words that run it again.

import { parseArgs } from 'node:util';
import {
  commandOf,
  type MixedOptions,
  type MixedResult,
  type Profile,
  standard,
} from '../test/simulator/mixed/options.ts';
import { Simulation } from '../test/simulator/mixed/simulation.ts';
import { runPlanted } from '../test/simulator/planted/planting.ts';
import { plantOf, plants } from '../test/simulator/planted/plants.ts';
import { rememberVerifications } from '../test/simulator/runtime/cheap-crypto.ts';
import { createWorld } from '../test/simulator/runtime/world.ts';
import { Coverage, dutyReport, openDuties } from '../test/simulator/watch/coverage.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    nodes: { type: 'string' },
    clients: { type: 'string' },
    minutes: { type: 'string' },
    overlay: { type: 'string' },
    profile: { type: 'string' },
    faults: { type: 'string' },
    plant: { type: 'string' },
    'until-broken': { type: 'boolean', default: false },
    coverage: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});

function seedsOf(): string[] {
  if (values.seed !== undefined) return [values.seed];
  const [first, last] = (values.seeds ?? '10').split('..').map(Number);
  const [from, to] = last === undefined ? [1, first ?? 10] : [first ?? 1, last];
  return Array.from({ length: to - from + 1 }, (_, i) => String(from + i));
}

function optionsOf(seed: string): MixedOptions {
  return {
    ...standard,
    seed,
    nodes: Number(values.nodes ?? standard.nodes),
    clients: Number(values.clients ?? standard.clients),
    minutes: Number(values.minutes ?? standard.minutes),
    overlay: (values.overlay ?? standard.overlay) as MixedOptions['overlay'],
    profile: (values.profile ?? standard.profile) as Profile,
    faults: values.faults?.split(',') ?? [],
  };
}

async function simulate(options: MixedOptions): Promise<MixedResult> {
  const world = createWorld({
    seed: options.seed,
    log: ({ atMs, host, level, component, message }) => {
      if (values.verbose)
        process.stdout.write(`${atMs.toFixed(0).padStart(7)} ${host} ${level} ${component}: ${message}\n`);
    },
  });
  return await new Simulation(world, options).run();
}

function tell({ seed, violations, events, virtualMs, operations, trace }: MixedResult, options: MixedOptions): void {
  const { keys, files, registers, locks, blocks } = operations;
  const course = `${(virtualMs / 1000).toFixed(0)} s, ${events} events, ${keys} on keys, ${files} on files, ${registers} on registers, ${locks} with locks, ${blocks} blocks`;
  process.stdout.write(
    `seed ${seed}: ${violations.length === 0 ? 'ok' : 'BROKEN'}, ${course}, trace ${trace.slice(0, 12)}\n`,
  );
  for (const { rule, atMs, message } of violations)
    process.stdout.write(`  ${rule} at ${atMs.toFixed(0)} ms: ${message}\n`);
  if (violations.length > 0) process.stdout.write(`  ${commandOf(options)} --verbose\n`);
}

async function main(): Promise<number> {
  rememberVerifications();
  if (!values.verbose) Error.stackTraceLimit = values.seed === undefined ? 0 : 10;
  const coverage = new Coverage();
  const sum = { seeds: 0, broken: 0, virtualMs: 0, keys: 0, files: 0, registers: 0, locks: 0 };
  for (const seed of seedsOf()) {
    const options = optionsOf(seed);
    const result = await simulate(options);
    tell(result, options);
    coverage.merge(result.coverage);
    sum.seeds++;
    sum.broken += result.violations.length > 0 ? 1 : 0;
    sum.virtualMs += result.virtualMs;
    sum.keys += result.operations.keys;
    sum.files += result.operations.files;
    sum.registers += result.operations.registers;
    sum.locks += result.operations.locks;
    if (values['until-broken'] && sum.broken > 0) break;
  }
  const hours = (sum.virtualMs / 3_600_000).toFixed(1);
  process.stdout.write(
    `${sum.seeds} seeds, ${sum.broken} broken, ${hours} virtual hours, operations: ${sum.keys} on keys, ${sum.files} on files, ${sum.registers} on registers, ${sum.locks} with locks\n`,
  );
  if (values.coverage) {
    process.stdout.write(`${coverage.report()}\n${dutyReport(coverage)}\n`);
    const open = openDuties(coverage);
    process.stdout.write(`not done:\n${open.map((line) => `  ${line}`).join('\n') || '  (none)'}\n`);
  }
  return sum.broken > 0 ? 1 : 0;
}

/** Planted bugs: each must be found by a rule that should find it. */
async function plant(name: string): Promise<number> {
  const missed: string[] = [];
  for (const one of name === 'all' ? plants : [plantOf(name)]) {
    const { caught, rules, seeds, output } = await runPlanted(one);
    const by = [...new Set(rules)].join(', ');
    const how = caught
      ? `found by ${by} in seed ${seeds}`
      : `NOT FOUND in ${seeds} seeds${by && `, but ${by} is broken`}`;
    process.stdout.write(`${one.name} (${one.bug}): ${how}\n`);
    if (!caught) missed.push(one.name);
    if (values.verbose || !caught) process.stdout.write(`${output.slice(0, 4000)}\n`);
  }
  if (missed.length > 0) process.stdout.write(`not found: ${missed.join(', ')}\n`);
  return missed.length > 0 ? 1 : 0;
}

process.exit(await (values.plant === undefined ? main() : plant(values.plant)));
