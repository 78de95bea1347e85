// What carries signatures: credentials, descriptors, registers, node records, the network register, journal batches. Whatever
// is accepted must be what somebody with the right signed.

import { type Bytes, concatBytes, equalBytes, toHex, u32Bytes, utf8 } from '../../src/core/base/bytes.ts';
import { decode, encode } from '../../src/core/base/codec.ts';
import { registerAddress } from '../../src/core/block/address.ts';
import {
  accessList,
  type Genesis,
  genesis,
  recovery,
  registerState,
  registerValue,
} from '../../src/core/block/register.ts';
import { StateVerifier } from '../../src/core/block/register-validity.ts';
import type { JournalSegment } from '../../src/core/consensus/consensus.ts';
import { nextChain, segmentStart, signChain } from '../../src/core/consensus/journal/chain.ts';
import { MemberJournal } from '../../src/core/consensus/journal/member.ts';
import { journalAppend } from '../../src/core/consensus/journal/messages.ts';
import { keyPairFromSeed, verify } from '../../src/core/crypto/keys.ts';
import { canonicalJson } from '../../src/core/descriptor/canonical.ts';
import { verifyPassport } from '../../src/core/descriptor/rights.ts';
import { passportHash, signKeyValueStore, signVolume, withoutMountpoint } from '../../src/core/descriptor/signing.ts';
import { formatDescriptor, parseDescriptor } from '../../src/core/descriptor/stream.ts';
import { checkRecord, signRecord } from '../../src/core/overlay/node-record.ts';
import { nodeRecord } from '../../src/core/overlay/overlay.ts';
import { createAdmission } from '../../src/core/peer/admission.ts';
import { networkLosses, refuseNetworkValue } from '../../src/core/store/network-register.ts';
import { type DestroyedTree, signDestroyed, signTreeEntry, type TreeEntry } from '../../src/core/store/tree-entries.ts';
import type { SeededRandom } from '../simulator/runtime/random.ts';
import { accepted, damage, type Fuzzer, fuzzer, mustBe, mustEqual, pick } from './fuzzer.ts';
import * as good from './subjects.ts';

const parties = { clock: { now: () => good.now }, log: { write: () => {} }, network: () => good.network };
const session = good.keyOf('session');
const presenter = createAdmission({
  ...parties,
  user: good.member,
  node: session,
  kind: 'client',
  passport: good.passport,
});

const credentials = fuzzer('credentials', {
  make: (random) => damage(random, presenter.present(), utf8(JSON.stringify(good.passport))),
  check: (presented) => {
    const told: Bytes[] = [];
    const judge = createAdmission({
      ...parties,
      user: good.delegate,
      node: good.keyOf('judge'),
      kind: 'client',
      passport: good.passport.certifier_passport ?? good.passport,
      admitted: ({ passportHash }) => told.push(passportHash),
    });
    const identity = accepted(() => judge.admit(presented, session.publicKey))?.value;
    if (identity === undefined) return mustBe(told.length === 1, 'a refused identity was told of');
    const { rights, kind, userKey, nodeKey } = presenter.self;
    mustEqual(
      canonicalJson({ rights: { ...identity.rights }, kind: identity.kind }),
      canonicalJson({ rights, kind }),
      'rights',
    );
    mustEqual(identity.userKey, userKey, 'user');
    mustEqual(identity.nodeKey, nodeKey, 'node');
    mustEqual(identity.passportHash, passportHash(good.passport), 'passport');
    mustBe(
      accepted(() => judge.admit(presented, good.keyOf('thief').publicKey)) === undefined,
      'admitted on the connection of another key',
    );
  },
});

