import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { digestOf, findFrom, stateOf } from '../../../src/core/overlay/chord/answers.ts';
import { cut, newRing, type Position, type Ring } from '../../../src/core/overlay/chord/state.ts';
import { type RingEvent, type Send, step } from '../../../src/core/overlay/chord/steps.ts';
import type { Liveness } from '../../../src/core/overlay/overlay.ts';
import { between, byPoint, type Entry, entryOf, type NodeName } from '../../../src/core/overlay/ring.ts';

/** Nodes with one position each, in ring order from p. */
const all = Array.from({ length: 14 }, (_, i) => entryOf((i + 10).toString(16).padStart(2, '0').repeat(32), 0)).sort(
  byPoint,
);
const [p, a, b, c, d] = all as [Entry, Entry, Entry, Entry, Entry];
const last = all.at(-1) as Entry;

function ringOf(patch: Partial<Position>): Ring {
  const ring = newRing(p.node, 1);
  const [position] = ring.positions;
  return { ...ring, positions: [{ ...(position as Position), joined: true, ...patch }] };
}

function run(ring: Ring, event: RingEvent, dead: readonly Entry[] = [], suspect: readonly Entry[] = []) {
  const liveness = (node: NodeName): Liveness =>
    dead.some((entry) => entry.node === node)
      ? 'dead'
      : suspect.some((entry) => entry.node === node)
        ? 'suspect'
        : 'alive';
  const done = step(ring, event, liveness);
  return { ...done, position: done.ring.positions[0] as Position };
}

const points = (entries: readonly Entry[]) => entries.map((entry) => entry.point);
const sent = (sends: readonly Send[], type: Send['type']) => sends.filter((send) => send.type === type);

/** The ring after it asked `list[0]`, and the nonce of the question. */
function asked(patch: Partial<Position>, dead: readonly Entry[] = []) {
  const { ring, sends, position } = run(ringOf(patch), { type: 'stabilise' }, dead);
  return { ring, nonce: position.query?.nonce ?? -1, sends };
}

test('Stabilise asks the first entry not confirmed dead, the spare list included', () => {
  const to = (list: Entry[], spare: Entry[], dead: Entry[]) => {
    const [send] = sent(asked({ list, spare }, dead).sends, 'state');
    return send?.type === 'state' ? send.to : undefined;
  };
  assert.equal(to([a, b], [], []), a);
  assert.equal(to([a, b], [], [a]), b);
  assert.equal(to([a, b], [c, d], [a, b, c]), d);
});

test('silence moves on to the next entry and changes nothing until somebody answers', () => {
  const first = asked({ list: [a, b] });
  const silent = run(first.ring, { type: 'state', position: 0, nonce: first.nonce, answer: undefined });
  assert.deepEqual(points(silent.position.list), points([a, b]));
  assert.equal(silent.position.query?.to, b);
  const nonce = silent.position.query?.nonce ?? -1;
  const answered = run(silent.ring, { type: 'state', position: 0, nonce, answer: { list: [c], pred: p } });
  assert.deepEqual(points(answered.position.list), points([b, c]));
  assert.deepEqual(points(answered.position.spare), points([a, b]));
});

test('when nobody answers, the position says it is lost and keeps its pointers', () => {
  const first = asked({ list: [a] });
  const silent = run(first.ring, { type: 'state', position: 0, nonce: first.nonce, answer: undefined });
  assert.equal(sent(silent.sends, 'lost').length, 1);
  assert.deepEqual(points(silent.position.list), points([a]));
});

test('Adopt refuses an aged answer none of whose entries is live', () => {
  const first = asked({ list: [a, b], spare: [c] });
  const event: RingEvent = { type: 'state', position: 0, nonce: first.nonce, answer: { list: [b], pred: p } };
  const refused = run(first.ring, event, [a, b]);
  assert.deepEqual(points(refused.position.list), points([a, b]));
  assert.deepEqual(points(refused.position.spare), points([c]), 'the live spare entry is still there');
  const adopted = run(first.ring, { ...event, answer: { list: [c], pred: p } }, [a, b]);
  assert.deepEqual(points(adopted.position.list), points([a, c]));
});

