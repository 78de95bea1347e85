// G1 to G4 and G7 of docs/protocols.md 2.9 over many seeded courses of events, and that planted bugs are caught.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Field, type Planted } from './register-field.ts';

/** mulberry32. */
function chooser(seed: number): (limit: number) => number {
  let a = seed >>> 0;
  return (limit) => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * limit);
  };
}

interface Explored {
  seed?: number;
  violation?: string;
  chosen: number;
  forgotten: number;
}

function explore(planted: Planted, runs: number, steps: number, forgets = false): Explored {
  let chosen = 0;
  let forgotten = 0;
  for (let seed = 1; seed <= runs; seed++) {
    const field = new Field(chooser(seed), planted, forgets);
    for (let i = 0; i < steps; i++) {
      field.step();
      if (field.violation) return { seed, violation: field.violation, chosen, forgotten };
    }
    chosen += field.chosen().length;
    forgotten += field.counts.forgotten;
  }
  return { chosen, forgotten };
}

test('whatever the order, loss, repetition and crashes, chosen states form one chain and reads see it', () => {
  const runs = Number(process.env.INFINIT_SEEDS ?? 1) * 1000;
  const { violation, seed, chosen } = explore(undefined, runs, 220);
  assert.equal(violation, undefined, `seed ${seed}`);
  assert.ok(chosen > 2000, `the courses of events choose something: ${chosen}`);
});

test('so they do where stores forget what has moved on without them (2.3 rule 4)', () => {
  const runs = Number(process.env.INFINIT_SEEDS ?? 1) * 200;
  const { violation, seed, forgotten } = explore(undefined, runs, 800, true);
  assert.equal(violation, undefined, `seed ${seed}`);
  assert.ok(forgotten > runs / 20, `stores forget: ${forgotten}`);
});

const planted: Exclude<Planted, undefined>[] = [
  'accept-new-only',
  'trust-leave',
  'blank-votes',
  'unpersisted-promise',
  'read-newest',
  'old-name',
];
for (const bug of planted)
  test(`catches the planted bug ${bug}`, () => {
    assert.ok(explore(bug, 20_000, 220).violation);
  });
