// Lifeguard's corrections at work: fewer who are there are given up, and who is gone is found out all the same. Figures stand in
// docs/decisions/012-failure-detector.md.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DetectorFigures, DetectorWorld, type DetectorWorldOptions } from './detector-world.ts';

const scenes: [string, Partial<DetectorWorldOptions>][] = [
  ['everything well', {}],
  ['a tenth of messages lost', { loss: 0.1 }],
  ['four of 32 stand still for 2 to 8 s', { pauses: { nodes: 4, lengthMs: [2000, 8000], everyMs: [15_000, 30_000] } }],
  ['ten of 32 under load', { loss: 0.02, pauses: { nodes: 10, lengthMs: [300, 3000], everyMs: [500, 4000] } }],
];

function total(scene: Partial<DetectorWorldOptions>, corrected: boolean): DetectorFigures {
  const sum: DetectorFigures = { suspected: 0, buried: 0, buriedBetweenHealthy: 0, firstMs: 0, allMs: 0 };
  for (const seed of [1, 2, 3]) {
    const figures = new DetectorWorld({ seed, nodes: 32, minutes: 5, corrected, ...scene }).run();
    for (const key of Object.keys(sum) as (keyof DetectorFigures)[]) sum[key] += figures[key];
  }
  return { ...sum, firstMs: Math.round(sum.firstMs / 3), allMs: Math.round(sum.allMs / 3) };
}

for (const [name, scene] of scenes) {
  test(name, (t) => {
    const [plain, corrected] = [total(scene, false), total(scene, true)];
    t.diagnostic(`without the corrections: ${JSON.stringify(plain)}`);
    t.diagnostic(`with them: ${JSON.stringify(corrected)}`);
    assert.equal(corrected.buriedBetweenHealthy, 0, 'nobody who is well is given up by anybody who is well');
    if (scene.pauses) assert.ok(corrected.buried < plain.buried, 'fewer who come back are given up');
    else assert.equal(corrected.buried, 0, 'nobody is given up');
    assert.ok(corrected.allMs < 24_000 * Math.log10(33), 'confirmed suspicions do not last as long as lonely ones');
  });
}
