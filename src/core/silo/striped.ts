// Several silos of one node as one. What must be ordered and counted together (registers, journals, meta) is in the first,
// whose identity is the identity of the whole; blocks and their generations are spread by rendezvous hashing, weighted by
// capacity. A block is looked for in all of them, so silos may be added, grow, or fill up.

import { compareBytes, toHex } from '../base/bytes.ts';
import { InfinitError, isError } from '../base/errors.ts';
import { KeyedMutex } from '../base/lifecycle.ts';
import { hash } from '../crypto/hash.ts';
import { checkEntries, notFound } from './entries.ts';
import type { Silo, SiloEntry, SiloKey, SiloStart, SiloUsage, Space } from './silo.ts';

/**
 * A batch is atomic within each silo; the first silo's share is written last, so that it never names a missing block.
 * `addedBytes`: what filters may have added to each value.
 */
export function stripedSilo(silos: readonly Silo[], addedBytes = 0): Silo {
  const [first] = silos;
  if (first === undefined) throw new InfinitError('usage', 'no silos to put together');
  const order = new KeyedMutex();
  const weights = new Map(silos.map((silo) => [silo, weightOf(silo)]));

  /** Best place of a key first. */
  function ranking(key: SiloKey): Silo[] {
    const scored = silos.map((silo) => ({ silo, score: score(silo, key, weights.get(silo) ?? 1) }));
    return scored.sort((a, b) => b.score - a.score).map(({ silo }) => silo);
  }

  async function holder(space: Space, key: SiloKey): Promise<Silo | undefined> {
    if (!isSpread(space)) return first;
    for (const silo of ranking(key)) if ((await silo.size(space, key)) !== undefined) return silo;
    return undefined;
  }

  async function need(space: Space, key: SiloKey): Promise<Silo> {
    const silo = await holder(space, key);
    if (silo === undefined) throw notFound(space);
    return silo;
  }

  /** Where it is already, else the best place that has room. */
  async function spread({ space, key, value }: SiloEntry): Promise<void> {
    const held = await holder(space, key);
    if (value === undefined) return held?.delete(space, key);
    const places = held === undefined ? ranking(key) : [held];
    for (const [at, silo] of places.entries()) {
      try {
        return await silo.put(space, key, value);
      } catch (error) {
        if (!isError(error, 'full') || at === places.length - 1) throw error;
      }
    }
  }

  function change(entry: SiloEntry): Promise<void> {
    if (!isSpread(entry.space)) return first?.batch([entry]) ?? Promise.resolve();
    return order.run(toHex(entry.key), () => spread(entry));
  }

  async function batch(entries: readonly SiloEntry[]): Promise<void> {
    checkEntries(entries, addedBytes);
    await Promise.all(entries.filter(({ space }) => isSpread(space)).map(change));
    await first?.batch(entries.filter(({ space }) => !isSpread(space)));
  }

  return {
    get storeId() {
      return first.storeId;
    },
    get: async (space, key, options) => (await need(space, key)).get(space, key, options),
    getRange: async (space, key, offset, length) => (await need(space, key)).getRange(space, key, offset, length),
    size: async (space, key) => (await holder(space, key))?.size(space, key),
    put: (space, key, value) => change({ space, key, value }),
    delete: (space, key) => change({ space, key, value: undefined }),
    batch,
    ...listsOf(silos, first),
    usage: () => sum(silos.map((silo) => silo.usage())),
    sequence: () => first.sequence(),
    verify: async (space, key) => (await need(space, key)).verify(space, key),
    renew: () => first.renew(),
    close: async () => {
      for (const silo of silos) await silo.close();
    },
  };
}

function listsOf(silos: readonly Silo[], first: Silo): Pick<Silo, 'list' | 'scan'> {
  const scan: Silo['scan'] = (space, startBytes, after) =>
    isSpread(space)
      ? merged(silos.map((silo) => silo.scan(space, startBytes, after)))
      : first.scan(space, startBytes, after);
  return { scan, list: (space, after) => keysOf(scan(space, 0, after)) };
}

function isSpread(space: Space): boolean {
  return space === 'block' || space === 'generation';
}

function weightOf(silo: Silo): number {
  const { capacityBytes, usedBytes, freeBytes } = silo.usage();
  return Math.max(1, capacityBytes ?? usedBytes + freeBytes);
}

/** Weighted rendezvous hashing: the chance to be highest is proportional to the weight. */
function score(silo: Silo, key: SiloKey, weight: number): number {
  const fraction = (hash(silo.storeId, key).readUIntBE(0, 6) + 1) / (2 ** 48 + 1);
  return -weight / Math.log(fraction);
}

function sum(usages: readonly SiloUsage[]): SiloUsage {
  const total = (of: (usage: SiloUsage) => number) => usages.reduce((all, usage) => all + of(usage), 0);
  const bounded = usages.every((usage) => usage.capacityBytes !== undefined);
  return {
    capacityBytes: bounded ? total((usage) => usage.capacityBytes ?? 0) : undefined,
    usedBytes: total((usage) => usage.usedBytes),
    deadBytes: total((usage) => usage.deadBytes),
    freeBytes: total((usage) => usage.freeBytes),
    entries: total((usage) => usage.entries),
    blocks: total((usage) => usage.blocks),
  };
}

async function* keysOf(found: AsyncIterable<SiloStart>): AsyncGenerator<SiloKey> {
  for await (const { key } of found) yield key;
}

/** Sorted sequences as one sorted sequence without repetitions. */
async function* merged(lists: readonly AsyncIterable<SiloStart>[]): AsyncGenerator<SiloStart> {
  const heads: { one: SiloStart; rest: AsyncIterator<SiloStart> }[] = [];
  const advance = async (rest: AsyncIterator<SiloStart>) => {
    const next = await rest.next();
    if (!next.done) heads.push({ one: next.value, rest });
  };
  for (const list of lists) await advance(list[Symbol.asyncIterator]());
  while (heads.length > 0) {
    heads.sort((a, b) => compareBytes(a.one.key, b.one.key));
    const [least] = heads;
    if (least === undefined) return;
    yield least.one;
    const equal = heads.filter(({ one }) => compareBytes(one.key, least.one.key) === 0);
    for (const head of equal) {
      heads.splice(heads.indexOf(head), 1);
      await advance(head.rest);
    }
  }
}
