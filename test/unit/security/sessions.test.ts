// Numbers of operations as a hostile client may choose them: none makes the leader fail, or write what it cannot read again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isError } from '../../../src/core/base/errors.ts';
import { Sessions } from '../../../src/core/tree/sessions.ts';
import type { MapReader } from '../../../src/core/tree/tree.ts';

const client = Buffer.alloc(16, 1);
const answer = { sequence: 1, reply: Buffer.alloc(0) };
const empty = { async *scan() {} } as Partial<MapReader> as MapReader;

test('whoever confirms what he asks for, or later operations, is refused', async () => {
  const sessions = new Sessions();
  const largest = Number.MAX_SAFE_INTEGER;
  await sessions.admit(empty, client, 1, 0);
  for (const [opSeq, acked] of [
    [1, 1],
    [largest, largest],
    [3, largest],
  ] as const)
    await assert.rejects(sessions.admit(empty, client, opSeq, acked), (error) => isError(error, 'usage'));
});

test('the largest numbers there are make records that can be written', async () => {
  const sessions = new Sessions();
  const [opSeq, acked] = [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 1];
  await sessions.admit(empty, client, 1, 0);
  assert.equal((await sessions.admit(empty, client, opSeq, acked)).type, 'new');
  const effects = sessions.effects(client, opSeq, acked, answer, true, 0);
  sessions.applied(client, opSeq, answer, effects);
  await assert.rejects(sessions.admit(empty, client, 5, 4), (error) => isError(error, 'conflict'));
});
