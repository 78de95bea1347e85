// Bugs planted to see whether the simulator finds them: one text of the project is replaced by another, in a copy that only the
// process of the planted run loads. Each names the rules that must be found broken, and in how many seeds at most.

import type { Rule } from '../watch/rules.ts';

export interface Plant {
  name: string;
  /** What is wrong with it; of docs/protocols.md 8 where it stands there. */
  bug: string;
  file: string;
  find: string;
  replace: string;
  /** Another place that has to be changed with it. */
  also?: readonly [find: string, replace: string];
  /** One of these must be reported. */
  rules: readonly Rule[];
  /** It is found within so many seeds, from that one on; 1 when not told. */
  seeds: number;
  from?: number;
  minutes?: number;
  /** Faults that bring it to light; all when it needs no special ones. */
  faults?: readonly string[];
  overlay?: string;
}

const register = 'src/core/consensus/register';
const journal = 'src/core/consensus/journal';
const tree = 'src/core/tree';

export const plants: readonly Plant[] = [
  {
    name: 'skipped-fsync',
    bug: 'the silo writes through the page cache and does not flush',
    file: 'src/core/silo/filesystem/segments.ts',
    find: "return await files.open(path, { mode: 'create', durableWrites: true, direct: this.direct });",
    replace: "return await files.open(path, { mode: 'create', direct: this.direct });",
    rules: ['G6'],
    seeds: 3,
    faults: ['powerCut', 'blackout'],
  },
  {
    name: 'promise-not-persisted',
    bug: 'X5: a promise is answered and not written down',
    file: `${register}/acceptor.ts`,
    find: "return { record: next, persist: true, reply: { type: 'promise'",
    replace: "return { record: next, persist: false, reply: { type: 'promise'",
    rules: ['G6'],
    seeds: 1,
  },
  {
    name: 'wrong-quorum',
    bug: 'one member is enough to agree',
    file: `${register}/quorum.ts`,
    find: 'return members.filter(has).length * 2 > members.length;',
    replace: 'return members.some(has);',
    rules: ['G1', 'G3', 'G4', 'linearizable', 'L1', 'L5'],
    seeds: 6,
    faults: ['cut', 'isolate', 'pauseNode', 'powerCut'],
  },
  {
    name: 'blank-votes',
    bug: 'X4, X8: a store that holds nothing promises without evidence',
    file: `${register}/acceptor.ts`,
    find: "    if (!evidence || !(namesAsNew(evidence, context.self) || (!stub && namesSinceFloor(evidence, context))))\n      return unchanged({ type: 'unknown' });",
    replace: '',
    also: [
      'const refusal = context.refuse(evidence.image, undefined);',
      'const refusal = evidence && context.refuse(evidence.image, undefined);',
    ],
    rules: ['G7'],
    seeds: 6,
    faults: ['join', 'loseDisk', 'powerCut', 'cut'],
  },
  {
    name: 'newest-of-a-majority',
    bug: 'X6: a read answers the newest state heard of, chosen or not',
    file: `${register}/reader.ts`,
    find: '  // Accepted by quorums of its own configuration and of the one it was proposed from: chosen.',
    replace: '  if (newest) return newest;',
    rules: ['G1', 'G3', 'G4', 'L5', 'L8'],
    seeds: 6,
    faults: ['cut', 'isolate', 'pauseNode', 'weather'],
  },
  {
    name: 'old-disk-votes',
    bug: 'X3: a disk set back to an earlier image votes under its old id',
    file: 'src/core/store/witness.ts',
    find: 'const setBack = remembered > silo.sequence();',
    replace: 'const setBack = false && remembered > silo.sequence();',
    rules: ['G5', 'G6', 'G1'],
    seeds: 6,
    faults: ['setBack'],
  },
  {
    name: 'store-id-not-drawn',
    bug: 'Y5: an emptied disk has the id of the one before it',
    file: 'src/core/silo/filesystem/superblock.ts',
    find: 'storeId: runtime.random.bytes(storeIdBytes),',
    replace: 'storeId: Buffer.alloc(storeIdBytes, runtime.transport.localAddresses()[0]),',
    rules: ['G5', 'G7', 'G1', 'G2'],
    seeds: 6,
    faults: ['loseDisk'],
  },
  {
    name: 'acknowledged-after-one',
    bug: 'Y2: a journal batch counts as held when one member has it',
    file: `${journal}/writer.ts`,
    find: 'this.acknowledged = Math.max(this.acknowledged, byMajority(this.lines.map((line) => line.acked)));',
    replace: 'this.acknowledged = Math.max(this.acknowledged, ...this.lines.map((line) => line.acked));',
    rules: ['L1', 'L2', 'linearizable'],
    seeds: 8,
    faults: ['cut', 'isolate', 'pauseNode', 'crashClient', 'pauseClient'],
  },
  {
    name: 'no-fence',
    bug: 'Y1: members answer a fence and go on taking what the old leader appends',
    file: `${journal}/member.ts`,
    find: "if (this.fence < epoch) changes.push({ type: 'meta' });\n    this.fence = epoch;",
    replace: '',
    rules: ['L7', 'L1', 'L2', 'L4'],
    seeds: 3,
    faults: ['pauseClient', 'crashClient', 'cut'],
  },
  {
    name: 'fence-not-persisted',
    bug: 'a fence is answered before it is durable',
    file: `${journal}/member.ts`,
    find: "if (this.fence < epoch) changes.push({ type: 'meta' });\n    this.fence = epoch;",
    replace: 'this.fence = epoch;',
    rules: ['L7'],
    seeds: 3,
    faults: ['pauseClient', 'crashClient'],
  },
  {
    name: 'recovery-of-one-member',
    bug: 'a takeover reads the tail of the first member that answers',
    file: `${journal}/recover.ts`,
    find: 'while (this.reported(segment).length * 2 <= segment.members.length) {',
    replace: 'while (this.reported(segment).length === 0) {',
    rules: ['L1', 'L2'],
    seeds: 14,
    faults: ['pauseClient', 'crashClient', 'pauseNode', 'slow'],
  },
  {
    name: 'stale-lease',
    bug: 'a leader reads locally without counting its grants',
    file: `${tree}/read-grants.ts`,
    find: 'async hold(): Promise<void> {\n    if (this.leftMs > 0) return;',
    replace: 'async hold(): Promise<void> {\n    if (this.leftMs >= 0) return;',
    rules: ['L4', 'linearizable'],
    seeds: 8,
    faults: ['pauseClient', 'isolate', 'cut'],
  },
  {
    name: 'answers-before-active',
    bug: 'Y3: a candidate serves in an epoch whose root says that it recovers',
    file: `${tree}/takeover.ts`,
    find: "header: { ...header, state: 'active' as const, applied, segments: [segment] },",
    replace: "header: { ...header, state: 'recovering' as 'active', applied, segments: [segment] },",
    rules: ['L8'],
    seeds: 1,
  },
  {
    name: 'sessions-outside-the-tree',
    bug: 'Y4: answers are remembered by the leader alone',
    file: `${tree}/leader.ts`,
    find: 'this.record([...effects, ...records], durable);',
    replace: 'this.record([...effects], durable);',
    rules: ['L3'],
    seeds: 1,
  },
  {
    name: 'lease-not-revoked',
    bug: 'a change is applied though a follower may still repeat what was before',
    file: `${tree}/leader.ts`,
    find: 'const revoked = this.leases.revoke(effects, by);',
    replace: 'const revoked = undefined as Promise<void> | undefined; void by;',
    rules: ['linearizable', 'files', 'K3'],
    seeds: 4,
    faults: ['clockStep'],
  },
  {
    name: 'put-not-awaited',
    bug: 'a block counts as put before anybody has it',
    file: 'src/core/store/block-client.ts',
    find: 'await this.spread(address, options, block.length,',
    replace: 'void this.spread(address, options, block.length,',
    rules: ['I2', 'L6'],
    seeds: 2,
  },
  {
    name: 'unchecked-bytes',
    bug: 'a rotten value is served: neither silo nor node look at checksum and hash',
    file: 'src/core/silo/filesystem/log-silo.ts',
    find: 'return checksum(value) === header.valueChecksum ? value : undefined;',
    replace: 'return value;',
    // Rotten records of registers are met before rotten blocks: nobody can agree on what they say.
    rules: ['I1', 'G6', 'progress', 'converged'],
    seeds: 8,
    faults: ['rot', 'loseDisk', 'join', 'kill'],
  },
  {
    name: 'commit-loses-a-record',
    bug: 'a takeover leaves the last record out and counts it as applied',
    file: `${tree}/takeover.ts`,
    find: 'for (const { effects } of changes) memtable.apply(effects);',
    replace: 'for (const { effects } of changes.slice(0, -1)) memtable.apply(effects);',
    rules: ['linearizable', 'files', 'L3', 'K3'],
    seeds: 8,
    faults: ['crashClient', 'pauseClient'],
  },
  {
    name: 'applied-goes-back',
    bug: 'L5: a takeover counts one record less than the root had',
    file: `${tree}/takeover.ts`,
    find: 'if (changes.length === 0) return { applied, body: {}, generation };',
    replace: 'if (changes.length === 0) return { applied: Math.max(0, applied - 1), body: {}, generation };',
    rules: ['L5', 'L1'],
    seeds: 8,
    faults: ['crashClient', 'pauseClient'],
  },
  {
    name: 'sweep-ignores-generations',
    bug: 'W2: a sweep takes what it does not find in its filter, however new it is',
    file: 'src/core/store/sweeper.ts',
    find: '(first <= word && word <= last && generation < below && !filter.has(key)),',
    replace: '(first <= word && word <= last && (generation < below || true) && !filter.has(key)),',
    also: ['held.drop(address, (generation) => generation < sweep.generation)', 'held.drop(address, () => true)'],
    rules: ['E1'],
    seeds: 8,
    // What is put while sweeps go round is new: slow links make them long.
    faults: ['slow', 'pauseNode'],
  },
  {
    name: 'sweep-of-other-trees',
    bug: 'a sweep takes blocks of every tree',
    file: 'src/core/store/sweeper.ts',
    find: "const sweeps = byTag.get(start.toString('hex', tagAt, startBytes));",
    replace: 'const sweeps = [...byTag.values()].flat();',
    rules: ['E2', 'E1'],
    seeds: 6,
    faults: ['pauseClient', 'crashClient'],
  },
  {
    name: 'drained-too-soon',
    bug: 'a node says that it is drained while registers and journals count on it',
    file: 'src/core/store/drain.ts',
    find: 'if (registers === 0 && this.progress.journals === 0) return;',
    replace: 'if (registers >= 0) return;',
    rules: ['drained'],
    seeds: 4,
    faults: ['drain'],
  },
  {
    name: 'locks-do-not-exclude',
    bug: 'whoever asks for a lock is given it',
    file: `${tree}/locks/lock-table.ts`,
    find: 'if (this.mayHave(resource, asked, wait === undefined)) {',
    replace: 'if (this.mayHave(resource, asked, wait === undefined) || asked.id >= 0) {',
    rules: ['K2'],
    seeds: 2,
    faults: ['clockStep'],
  },
  {
    name: 'lock-session-not-recorded',
    bug: 'the next leader knows nothing of who has locks',
    file: `${tree}/locks/lock-service.ts`,
    find: 'await this.options.records.put(client, number);',
    replace: 'await Promise.resolve(number);',
    rules: ['K4'],
    seeds: 1,
  },
  {
    name: 'zones-ignored',
    bug: 'copies are placed without regard to zones',
    file: 'src/core/overlay/ring.ts',
    find: 'if (!zonesLeft.has(zone) && zonesLeft.size >= count - taken.size) continue;',
    replace: '',
    rules: ['zones'],
    // Of those with zones and a long quiet.
    from: 22,
    seeds: 1,
    faults: ['clockStep'],
  },
  {
    name: 'exchange-replaces',
    bug: 'a rename that should exchange two names empties the first',
    file: 'src/core/volume/files/rename.ts',
    find: "if (mode !== 'exchange') await emptySlot(work, from.slot);",
    replace: 'await emptySlot(work, from.slot);',
    rules: ['files'],
    seeds: 6,
    minutes: 1,
    faults: ['clockStep'],
  },
  {
    name: 'no-unification',
    bug: 'a node that was away is not sought again',
    file: 'src/core/overlay/chord/steps.ts',
    find: "this.walk(index, 'unify', event.contacts);",
    replace: 'void index;',
    rules: ['R6', 'R1', 'R2'],
    seeds: 10,
    faults: ['scramble', 'isolate', 'cut'],
  },
];

export function plantOf(name: string): Plant {
  const found = plants.find((plant) => plant.name === name);
  if (!found) throw new Error(`no plant "${name}": ${plants.map((plant) => plant.name).join(', ')}`);
  return found;
}
