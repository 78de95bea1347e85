// 100,000 operations of concurrent clients of three doors on five real nodes, each in a network of its own, while networks are cut in
// both directions and in one, processes are killed and stand still: one history a key that some order explains, and every copy is made
// again. `INFINIT_TEST_SEED=N` plays a schedule of operations and faults again (the processes keep their own time).

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { type Connection, connect } from './cluster.ts';
import { eventually, sleep } from './device.ts';
import { type Door, Fleet, type Member } from './fleet.ts';
import { KeyHistory, type Random, seeded } from './key-history.ts';
import { type Host, needsLan } from './lan.ts';

const operations = 100_000;
const keyCount = 60;
const doors = 3;
const clientsPerDoor = 12;
const faults = 20;
/** How long a fault lasts: a leader's grants run out in the longer ones, and connections are given up. */
const faultMs = { min: 1500, max: 9000 };
const faultSteps = 50;
const recoverMs = 120_000;

/** Begins; what it resolves to ends it. */
type Fault = (scene: Scene) => Promise<() => Promise<void>>;

interface Scene {
  fleet: Fleet;
  random: Random;
  /** By chance, always another. */
  members: Member[];
  doors: Door[];
}

async function kill({ fleet }: Scene, members: readonly Member[], doors: readonly Door[]) {
  await Promise.all([...members.map(({ node }) => node.kill()), ...doors.map(({ process }) => process.kill())]);
  return async () => {
    for (const member of members) await fleet.restart(member);
    for (const door of doors) await fleet.restartDoor(door);
  };
}

async function pause(members: readonly Member[], doors: readonly Door[]) {
  const processes = [...members.map(({ node }) => node), ...doors.map(({ process }) => process)];
  for (const process of processes) process.pause();
  return async () => {
    for (const process of processes) process.goOn();
  };
}

/** Neither of these hears those. */
async function cut({ fleet }: Scene, these: readonly { host: Host }[], those: readonly { host: Host }[]) {
  await fleet.lan.part(hostsOf(these), hostsOf(those));
  return () => fleet.lan.heal();
}

/** These do not hear those, who hear them. */
async function deafen({ fleet }: Scene, these: readonly { host: Host }[], those: readonly { host: Host }[]) {
  for (const to of hostsOf(these)) for (const from of hostsOf(those)) await fleet.lan.deafen(to, from);
  return () => fleet.lan.heal();
}

function hostsOf(places: readonly { host: Host }[]): Host[] {
  return places.map(({ host }) => host);
}

/** Both at once. */
async function both(first: Promise<() => Promise<void>>, second: Promise<() => Promise<void>>) {
  const [endFirst, endSecond] = [await first, await second];
  return async () => {
    await endFirst();
    await endSecond();
  };
}

const kinds: Record<string, Fault> = {
  'a door is killed': (scene) => kill(scene, [], scene.doors.slice(0, 1)),
  'a door stands still': ({ doors }) => pause([], doors.slice(0, 1)),
  'two nodes are killed': (scene) => kill(scene, scene.members.slice(0, 2), []),
  'a door is cut off from everybody': (scene) =>
    cut(scene, scene.doors.slice(0, 1), [...scene.members, ...scene.doors.slice(1)]),
  'a door is not heard by the nodes': (scene) => deafen(scene, scene.members, scene.doors.slice(0, 1)),
  'three nodes stand still': ({ members }) => pause(members.slice(0, 3), []),
  'two nodes and a door are cut off': (scene) =>
    cut(
      scene,
      [...scene.members.slice(0, 2), ...scene.doors.slice(0, 1)],
      [...scene.members.slice(2), ...scene.doors.slice(1)],
    ),
  'two doors are killed': (scene) => kill(scene, [], scene.doors.slice(0, 2)),
  'nodes do not hear some of the others': (scene) =>
    deafen(scene, scene.members.slice(0, 2), scene.members.slice(2, 4)),
  'a door does not hear the nodes': (scene) => deafen(scene, scene.doors.slice(0, 1), scene.members),
  'a door stands still, a node is killed': (scene) =>
    both(pause([], scene.doors.slice(0, 1)), kill(scene, scene.members.slice(0, 1), [])),
  'doors reach each other, one of them no node': (scene) => cut(scene, scene.doors.slice(0, 1), scene.members),
  'everything is killed': (scene) => kill(scene, scene.members, scene.doors),
};

/** One fault after another: half of the operations are begun during them, the others between them, at most. */
async function trouble(
  fleet: Fleet,
  history: KeyHistory,
  random: Random,
): Promise<{ kinds: string[]; during: number }> {
  const part = operations / faults / 2;
  const names = shuffled(Object.keys(kinds), random);
  const made: string[] = [];
  let during = 0;
  for (let at = 0; at < faults; at++) {
    const due = part * (2 * at + 1);
    history.allowed = due;
    await eventually(`${due} operations`, recoverMs, async () => history.size >= due);
    const name = names[at % names.length] as string;
    const scene = { fleet, random, members: shuffled(fleet.members, random), doors: shuffled(fleet.doors, random) };
    const end = await (kinds[name] as Fault)(scene);
    const lastsMs = faultMs.min + random(faultMs.max - faultMs.min);
    const before = history.size;
    for (let step = 1; step <= faultSteps; step++) {
      history.allowed = due + (part * step) / faultSteps;
      await sleep(lastsMs / faultSteps);
    }
    during += history.size - before;
    await end();
    made.push(name);
  }
  history.allowed = Number.POSITIVE_INFINITY;
  return { kinds: made, during };
}

function shuffled<T>(all: readonly T[], random: Random): T[] {
  const left = [...all];
  return all.map(() => left.splice(random(left.length), 1)[0] as T);
}

test('100,000 operations are linearizable under cuts, kills and pauses', {
  timeout: 1_800_000,
  ...needsLan(),
}, async (context) => {
  const seed = Number(process.env.INFINIT_TEST_SEED ?? randomInt(2 ** 31));
  context.diagnostic(`INFINIT_TEST_SEED=${seed}`);
  const fleet = await Fleet.open({ nodes: 5, doors, healMs: recoverMs });
  const connections: Connection[] = [];
  try {
    await fleet.healed(recoverMs);
    const history = new KeyHistory({ operations, keys: keyCount, recoverMs });
    const began = Date.now();
    const clients = fleet.doors.flatMap(({ device }, door) =>
      Array.from({ length: clientsPerDoor }, async (_, number) => {
        const connection = await connect(device);
        connections.push(connection);
        const random = seeded(seed + 1 + door * clientsPerDoor + number);
        await history.work(`${device.name}-${number}`, connection.keys, random);
      }),
    );
    const [made] = await Promise.all([trouble(fleet, history, seeded(seed)), ...clients]);
    const workedMs = Date.now() - began;
    const { answered, unknown, size } = history;
    context.diagnostic(`${size} operations in ${workedMs} ms, ${made.during} of them begun during faults`);
    context.diagnostic(`${answered} answered, ${unknown} unknown; ${made.kinds.join('; ')}`);
    assert.equal(new Set(made.kinds).size, Object.keys(kinds).length);
    assert.ok(unknown > 0, 'faults hit something');
    assert.ok(unknown < size / 20, `${unknown} unknown of ${size}`);
    const last = await connect((fleet.doors[0] as Door).device);
    connections.push(last);
    await history.verify(last.keys, seed);
    context.diagnostic(`judged ${Date.now() - began - workedMs} ms later`);
    await fleet.healed(recoverMs);
  } finally {
    for (const { close } of connections) await close();
    await fleet.close();
  }
});
