import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limits } from '../../../src/core/base/limits.ts';
import { latencyBuckets, Metrics } from '../../../src/core/base/metrics.ts';

test('counters add up, by the value of their label', async () => {
  const metrics = new Metrics({ network: 'alice/n' });
  const bytes = metrics.counter('bytes_total', 'Bytes.', 'direction');
  bytes.add(3, 'sent');
  bytes.add(4, 'sent');
  metrics.counter('bytes_total', 'Bytes.', 'direction').add(1, 'received');
  assert.equal(
    await metrics.text(),
    [
      '# HELP bytes_total Bytes.',
      '# TYPE bytes_total counter',
      'bytes_total{network="alice/n",direction="sent"} 7',
      'bytes_total{network="alice/n",direction="received"} 1',
      '',
    ].join('\n'),
  );
});

test('a counter may have several labels; those too many are other in all', async () => {
  const metrics = new Metrics();
  const asked = metrics.counter('asked_total', 'Asked.', 'route', 'code');
  asked.add(1, 'GET /', '200');
  asked.add(1, 'GET /', '404');
  asked.add(2, 'GET /', '404');
  const lines = async () => (await metrics.text()).split('\n').filter((line) => line.startsWith('asked_total{'));
  assert.deepEqual(await lines(), [
    'asked_total{route="GET /",code="200"} 1',
    'asked_total{route="GET /",code="404"} 3',
  ]);
  for (let i = 0; i < limits.metricValuesMax; i++) asked.add(1, `GET /${i}`, '200');
  assert.equal((await lines()).at(-1), 'asked_total{route="other",code="other"} 2');
});

test('a histogram counts everything up to each bound', async () => {
  const metrics = new Metrics();
  const times = metrics.histogram('t_seconds', 'Time.', 'what');
  for (const milliseconds of [0, 0.1, 0.2, 3, 3, 29_000, 31_000]) times.observe(milliseconds, 'x');
  const text = await metrics.text();
  const at = (le: string) =>
    Number(new RegExp(`_bucket{what="x",le="${le.replace('+', '\\+')}"} (\\d+)`).exec(text)?.[1]);
  assert.deepEqual(
    [at('0.0001'), at('0.00025'), at('0.0025'), at('0.005'), at('10'), at('30'), at('+Inf')],
    [2, 3, 3, 5, 5, 6, 7],
  );
  assert.match(text, /t_seconds_count{what="x"} 7/);
  assert.ok(Math.abs(Number(/t_seconds_sum{what="x"} ([\d.]+)/.exec(text)?.[1]) - 60.0063) < 1e-9);
  assert.deepEqual(
    [...latencyBuckets],
    [...latencyBuckets].sort((a, b) => a - b),
  );
});

test('what others name cannot break the format, and there is no end of memory for it', async () => {
  const metrics = new Metrics();
  const counter = metrics.counter('c', 'C.', 'name');
  counter.add(1, 'a"} 7\nevil 1 \\');
  assert.match(await metrics.text(), /^c\{name="a\\"\} 7\\nevil 1 \\\\"\} 1$/m);
  for (let i = 0; i < 2 * limits.metricValuesMax; i++) counter.add(1, `n${i}`);
  const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith('c{'));
  assert.equal(lines.length, limits.metricValuesMax + 1);
  assert.match(lines.at(-1) ?? '', /name="other"\} \d+/);
});

test('sources are asked when somebody reads; one that fails leaves the others', async () => {
  const metrics = new Metrics({ a: 'b' });
  let asked = 0;
  metrics.source(() => Promise.reject(new Error('no')));
  metrics.source(() => {
    throw new Error('no');
  });
  metrics.source(async () => [
    { name: 'g', help: 'G.', type: 'gauge', samples: [{ value: ++asked }, { labels: { x: 'y' }, value: 2 }] },
  ]);
  assert.equal(asked, 0);
  assert.equal(await metrics.text(), '# HELP g G.\n# TYPE g gauge\ng{a="b"} 1\ng{a="b",x="y"} 2\n');
});