const store = signKeyValueStore(good.owner, {
  name: 'alice/notes',
  network: 'alice/cluster',
  owner: { ed25519: good.owner.publicKey.toString('base64') },
  tree_id: Buffer.alloc(16, 5).toString('base64'),
  serial: 1,
});
const volume = signVolume(good.owner, {
  name: 'alice/shared',
  network: 'alice/cluster',
  owner: store.owner,
  tree_id: store.tree_id,
  block_size: 65_536,
  default_permissions: 'rw',
  mount_options: { readonly: true, fuse_options: ['noatime'], peers: ['node.example:4000'], port: 4000 },
  serial: 1,
});
const user = { name: 'bob', public_key: { ed25519: good.member.publicKey.toString('base64') }, description: 'a\tb' };
const documents = { network: good.network, passport: good.passport, volume, 'key-value-store': store, user } as const;
const kinds = Object.keys(documents) as (keyof typeof documents)[];
const oddValues: readonly unknown[] = [
  null,
  -1,
  1e300,
  2 ** 53,
  '',
  '../../etc/passwd',
  '/',
  '..',
  '\u001b[31m',
  '\ud800',
  'x'.repeat(5000),
  [],
  [[[[]]]],
  {},
  true,
];
const oddKeys = [
  '__proto__',
  'constructor',
  'toString',
  'private_key',
  'name',
  'owner',
  'signature',
  'mountpoint',
  '\u001b[2J',
];

/** The document with one value somewhere replaced, a field added or removed; sometimes as broken text. */
function bentDocument(random: SeededRandom, document: object): Buffer {
  const copy = structuredClone(document) as Record<string, unknown>;
  let at = copy;
  while (random.chance(0.4)) {
    const inner = Object.values(at).filter((value) => typeof value === 'object' && value !== null);
    if (inner.length === 0) break;
    at = pick(random, inner) as Record<string, unknown>;
  }
  const key = random.chance(0.7) ? pick(random, Object.keys(at)) : pick(random, oddKeys);
  if (key !== undefined && random.chance(0.2)) delete at[key];
  else if (key !== undefined && random.chance(0.8)) {
    const value = random.chance(0.3) ? pick(random, Object.values(at)) : pick(random, oddValues);
    Object.defineProperty(at, key, { value, enumerable: true, configurable: true, writable: true });
  }
  const text = utf8(JSON.stringify(copy));
  return random.chance(0.2) ? damage(random, text) : text;
}

const descriptors = fuzzer('descriptors', {
  inputs: 400,
  make: (random) => {
    const kind = pick(random, kinds);
    return { kind, text: bentDocument(random, documents[kind]) };
  },
  check: ({ kind, text }) => {
    const parsed = accepted(() => parseDescriptor(kind, text))?.value;
    mustBe(Object.keys(Object.prototype).length === 0, 'the prototype of all objects was changed');
    mustBe(({} as { private_key?: unknown }).private_key === undefined, 'the prototype of all objects was changed');
    if (parsed === undefined) return;
    mustEqual(
      canonicalJson(parseDescriptor(kind, formatDescriptor(kind, parsed))),
      canonicalJson(parsed),
      'not the same when read again',
    );
    mustBe(!/[\p{Cc}]/u.test(JSON.stringify(parsed)), 'control characters came through');
    if (kind === 'user') return;
    if (kind === 'passport') {
      const rights = accepted(() => verifyPassport(good.network, parsed as typeof good.passport, { now: good.now }));
      if (rights === undefined) return;
      mustEqual(passportHash(parsed as typeof good.passport), passportHash(good.passport), 'another passport verified');
    } else {
      const signed = kind === 'volume' ? withoutMountpoint(parsed as typeof volume) : parsed;
      mustEqual(canonicalJson(signed), canonicalJson(documents[kind]), 'another descriptor verified');
    }
  },
});

const salts = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
const founded = salts.flatMap((salt) => [1, 2, 20].map((version) => good.registerStateOf(salt, version)));
const states = [...founded, ...founded.map(good.recoveredState)];
const genesisText = (of: Genesis) =>
  `${toHex(encode(genesis, of))} ${of.recovery ? toHex(encode(recovery, of.recovery)) : 'founded'}`;
const signedParts = new Set(
  states.flatMap(({ access, genesis: first, value }) => [
    toHex(encode(accessList, access)),
    genesisText(first),
    toHex(encode(registerValue, value)),
  ]),
);

