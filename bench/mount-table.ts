// Results of `mount.ts` as a table and as JSON: medians and ranges of the rounds, and how many times as fast as its peers the last
// of the targets is.

import { median, spread } from './measure.ts';
import type { Outcome } from './mount-worker.ts';
import type { Work } from './mount-works.ts';

export interface Taken extends Outcome {
  round: number;
  /** Processor time that the processes behind the directory took. */
  cpuSeconds: number;
}

export class Results {
  readonly loads: number[] = [];
  readonly memoryMiB = new Map<string, number>();
  readonly failures: { target: string; work: string; round: number; message: string }[] = [];
  private readonly taken = new Map<string, Taken[]>();

  add(target: string, work: Work, taken: Taken): void {
    const key = `${target} ${work.name}`;
    this.taken.set(key, [...(this.taken.get(key) ?? []), taken]);
  }

  failed(target: string, work: string, round: number): boolean {
    return this.failures.some((one) => one.target === target && one.work === work && one.round === round);
  }

  of(target: string, work: Work): readonly Taken[] {
    return this.taken.get(`${target} ${work.name}`) ?? [];
  }
}

export function table(results: Results, works: readonly Work[], targets: readonly string[]): string[] {
  const [peers, subject] = [targets.slice(0, -1), targets.at(-1) as string];
  const heads = ['', 'unit', ...targets, ...peers.map((peer) => `${subject} to ${peer}`)];
  const rows = works.map((work) => [
    work.name,
    work.unit,
    ...targets.map((target) => cell(results.of(target, work), results, target, work)),
    ...peers.map((peer) => ratioCell(ratios(results.of(subject, work), results.of(peer, work), work))),
  ]);
  return [heads, ['---', ...heads.slice(1).map(() => '--:')], ...rows].map((row) => `| ${row.join(' | ')} |`);
}

function cell(taken: readonly Taken[], results: Results, target: string, work: Work): string {
  const failed = results.failures.filter((failure) => failure.target === target && failure.work === work.name).length;
  if (taken.length === 0) return failed > 0 ? 'failed' : '-';
  const values = taken.map(({ value }) => value);
  const text = spread(values, digits(median(values)));
  const p99 = taken.flatMap(({ p99Ms }) => (p99Ms === undefined ? [] : [p99Ms]));
  const slow = p99.length > 0 ? ` p99 ${median(p99).toFixed(digitsOfTime(median(p99)))}` : '';
  return `${text}${slow}${failed > 0 ? `, ${failed} failed` : ''}`;
}

function digits(value: number): number {
  if (value < 10) return 2;
  return value < 100 ? 1 : 0;
}

function digitsOfTime(ms: number): number {
  if (ms < 0.1) return 3;
  return ms < 10 ? 1 : 0;
}

/** Above 1: ours is faster. Round by round. */
function ratios(ours: readonly Taken[], theirs: readonly Taken[], { unit }: Work): number[] {
  return ours.flatMap(({ round, value }) => {
    const peer = theirs.find((one) => one.round === round);
    if (peer === undefined) return [];
    return [unit === 's' ? peer.value / value : value / peer.value];
  });
}

function ratioCell(values: readonly number[]): string {
  return values.length > 0 ? spread(values, 2) : '-';
}

export function asJson(results: Results, works: readonly Work[], targets: readonly string[]): object {
  const [peers, subject] = [targets.slice(0, -1), targets.at(-1) as string];
  return {
    targets,
    works: works.map((work) => ({
      name: work.name,
      unit: work.unit,
      rounds: Object.fromEntries(targets.map((target) => [target, results.of(target, work)])),
      ratios: Object.fromEntries(
        peers.map((peer) => [peer, ratios(results.of(subject, work), results.of(peer, work), work)]),
      ),
    })),
    memoryMiB: Object.fromEntries(results.memoryMiB),
    loads: results.loads,
    failures: results.failures,
  };
}
