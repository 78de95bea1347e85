// Counts and times of one process, told in the text format of Prometheus. Counting costs one lookup and an addition; what can be
// asked for is asked when somebody reads.

import { limits } from './limits.ts';

/** One value a reader sees, with labels. */
export interface Sample {
  labels?: Readonly<Record<string, string>>;
  value: number;
}

/** A metric whose values are found out when it is read. */
export interface Reading {
  name: string;
  help: string;
  type: 'gauge' | 'counter';
  samples: readonly Sample[];
}

type Source = () => Promise<readonly Reading[]> | readonly Reading[];

interface Family {
  lines(constant: string): string[];
}

/** Upper bounds in seconds: from what memory takes to what people give up on. */
export const latencyBuckets = [
  ...[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05],
  ...[0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
] as const;

/** Between the values of several labels. */
const separator = '\0';

/** A sum that only grows, for each value of its labels. */
export class Counter implements Family {
  private readonly name: string;
  private readonly help: string;
  private readonly labels: readonly string[];
  private readonly sums = new Map<string, number>();

  constructor(name: string, help: string, labels: readonly string[]) {
    this.name = name;
    this.help = help;
    this.labels = labels;
  }

  /** A value for each label. */
  add(amount: number, ...values: string[]): void {
    const key = bounded(this.sums, values.join(separator));
    this.sums.set(key, (this.sums.get(key) ?? 0) + amount);
  }

  lines(constant: string): string[] {
    const samples = [...this.sums].map(([key, sum]) => line(this.name, constant, this.labelled(key), sum));
    return [...heading(this.name, this.help, 'counter'), ...samples];
  }

  private labelled(key: string): Record<string, string> {
    const values = key.split(separator);
    return Object.fromEntries(this.labels.map((label, at) => [label, values[at] ?? tooMany]));
  }
}

/** How long something takes, for each value of one label. */
export class Histogram implements Family {
  private readonly name: string;
  private readonly help: string;
  private readonly label: string;
  private readonly series = new Map<string, { counts: Float64Array; sum: number }>();

  constructor(name: string, help: string, label: string) {
    this.name = name;
    this.help = help;
    this.label = label;
  }

  observe(milliseconds: number, value: string): void {
    const key = bounded(this.series, value);
    let one = this.series.get(key);
    if (one === undefined) {
      one = { counts: new Float64Array(latencyBuckets.length + 1), sum: 0 };
      this.series.set(key, one);
    }
    const seconds = milliseconds / 1000;
    let at = 0;
    while (at < latencyBuckets.length && seconds > (latencyBuckets[at] as number)) at++;
    one.counts[at] = (one.counts[at] as number) + 1;
    one.sum += seconds;
  }

  lines(constant: string): string[] {
    const lines = heading(this.name, this.help, 'histogram');
    for (const [value, { counts, sum }] of this.series) {
      const labels = { [this.label]: value };
      let total = 0;
      for (const [at, bound] of [...latencyBuckets, Number.POSITIVE_INFINITY].entries()) {
        total += counts[at] as number;
        const le = bound === Number.POSITIVE_INFINITY ? '+Inf' : String(bound);
        lines.push(line(`${this.name}_bucket`, constant, { ...labels, le }, total));
      }
      lines.push(line(`${this.name}_sum`, constant, labels, sum), line(`${this.name}_count`, constant, labels, total));
    }
    return lines;
  }
}

/** All metrics of a process. */
export class Metrics {
  private readonly families = new Map<string, Counter | Histogram>();
  private readonly sources = new Set<Source>();
  private readonly constant: string;

  /** The labels stand at every sample. */
  constructor(labels: Readonly<Record<string, string>> = {}) {
    this.constant = Object.entries(labels).map(pair).join(',');
  }

  /** The one of that name, made when it is first asked for. */
  counter(name: string, help: string, ...labels: string[]): Counter {
    return this.family(name, () => new Counter(name, help, labels)) as Counter;
  }

  histogram(name: string, help: string, label: string): Histogram {
    return this.family(name, () => new Histogram(name, help, label)) as Histogram;
  }

  /** Asked whenever somebody reads, until what it gives is called; what it throws leaves its metrics out. */
  source(read: Source): () => void {
    this.sources.add(read);
    return () => void this.sources.delete(read);
  }

  /** Everything, in the text format. */
  async text(): Promise<string> {
    const read = await Promise.allSettled(Array.from(this.sources, async (source) => source()));
    const readings = read.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    const lines = [...this.families.values()].flatMap((family) => family.lines(this.constant));
    for (const { name, help, type, samples } of merged(readings)) {
      lines.push(...heading(name, help, type));
      for (const { labels, value } of samples) lines.push(line(name, this.constant, labels ?? {}, value));
    }
    return `${lines.join('\n')}\n`;
  }

  private family(name: string, make: () => Counter | Histogram): Counter | Histogram {
    const found = this.families.get(name) ?? make();
    this.families.set(name, found);
    return found;
  }
}

/** One of each name, as the text format wants it, though several sources tell of it. */
function merged(readings: readonly Reading[]): Reading[] {
  const byName = new Map<string, Reading>();
  for (const reading of readings) {
    const before = byName.get(reading.name)?.samples ?? [];
    byName.set(reading.name, { ...reading, samples: [...before, ...reading.samples] });
  }
  return [...byName.values()];
}

/** What stands for all values that are too many. */
const tooMany = 'other';

function bounded(known: ReadonlyMap<string, unknown>, value: string): string {
  return known.has(value) || known.size < limits.metricValuesMax ? value : tooMany;
}

function heading(name: string, help: string, type: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

function line(name: string, constant: string, labels: Readonly<Record<string, string>>, value: number): string {
  const all = [constant, ...Object.entries(labels).map(pair)].filter((part) => part !== '').join(',');
  return `${name}${all === '' ? '' : `{${all}}`} ${value}`;
}

function pair([name, value]: [string, string]): string {
  return `${name}="${value.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')}"`;
}