const registers = fuzzer('register states', {
  inputs: 400,
  make: (random) => {
    if (random.chance(0.5))
      return damage(random, encode(registerState, pick(random, states)), encode(registerState, pick(random, states)));
    // Good parts of different registers and versions.
    const [a, b, c] = [pick(random, states), pick(random, states), pick(random, states)];
    return encode(registerState, { config: a.config, access: a.access, genesis: b.genesis, value: c.value });
  },
  check: (bytes) => {
    const verifier = new StateVerifier(good.networkId);
    const image = accepted(() => verifier.read(bytes))?.value;
    if (image === undefined) return;
    const { access, genesis: first, value } = image.state;
    for (const part of [toHex(encode(accessList, access)), genesisText(first), toHex(encode(registerValue, value))])
      mustBe(signedParts.has(part), 'a part that nobody signed was accepted');
    const whole = states.some(
      (state) =>
        equalBytes(encode(accessList, state.access), encode(accessList, access)) &&
        equalBytes(encode(registerValue, state.value), encode(registerValue, value)),
    );
    mustBe(whole, 'a value was moved to another register');
    mustEqual(encode(registerState, image.state), bytes, 'the image has other bytes');
  },
});

const nodeKey = good.keyOf('node');
const record = signRecord(nodeKey, {
  userKey: good.member.publicKey,
  endpoints: [{ host: 'node.example', port: 4000 }],
  positions: 4,
  zone: 'here',
  capacityBytes: 1e12,
  freeBytes: 1e11,
  stores: [Buffer.alloc(8, 1)],
  closed: false,
  leaving: false,
  credentials: Buffer.alloc(0),
  serial: 77,
});
const records = fuzzer('node records', {
  make: (random) => damage(random, encode(nodeRecord, record)),
  check: (bytes) => {
    const read = accepted(() => {
      const heard = decode(nodeRecord, bytes);
      checkRecord(heard);
      return heard;
    });
    if (read) mustEqual(bytes, encode(nodeRecord, record), 'a record its node did not sign was accepted');
  },
});

const entryBytes = 16 + 32 + 32 + 64;
function encodeEntry({ treeId, root, owner, signature }: TreeEntry): Buffer {
  return concatBytes([treeId, root, owner, signature]);
}
function encodeDestroyed({ treeId, owner, salt, signature }: DestroyedTree): Buffer {
  return concatBytes([treeId, owner, salt, signature]);
}
function encodeNetworkState(descriptor: Bytes, destroyed: Bytes[], trees: Bytes[]): Buffer {
  const parts = [u32Bytes(descriptor.length), descriptor, u32Bytes(destroyed.length), ...destroyed];
  return concatBytes([Buffer.of(1), ...parts, u32Bytes(trees.length), ...trees]);
}
const treeEntry = (name: string, holder = good.owner) =>
  encodeEntry(signTreeEntry(good.networkId, holder, good.keyOf(name).seed.subarray(0, 16), good.keyOf(name).publicKey));
const destroyedEntry = (name: string, holder = good.owner) =>
  encodeDestroyed(
    signDestroyed(good.networkId, holder, good.keyOf(name).seed.subarray(0, 16), good.keyOf(name).publicKey),
  );
const standing = ['a', 'b', 'c'].map((name) => treeEntry(name));
const published = formatDescriptor('network', good.network);
const before = encodeNetworkState(published, [], standing);

