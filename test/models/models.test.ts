// Reruns the protocol models of docs/models: those that must hold do, and every planted bug is caught. The default runs are
// those that end within seconds; `npm run models` runs all of them as docs/protocols.md 8 lists them.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../docs/models/', import.meta.url));

interface Result {
  model: string;
  states: number;
  edges: number;
  depth: number | string;
  complete: boolean | string;
  violation: string | null;
  missing: string[];
}

function run(file: string, name: string): Result {
  const output = execFileSync(process.execPath, [`${folder}${file}.mjs`, `${name} `, '60'], { encoding: 'utf8' });
  return JSON.parse(output.trim().split('\n')[0] as string) as Result;
}

const recorded = readFileSync(`${folder}results.jsonl`, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Result);

const holds: [string, string][] = [
  ['register', 'A4'],
  ['register', 'A5'],
  ['register', 'A18'],
  ['tree', 'B4'],
  ['ring', 'C1'],
  ['sweep', 'D1'],
];
const planted: [string, string][] = [
  ['register', 'X2'],
  ['register', 'X3'],
  ['register', 'X5'],
  ['register', 'X6'],
  ['register', 'X9b'],
  ['tree', 'Y1'],
  ['tree', 'Y2'],
  ['tree', 'Y4'],
  ['tree', 'Y6'],
  ['ring', 'Z1'],
  ['ring', 'Z2'],
  ['sweep', 'W1'],
  ['sweep', 'W2'],
];

/** What a run must reproduce exactly, whatever the machine. */
function essence({ model, states, edges, depth, complete, violation, missing }: Result) {
  return { model, states, edges, depth, complete, violation, missing };
}

for (const [file, name] of holds) {
  test(`model ${name} holds, as recorded`, () => {
    const result = run(file, name);
    const before = recorded.find((candidate) => candidate.model?.startsWith(`${name} `));
    assert.ok(before, 'recorded in results.jsonl');
    assert.deepEqual(essence(result), essence(before));
    assert.equal(result.violation, null);
    assert.equal(result.complete, true);
  });
}

for (const [file, name] of planted) {
  test(`planted bug ${name} is caught`, () => {
    assert.notEqual(run(file, name).violation, null);
  });
}
