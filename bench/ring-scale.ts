// Chord at scale: the overlay code of 10,000, 100,000 and 1,000,000 nodes in one process, against what its formulae promise.
// Run: node --import tsx bench/ring-scale.ts [--nodes 10000,100000] [--lookups 10000] [--seed 1] [--quiet]

import { performance } from 'node:perf_hooks';
import { type CourseFigures, promisedHops, reachableShare, runCourse } from '../test/simulator/ring-scale-course.ts';
import type { LookupFigures } from '../test/simulator/ring-scale-lookups.ts';

function option(name: string, usual: string): string {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? usual : (process.argv[at + 1] ?? usual);
}

const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

function lookupRow(name: string, figures: LookupFigures): string {
  const { mean, p50, p99, max, pathMean, silentMean, msMean, msP99, answered, exact, found } = figures;
  const hops = [mean.toFixed(2), p50, p99, max, pathMean.toFixed(2), silentMean.toFixed(2)];
  const times = [seconds(msMean), seconds(msP99)];
  return `| ${[name, ...hops, ...times, percent(answered), percent(exact), percent(found)].join(' | ')} |`;
}

function print(nodes: number, figures: CourseFigures, wallMs: number): void {
  const { upkeep, rounds, whole, cached, lost, violation, fingersWrong } = figures;
  const { user, system } = process.cpuUsage();
  const nearly = rounds.findIndex(({ exact }) => exact >= 0.999 * Math.floor(nodes / 2));
  const most = rounds.reduce((best, round) => (round.bytes > best.bytes ? round : best));
  const perNode = (bytes: number) => `${Math.round(bytes / (nodes / 2))} B`;
  const bytes = rounds.reduce((sum, round) => sum + round.bytes, 0);
  const hops = `Hops by formula: (15/16) log16 N ${(promisedHops(nodes) - 1).toFixed(2)}, with the last question ${promisedHops(nodes).toFixed(2)}; original Chord (log2 N) / 2: ${(Math.log2(nodes) / 2).toFixed(2)}.`;
  const lines = [
    `\n### ${nodes.toLocaleString('en')} nodes\n`,
    `${seconds(wallMs)} in all, ${seconds((user + system) / 1000)} of processor time; most resident memory ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB, arrays ${figures.bytesPerNode.toFixed(0)} B a node.`,
    `State of a node: list ${figures.listEntries.toFixed(1)} entries, fingers ${figures.fingers.toFixed(1)}. ${hops}`,
    `\n| lookups | asked | p50 | p99 | most | of them answered | silent | mean time | p99 | answered | named the live owner | surviving keys found |`,
    `| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |`,
    lookupRow('whole', whole),
    lookupRow('half failed, unnoticed', figures.unnoticed),
    lookupRow('dead neighbours known', figures.noticed),
    lookupRow('lists healed, fingers old', figures.healed),
    lookupRow('fingers refreshed', figures.refreshed),
    `\nRepeated within half a minute: ${cached.toFixed(2)} questions. Live owner within the list, by formula: ${percent(reachableShare())}.`,
    `Upkeep when quiet, a node and second: ${upkeep.total.toFixed(0)} B (probes ${upkeep.gossip.toFixed(0)}, stabilise ${upkeep.stabilise.toFixed(0)}, unify ${upkeep.unify.toFixed(0)}, fingers ${upkeep.fingers.toFixed(0)}), and ${upkeep.records.toFixed(2)} node records fetched (${upkeep.recordBytes.toFixed(0)} B).`,
    `Healing: ${percent(lost)} of the living had nobody left in their list (by formula ${percent(2 ** -8)}); ${nearly + 1} s to 99.9 % exact, ${rounds.length} s to all; ${perNode(bytes)} a live node in all, ${perNode(most.bytes)} in the busiest second.`,
    `R1 to R4, R6 on all live nodes: ${violation ?? 'hold'}; refreshed fingers of sampled nodes unlike the ring's: ${fingersWrong}.`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

const sizes = option('nodes', '10000,100000,1000000').split(',').map(Number);
const quiet = process.argv.includes('--quiet');
for (const nodes of sizes) {
  const began = performance.now();
  const onStage = (name: string, facts: unknown) => {
    if (!quiet) process.stderr.write(`${seconds(performance.now() - began)} ${name} ${JSON.stringify(facts)}\n`);
  };
  const lookups = Number(option('lookups', '10000'));
  const seed = Number(option('seed', '1'));
  const figures = await runCourse({ nodes, lookups, seed, machines: 10, minutes: 30, onStage });
  print(nodes, figures, performance.now() - began);
  if (figures.violation !== undefined || figures.fingersWrong > 0) process.exitCode = 1;
}