test('an answer to an older question is ignored', () => {
  const first = asked({ list: [b] });
  const late = run(first.ring, { type: 'state', position: 0, nonce: first.nonce - 1, answer: { list: [d], pred: a } });
  assert.deepEqual(late.position, first.ring.positions[0]);
});

test('a predecessor in between is asked first, and adopted only from its own answer', () => {
  const first = asked({ list: [b, c] });
  const heard = run(first.ring, { type: 'state', position: 0, nonce: first.nonce, answer: { list: [c], pred: a } });
  assert.deepEqual(points(heard.position.list), points([b, c]), 'not adopted unasked');
  assert.equal(heard.position.query?.to, a);
  const nonce = heard.position.query?.nonce ?? -1;
  const dead = run(heard.ring, { type: 'state', position: 0, nonce, answer: undefined });
  assert.deepEqual(points(dead.position.list), points([b, c]));
  assert.deepEqual(sent(dead.sends, 'notify'), [{ type: 'notify', from: p, to: b, changed: false }]);
  const alive = run(heard.ring, { type: 'state', position: 0, nonce, answer: { list: [b, c], pred: p } });
  assert.deepEqual(points(alive.position.list), points([a, b, c]));
});

test('Rectify takes a nearer predecessor, and another one only when the old one is confirmed dead', () => {
  const notified = (who: Entry, dead: Entry[] = []) =>
    run(ringOf({ list: [a], pred: d }), { type: 'notified', position: 0, who, changed: false }, dead);
  assert.equal(notified(last).position.pred, last, 'nearer');
  const farther = notified(c);
  assert.equal(farther.position.pred, d);
  assert.deepEqual(sent(farther.sends, 'probe'), [{ type: 'probe', node: d.node }], 'the detector is to look');
  assert.equal(notified(c, [d]).position.pred, c);
});

test('a leaver passes on its list and its predecessor', () => {
  const before = ringOf({ list: [a, b], pred: last });
  const left = { self: a, list: [b, c], pred: p };
  assert.deepEqual(
    points(run(before, { type: 'left', node: a.node, positions: [left] }, [a]).position.list),
    points([b, c]),
  );
  const gone = { self: last, list: [p, a], pred: d };
  assert.equal(run(before, { type: 'left', node: last.node, positions: [gone] }, [last]).position.pred, d);
});

test('Join adopts the list of the position before it in one step; Unify asks first', () => {
  const fresh = newRing(p.node, 1);
  const walking = step(fresh, { type: 'join', position: 0, contacts: [c.node] }, () => 'unknown');
  const find = sent(walking.sends, 'find')[0];
  assert.ok(find?.type === 'find' && find.to === c.node && find.key === p.point);
  const owners = { type: 'owners' as const, after: last, entries: [a, b] };
  const joined = run(walking.ring, { type: 'found', position: 0, nonce: find.nonce, answer: owners });
  assert.ok(joined.position.joined);
  assert.deepEqual([points(joined.position.list), joined.position.pred], [points([a, b]), last]);

  const looking = run(ringOf({ list: [c] }), { type: 'unify', contacts: [d.node] });
  const nonce = looking.position.walk?.nonce ?? -1;
  const met = run(looking.ring, { type: 'found', position: 0, nonce, answer: owners });
  assert.deepEqual(points(met.position.list), points([c]));
  assert.equal(met.position.query?.to, a);
});

