import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Metrics } from '../../../src/core/base/metrics.ts';
import { metricsEndpoint, processMetrics, serveMetrics } from '../../../src/core/node/metrics-server.ts';

const closers: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of closers) await close();
});

async function serve(metrics = new Metrics()) {
  const served = await serveMetrics(metrics, { host: '127.0.0.1', port: 0 });
  closers.push(served.close);
  return served;
}

test('endpoints as people write them; without a host loopback', () => {
  const of = (text: string) => metricsEndpoint(text);
  assert.deepEqual(of('127.0.0.1:8080'), { host: '127.0.0.1', port: 8080 });
  assert.deepEqual(of('desk:1'), { host: 'desk', port: 1 });
  assert.deepEqual(of('8080'), { host: '127.0.0.1', port: 8080 });
  assert.deepEqual(of(':8080'), { host: '127.0.0.1', port: 8080 });
  assert.deepEqual(of('[::1]:8080'), { host: '::1', port: 8080 });
  for (const bad of ['', 'desk', 'desk:', 'desk:70000', 'a:b:1', 'desk:-1'])
    assert.throws(() => of(bad), { kind: 'usage' });
});

test('tells at /metrics, and nothing elsewhere', async () => {
  const { endpoint } = await serve(processMetrics({ network: 'alice/n' }));
  const answer = await fetch(`http://${endpoint}/metrics`);
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  const text = await answer.text();
  for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'infinit_event_loop_delay_seconds'])
    assert.match(text, new RegExp(`^${name}{network="alice/n"} [\\d.e-]+$`, 'm'));
  assert.equal((await fetch(`http://${endpoint}/`)).status, 404);
  assert.equal((await fetch(`http://${endpoint}/metrics`, { method: 'POST' })).status, 405);
});

test('a port that is taken is told of', async () => {
  const { endpoint } = await serve();
  await assert.rejects(serveMetrics(new Metrics(), metricsEndpoint(endpoint)), { kind: 'exists' });
});
