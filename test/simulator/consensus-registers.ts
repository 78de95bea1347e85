// Clients that read, write, compare and set a few registers, while members change and everything fails now and then. The
// history they saw must be linearizable, and everything must work again when the faults are over.

import { isError } from '../../src/core/base/errors.ts';
import { type Address, registerAddress } from '../../src/core/block/address.ts';
import { accessInClear } from '../../src/core/block/register.ts';
import type { RegisterSnapshot } from '../../src/core/consensus/consensus.ts';
import { Cluster, user } from './consensus-cluster.ts';
import { scheduleFaults } from './consensus-faults.ts';
import { Ledger } from './consensus-ledger.ts';
import { findViolation, type Operation } from './linearizable.ts';
import { createWorld, type World } from './runtime/world.ts';

export interface RegisterRun {
  violations: string[];
  operations: number;
  answered: number;
  generations: number;
  /** Records given up because their register had moved on, and stubs dropped into the floor. */
  retired: number;
  forgotten: number;
  trace: string;
}

const durationMs = 12_000;
const noAccess = accessInClear(user.publicKey);

const textOf = (snapshot: RegisterSnapshot) => Buffer.from(snapshot.payload).toString();

export async function runRegisters(seed: number, planted?: 'answers-early'): Promise<RegisterRun> {
  const world = createWorld({ seed, link: { loss: 0.01, duplication: 0.01, reordering: 0.05 } });
  const cluster = new Cluster(world, 5, 3);
  cluster.keep = { stubMs: 400, tombstoneMs: 400 };
  for (const name of cluster.storage) cluster.restart(name);
  const tally = { retired: 0, forgotten: 0 };
  const ledger = new Ledger();
  cluster.onWritten = (host, storeId, entries) => ledger.written(host, storeId, entries);
  cluster.answersEarly = planted === 'answers-early';
  const addresses: Address[] = [];
  const history: Operation[] = [];
  for (let i = 0; i < 2; i++) {
    const salt = world.random.bytes(16);
    const members = cluster.storage.slice(i, i + 3).map((name) => cluster.member(name));
    const creation = cluster
      .client('c0')
      .registers.create({ owner: user, salt, members, access: noAccess, payload: Buffer.from('first') });
    await world.settle(creation);
    addresses.push(registerAddress(user.publicKey, salt));
    history.push({ key: `r${i}`, call: 0, end: world.nowMs, type: 'put', value: 'first' });
  }
  // One member of a register may be lost at a time: its disk, or records on it again and again.
  scheduleFaults(cluster, durationMs, { loseDisk: seed % 2 === 0, rot: seed % 2 === 1 });
  const endMs = world.nowMs + durationMs;
  const working = [0, 1, 2].flatMap((c) =>
    addresses.map((address, r) => useRegister(world, cluster, `c${c}`, address, `r${r}`, history, endMs)),
  );
  working.push(...addresses.map((address) => changeMembers(world, cluster, address, endMs)));
  working.push(forgetStubs(world, cluster, addresses, endMs, tally));
  await world.settle(Promise.all(working), { limitMs: 120_000 });
  for (const [r, address] of addresses.entries()) {
    const call = world.nowMs;
    const last = await world.settle(cluster.client('c1').registers.read(address, { timeoutMs: 60_000 }));
    history.push({ key: `r${r}`, call, end: world.nowMs, type: 'get', result: textOf(last) });
  }
  ledger.judge();
  const violation = findViolation(history);
  if (violation) ledger.violations.push(`not linearizable: ${JSON.stringify(violation.operations.slice(0, 40))}`);
  return {
    violations: ledger.violations,
    operations: history.length,
    answered: history.filter(({ end }) => Number.isFinite(end)).length,
    generations: Math.max(...ledger.chosen().map((entries) => entries.at(-1)?.image.state.config.generation ?? 0)),
    ...tally,
    trace: world.trace(),
  };
}

async function useRegister(
  world: World,
  cluster: Cluster,
  name: string,
  address: Address,
  key: string,
  history: Operation[],
  endMs: number,
): Promise<void> {
  const random = world.random.fork(`use ${name} ${key}`);
  let expected = 'first';
  let serial = 0;
  while (world.nowMs < endMs) {
    const { registers, runtime } = cluster.client(name);
    const kind = random.below(3);
    const value = `${name}-${key}-${++serial}`;
    const operation: Operation = { key, call: world.nowMs, end: Number.POSITIVE_INFINITY, type: 'put', by: name };
    history.push(operation);
    try {
      if (kind === 0) {
        operation.type = 'get';
        expected = textOf(await registers.read(address, { timeoutMs: 4000 }));
        operation.result = expected;
      } else if (kind === 1) {
        operation.value = value;
        await registers.write(address, user, () => Buffer.from(value), { timeoutMs: 4000 });
      } else {
        const wanted = expected;
        Object.assign(operation, { type: 'cas', value, expected: wanted, result: true });
        await registers.write(
          address,
          user,
          (current) => {
            if (textOf(current) !== wanted) throw new Conflict();
            return Buffer.from(value);
          },
          { timeoutMs: 4000 },
        );
      }
      operation.end = world.nowMs;
    } catch (error) {
      if (error instanceof Conflict) Object.assign(operation, { result: false, end: world.nowMs });
      else if (!isError(error, 'unavailable', 'denied')) throw error;
      // Nothing was proposed: it has no place in the history.
      else if (isError(error, 'unavailable') && error.data?.outcome === 'none')
        history.splice(history.indexOf(operation), 1);
    }
    await runtime.clock.sleep(random.below(120));
  }
}

/** What the worker of each store does: looks whether registers have gone on without it, and drops old stubs. */
async function forgetStubs(
  world: World,
  cluster: Cluster,
  addresses: readonly Address[],
  endMs: number,
  tally: { retired: number; forgotten: number },
): Promise<void> {
  const random = world.random.fork('forget');
  while (world.nowMs < endMs) {
    await cluster.client('c0').runtime.clock.sleep(50 + random.below(150));
    const node = cluster.client(cluster.storage[random.below(cluster.storage.length)] ?? 'n0');
    const within = <T>(task: Promise<T>) =>
      Promise.race([
        task,
        cluster
          .client('c0')
          .runtime.clock.sleep(3000)
          .then(() => undefined),
      ]).catch(() => undefined);
    for (const address of addresses)
      if (await within(node.service?.retire(address) ?? Promise.resolve(false))) tally.retired++;
    tally.forgotten += (await within(node.service?.forget() ?? Promise.resolve(0))) ?? 0;
  }
}

class Conflict extends Error {}

/** Moves a register about, with whatever stores the nodes have now. */
async function changeMembers(world: World, cluster: Cluster, address: Address, endMs: number): Promise<void> {
  const random = world.random.fork(`move ${address[0]}`);
  const { registers, runtime } = cluster.client('c0');
  while (world.nowMs < endMs) {
    await runtime.clock.sleep(400 + random.below(1500));
    const names = [...cluster.storage];
    while (names.length > 3) names.splice(random.below(names.length), 1);
    const members = names.map((name) => cluster.member(name));
    await registers.reconfigure(address, members, { timeoutMs: 3000 }).catch((error: unknown) => {
      if (!isError(error, 'unavailable', 'denied')) throw error;
    });
  }
}