test('a list is clockwise, without itself, and ends before 64 positions or 8 other nodes are passed', () => {
  const entries = all.slice(1).flatMap(({ node }) => [0, 1, 2].map((index) => entryOf(node, index)));
  fc.assert(
    fc.property(fc.shuffledSubarray([p, ...entries]), (candidates) => {
      const list = cut(p, candidates);
      assert.deepEqual(points(list), points(candidates).slice(0, list.length), 'a beginning of what was offered');
      for (const [i, entry] of list.entries())
        assert.ok(between(i === 0 ? p.point : (list[i - 1] as Entry).point, entry.point, p.point));
      assert.ok(list.length <= 64 && new Set(list.map((entry) => entry.node)).size <= 8);
    }),
  );
});

test('a list already held is not sent again', () => {
  const ring = ringOf({ list: [a, b], pred: last });
  assert.deepEqual(stateOf(ring, 0, digestOf([a, b])), { list: undefined, pred: last });
  assert.deepEqual(stateOf(ring, 0, digestOf([a])), { list: [a, b], pred: last });
  assert.equal(stateOf(ring, 1, ''), undefined, 'no such position');
  assert.equal(stateOf(newRing(p.node, 1), 0, ''), undefined, 'not on the ring yet');
});

test('find answers for its own arc and the next one, and otherwise leads closer', () => {
  const ring = ringOf({ list: [a, b, c], pred: last });
  const find = (key: string, strict = false) => findFrom(ring, key, () => 'alive', { strict });
  const toNext = find(a.point);
  assert.ok(toNext?.type === 'owners' && toNext.after === ring.positions[0]?.self && toNext.entries[0] === a);
  const own = find(p.point);
  assert.ok(own?.type === 'owners' && own.after === last && own.entries[0]?.point === p.point);
  const strict = find(p.point, true);
  assert.ok(strict?.type === 'closer' && strict.entries[0] === last);
  const far = find(d.point);
  assert.ok(far?.type === 'closer' && far.entries[0] === c);
});

test('find names what the list has behind the key, should all before it keep silent; walks of upkeep are not told', () => {
  const ring = ringOf({ list: [a, b, c, d], pred: last });
  const far = findFrom(ring, c.point, (node) => (node === d.node ? 'dead' : 'alive'));
  assert.ok(far?.type === 'closer');
  assert.deepEqual([far.entries[0], far.behind], [b, [c]]);
  const strict = findFrom(ring, c.point, () => 'alive', { strict: true });
  assert.ok(strict?.type === 'closer' && strict.behind.length === 0);
});

test('a node whose whole list is dead owns everything only if it knew the whole ring', () => {
  const dead = (node: NodeName): Liveness => (node === last.node ? 'alive' : 'dead');
  const lone = findFrom(ringOf({ list: [a, b], pred: undefined }), d.point, dead);
  assert.ok(lone?.type === 'owners' && lone.entries[0]?.point === p.point);
  const full = ringOf({ list: all.slice(1, 9), pred: undefined });
  for (const strict of [false, true]) {
    const lost = findFrom(full, p.point, dead, { hints: [last], strict });
    assert.ok(lost?.type === 'closer' && lost.entries[0] === last && lost.behind.length === 0);
  }
  const noWay = findFrom(full, p.point, dead, { strict: true });
  assert.ok(noWay?.type === 'owners', 'who has nobody to lead to takes a walk of upkeep in');
});

test('a walk is led on by the own list too, whose nodes are watched, not only by fingers that may all be dead', () => {
  const hints = all.slice(4, 13);
  const answer = findFrom(ringOf({ list: [a, b], pred: last }), last.point, () => 'alive', { strict: true, hints });
  assert.ok(answer?.type === 'closer');
  assert.deepEqual(answer.entries, [...hints.slice(-3).reverse(), b]);
});

