// Hops of lookups in ideal rings without a location cache, against (15/16) log16 of the positions, plus one.
// Run: node --import tsx bench/ring.ts [lookups]

import { expectedHops, measureHops } from '../test/simulator/ring-ideal.ts';

const lookups = Number(process.argv[2] ?? 2000);
const cases = [
  [100, 1],
  [1000, 1],
  [1000, 4],
  [1000, 8],
  [10_000, 1],
] as const;

console.log('nodes  positions  mean hops  expected  99 %  most  fingers');
for (const [nodes, positions] of cases) {
  const { mean, percentile99, max, fingersMean } = await measureHops(nodes, positions, lookups);
  const columns = [
    String(nodes).padStart(5),
    String(positions).padStart(9),
    mean.toFixed(2).padStart(9),
    expectedHops(nodes * positions)
      .toFixed(2)
      .padStart(8),
    String(percentile99).padStart(4),
    String(max).padStart(4),
    fingersMean.toFixed(1).padStart(7),
  ];
  console.log(columns.join('  '));
}
