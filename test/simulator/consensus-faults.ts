// Trouble for a cluster, from a seed: crashes with restarts, partitions, one disk lost for ever, records of another that rot.

import { type Cluster, rotten } from './consensus-cluster.ts';

/** Schedules faults over the time; at its end everything runs and nothing is cut. */
export function scheduleFaults(
  cluster: Cluster,
  durationMs: number,
  options: { loseDisk: boolean; rot?: boolean },
): void {
  const { world } = cluster;
  const random = world.random.fork('faults');
  const at = (ms: number, label: string, task: () => void) => world.schedule(ms * 1000, label, task);
  const someone = () => cluster.storage[random.below(cluster.storage.length)] ?? 'n0';
  const down = new Set<string>();
  for (let ms = 300; ms < durationMs - 1500; ms += 200 + random.below(700)) {
    const name = someone();
    const lasts = 50 + random.below(1200);
    const kind = random.below(10);
    if (kind < 5)
      at(ms, `crash ${name}`, () => {
        // More than two at once would only stop everything.
        if (down.has(name) || down.size >= 2) return;
        down.add(name);
        world.host(name).crash();
        at(lasts, `restart ${name}`, () => {
          down.delete(name);
          cluster.restart(name);
        });
      });
    else if (kind < 9) {
      const names = world.allHosts().map((host) => host.name);
      const left = names.filter(() => random.below(2) === 0);
      const right = names.filter((other) => !left.includes(other));
      const oneWay = random.below(3) === 0;
      at(ms, 'partition', () => at(lasts, 'mend', world.network.partition(left, right, { oneWay })));
    }
  }
  if (options.loseDisk) {
    const name = someone();
    at(durationMs / 3, `disk of ${name} lost`, () => {
      if (down.has(name)) return;
      world.host(name).crash();
      cluster.loseDisk(name);
      cluster.restart(name);
    });
  }
  if (options.rot) {
    const name = someone();
    for (let ms = 500; ms < durationMs - 1000; ms += 1000 + random.below(2000))
      at(ms, `a record of ${name} rots`, () => {
        if (down.has(name)) return;
        const { values } = cluster.disk(name);
        const records = [...values.keys()].filter((key) => key.startsWith('register/')).sort();
        const record = records[random.below(records.length)];
        if (record === undefined) return;
        world.host(name).crash();
        values.set(record, rotten);
        cluster.restart(name);
      });
  }
  at(durationMs, 'all is well', () => world.network.heal());
}
