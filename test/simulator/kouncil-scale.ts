// Kouncil with many nodes, measured: real overlays over simulated links. How long until all know each other when they start together,
// how long until one more is known everywhere, what an idle node sends, whom detectors give up though all are well, and how soon a
// node that died is known dead. By hand: node --import tsx test/simulator/kouncil-scale.ts NODES [SEED]

import { toHex } from '../../src/core/base/bytes.ts';
import { seedOf, startNode, type TestNode } from './ring-network.ts';
import { rememberVerifications } from './runtime/cheap-crypto.ts';
import { createWorld } from './runtime/world.ts';

const [count = 100, seed = 1] = process.argv.slice(2).map(Number);
const overlay = 'kouncil';
/** Few, so that a thousand tables fit into memory; what is sent does not depend on them. */
const positions = 4;
const quietMs = 30_000;

rememberVerifications();
const world = createWorld({ seed, link: { latencyMs: { min: 1, max: 20 } } });
let sentBytes = 0;
world.network.onCarried = (bytes) => {
  sentBytes += bytes;
};
const say = (what: string, value: string | number) => process.stdout.write(`${what}: ${value}\n`);
const cpuSeconds = () => (process.cpuUsage().user + process.cpuUsage().system) / 1e6;
const knows = ({ overlay }: TestNode) => (overlay as unknown as { table: { tree: { size: number } } }).table.tree.size;
const allKnow = (all: readonly TestNode[], wanted: number) => all.every((node) => knows(node) === wanted);
/** Looked at every tenth of a second: a look at a thousand nodes costs more than a step. */
async function until(condition: () => boolean, limitMs: number): Promise<void> {
  for (const end = world.nowMs + limitMs; !condition() && world.nowMs < end; ) await world.runFor(100);
}

const nodes: TestNode[] = [];
let falsely = 0;
const watch = (node: TestNode) => {
  node.overlay.events.on('left', (id) => {
    if (!dead.has(toHex(id))) falsely++;
  });
};
const dead = new Set<string>();
for (let i = 0; i < count; i++) {
  const seeds = i === 0 ? [] : [seedOf(`node-${i >> 1}`)];
  const node = startNode(world, `node-${i}`, { overlay, positions, seeds });
  nodes.push(node);
  watch(node);
  node.joined.catch(() => {});
  if (i % 20 === 19) await world.runFor(200);
}
const started = world.nowMs;
await until(() => allKnow(nodes, count), 30 * 60_000);
say('all know all after the last start, s', ((world.nowMs - started) / 1000).toFixed(1));
say('sent by each until then, KB', Math.round(sentBytes / count / 1000));
await world.runFor(quietMs);
sentBytes = 0;
await world.runFor(quietMs);
say('sent by each while nothing happens, B/s', Math.round(sentBytes / count / (quietMs / 1000)));
say('given up though well', falsely);
let began = world.nowMs;
const late = startNode(world, 'late', { overlay, positions, seeds: [seedOf('node-0')] });
late.joined.catch(() => {});
await until(() => allKnow([...nodes, late], count + 1), 10 * 60_000);
say('one more is known everywhere, and knows all, after s', ((world.nowMs - began) / 1000).toFixed(1));
const gone = nodes[count >> 1] as TestNode;
const others = [...nodes, late].filter((node) => node !== gone);
dead.add(gone.name);
world.host(gone.host).crash({ power: true });
began = world.nowMs;
const isDead = (node: TestNode) => node.overlay.liveness(gone.state.record.id) === 'dead';
await until(() => others.some(isDead), 10 * 60_000);
say('a dead node is known dead somewhere after s', ((world.nowMs - began) / 1000).toFixed(1));
await until(() => others.every(isDead), 20 * 60_000);
say('and everywhere after s', ((world.nowMs - began) / 1000).toFixed(1));
say('given up though well', falsely);
say('processor time, s', Math.round(cpuSeconds()));
process.exit(0);