const networkChanges = fuzzer('network register', {
  inputs: 300,
  make: (random) => {
    const trees = standing.filter(() => !random.chance(0.1));
    if (random.chance(0.3)) trees.push(treeEntry('d', good.member));
    if (random.chance(0.2)) trees.push(damage(random, treeEntry('e')).subarray(0, entryBytes));
    if (random.chance(0.1)) trees.push(pick(random, standing));
    if (random.chance(0.1)) trees.push(treeEntry('a', good.member));
    const destroyed: Buffer[] = [];
    if (random.chance(0.2)) destroyed.push(destroyedEntry('d', good.member));
    if (random.chance(0.1)) destroyed.push(destroyedEntry('a'));
    if (random.chance(0.1)) destroyed.push(damage(random, destroyedEntry('b')).subarray(0, entryBytes));
    const state = encodeNetworkState(random.chance(0.1) ? utf8('{"a":1}') : published, destroyed, trees);
    return random.chance(0.3) ? damage(random, state, before) : state;
  },
  check: (after) => {
    const { networkId, owner } = good;
    const of = { id: networkId, owner: owner.publicKey };
    const judged = accepted(() => refuseNetworkValue(of, after, before) ?? networkLosses(of, after, before)[0]?.reason);
    if (judged === undefined || judged.value !== undefined) return;
    const head = 1 + 4 + published.length;
    mustEqual(after.subarray(0, head), before.subarray(0, head), "the owner's part was changed by another");
    const count = Buffer.from(after).readUInt32BE(head);
    for (let i = 0; i < count; i++) {
      const at = head + 4 + i * entryBytes;
      const [treeId, holder, salt] = [
        after.subarray(at, at + 16),
        after.subarray(at + 16, at + 48),
        after.subarray(at + 48, at + 80),
      ];
      const [signature, root] = [after.subarray(at + 80, at + entryBytes), registerAddress(holder, salt)];
      mustBe(verify(holder, signature, 'tree-destroyed', networkId, treeId, root), 'a tree is destroyed by nobody');
    }
    const first = head + 4 + count * entryBytes + 4;
    const entries: Buffer[] = [];
    for (let at = first; at < after.length; at += entryBytes) entries.push(after.subarray(at, at + entryBytes));
    for (const entry of standing)
      mustBe(
        entries.some((one) => one.equals(entry)),
        'an entry is gone',
      );
    for (const entry of entries) {
      const [treeId, root, holder] = [entry.subarray(0, 16), entry.subarray(16, 48), entry.subarray(48, 80)];
      const signed = verify(holder, entry.subarray(80), 'tree-entry', networkId, treeId, root);
      mustBe(signed, 'an entry without signature came in');
    }
    mustBe(new Set(entries.map(toHex)).size === entries.length, 'an entry stands twice');
  },
});

const tree = good.keyOf('tree').seed;
const segment: JournalSegment = { id: 1, epoch: 4, start: 1, members: [] };
const startOf = (one: JournalSegment) => segmentStart(good.networkId, tree, one);
function appendRequest(previous: Bytes, first: number, last: number, data: Buffer) {
  const signature = signChain(good.member, nextChain(previous, { first, last, data }));
  return { tree, segment: 1, epoch: 4, batch: { first, last, previous, signature, data } };
}
const firstAppend = appendRequest(startOf(segment).chain, 1, 5, utf8('first batch'));
const appends = fuzzer('journal appends', {
  make: (random) => damage(random, encode(journalAppend.request, firstAppend)),
  check: (bytes) => {
    const { start, ...rest } = segment;
    const opened = { ...rest, start, author: good.member.publicKey, base: startOf(segment), batches: [] };
    const journal = new MemberJournal(startOf, 4, [opened]);
    const step = accepted(() => journal.append(decode(journalAppend.request, bytes), good.member.publicKey, 0))?.value;
    if (step === undefined || step.changes.length === 0) return;
    const { batch } = decode(journalAppend.request, bytes);
    mustEqual(batch.data, firstAppend.batch.data, 'other data was appended');
    mustBe(batch.first === 1 && batch.last === 5, 'a batch was appended in another place');
  },
});

export const signedFuzzers: readonly Fuzzer[] = [
  credentials,
  descriptors,
  registers,
  records,
  networkChanges,
  appends,
  fuzzer('public keys', {
    make: (random) => ({
      key: damage(random, keyPairFromSeed(random.bytes(32)).publicKey),
      signature: random.bytes(64),
    }),
    check: ({ key, signature }) => mustBe(!verify(key, signature, 'x', utf8('y')), 'chance signed something'),
  }),
];