test('what leads closer is what sorting everything known gives', () => {
  const index = fc.integer({ min: 1, max: all.length - 1 });
  const some = fc.uniqueArray(index, { maxLength: 8 });
  const scene = fc.record({
    list: some,
    pred: index,
    hints: fc.array(index, { maxLength: 30 }),
    dead: some,
    key: fc.integer({ min: 0, max: all.length - 1 }),
    strict: fc.boolean(),
  });
  const at = (i: number) => all[i] as Entry;
  fc.assert(
    fc.property(scene, ({ list, pred, hints, dead, key, strict }) => {
      const { point } = at(key);
      const known = [...list].sort((a, b) => a - b);
      const ring = ringOf({ list: known.map(at), pred: at(pred) });
      const liveness = (node: NodeName): Liveness => (dead.some((i) => at(i).node === node) ? 'dead' : 'alive');
      const answer = findFrom(ring, point, liveness, { strict, hints: hints.map(at) });
      if (answer?.type !== 'closer') return;
      const before = (i: number) => between(p.point, at(i).point, point) && !dead.includes(i);
      const nearest = [...new Set([...known, pred, ...hints])].filter(before).sort((a, b) => b - a);
      const watched = known.findLast(before);
      const wanted = nearest.slice(0, strict ? 4 : 16);
      if (watched !== undefined && !wanted.includes(watched)) wanted[wanted.length - 1] = watched;
      assert.deepEqual(
        points(answer.entries),
        wanted.map((i) => at(i).point),
      );
    }),
  );
});

/** A unify walk of p that asked a contact and was led to b and c, c first. */
function walking() {
  const begun = run(ringOf({ list: [a], pred: last }), { type: 'unify', contacts: [d.node] });
  const nonce = begun.position.walk?.nonce ?? -1;
  const closer = { type: 'closer', entries: [last, c, b], behind: [] } as const;
  return run(begun.ring, { type: 'found', position: 0, nonce, answer: closer });
}

test('a walk asks nobody twice, and comes no further than whoever answered', () => {
  let now = walking();
  const find = () => sent(now.sends, 'find').flatMap((send) => (send.type === 'find' ? [send.to] : []));
  const reply = (entries: readonly Entry[] | undefined) => {
    const nonce = now.position.walk?.nonce ?? -1;
    const answer = entries && ({ type: 'closer', entries, behind: [] } as const);
    now = run(now.ring, { type: 'found', position: 0, nonce, answer });
  };
  assert.deepEqual(find(), [last.node]);
  reply(undefined);
  assert.deepEqual(find(), [c.node], 'the silent one was no place to have come to');
  reply([last, d]);
  assert.deepEqual(find(), [b.node], 'neither the silent one nor the first contact is asked again');
});

test('Unify, when all that is nearer keeps silent, tells the nearest that answered', () => {
  let now = walking();
  for (const entries of [undefined, [], undefined]) {
    const nonce = now.position.walk?.nonce ?? -1;
    const answer = entries && ({ type: 'closer', entries, behind: [] } as const);
    now = run(now.ring, { type: 'found', position: 0, nonce, answer });
  }
  assert.equal(now.position.walk, undefined);
  const [notify] = sent(now.sends, 'notify');
  assert.ok(notify?.type === 'notify' && notify.to === c && notify.from.point === p.point);
});

test('the nearest candidate is kept while another one is asked', () => {
  const { ring, nonce } = asked({ list: [d], better: c });
  const told = run(ring, { type: 'notified', position: 0, who: a, changed: false });
  assert.equal(told.position.better, a);
  const { position, sends } = run(told.ring, { type: 'state', position: 0, nonce, answer: { list: [d], pred: b } });
  assert.deepEqual([position.list[0], position.better, position.query?.to], [c, a, a], 'b is farther than a');
  assert.ok(sends.some((send) => send.type === 'state' && send.to === a));
});

test('a position that nobody follows for a whole round unifies, as one that finds nobody does', () => {
  const first = run(ringOf({ list: [a], pred: last }), { type: 'stabilise' }, [last]);
  assert.equal(sent(first.sends, 'lost').length, 0, 'whoever follows now may still say so');
  const position = { ...first.position, query: undefined };
  const second = run({ ...first.ring, positions: [position] }, { type: 'stabilise' }, [last]);
  assert.equal(sent(second.sends, 'lost').length, 1);
});
