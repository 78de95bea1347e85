// Where Prometheus reads: `GET /metrics` over plain HTTP. Nothing secret is told, but who listens on other addresses than loopback
// tells everybody there how much is stored and with whom.

import { createServer } from 'node:http';
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { asError, InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { Metrics, type Reading } from '../base/metrics.ts';
import { formatEndpoint } from '../runtime/endpoint.ts';
import type { Endpoint } from '../runtime/runtime.ts';

const contentType = 'text/plain; version=0.0.4; charset=utf-8';
const requestTimeoutMs = 10_000;
const loopback = '127.0.0.1';
const microseconds = 1e6;
const nanoseconds = 1e9;

/** `HOST:PORT`, `:PORT` or `PORT`; without a host loopback only. Throws `usage`. */
export function metricsEndpoint(text: string): Endpoint {
  const found = /^(?:(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(text);
  const port = Number(found?.[3]);
  if (found === null || !(port <= 65_535))
    throw new InfinitError('usage', `invalid endpoint for metrics: ${text}`, { hint: 'write HOST:PORT' });
  return { host: found[1] ?? (found[2] || loopback), port };
}

export interface ServedMetrics {
  /** `HOST:PORT` as got. */
  endpoint: string;
  close(): Promise<void>;
}

/** Throws `exists` when the port is taken. */
export async function serveMetrics(metrics: Metrics, { host, port }: Endpoint): Promise<ServedMetrics> {
  const server = createServer((request, response) => {
    const path = request.url?.split('?', 1)[0];
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if (path !== '/metrics' || !isRead) {
      response.writeHead(path === '/metrics' ? 405 : 404, { 'content-type': 'text/plain' }).end('see /metrics\n');
      return;
    }
    metrics.text().then(
      (text) => response.writeHead(200, { 'content-type': contentType }).end(text),
      (error: unknown) => response.writeHead(500).end(`${asError(error).kind}\n`),
    );
  });
  server.maxConnections = limits.metricConnectionsMax;
  server.requestTimeout = requestTimeoutMs;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const isTaken = cause.code === 'EADDRINUSE';
      const message = isTaken ? `${formatEndpoint({ host, port })} is taken` : cause.message;
      reject(new InfinitError(isTaken ? 'exists' : 'unavailable', message, { cause }));
    });
    server.listen(port, host, resolve);
  });
  const got = server.address();
  const endpoint = formatEndpoint({ host, port: typeof got === 'object' && got !== null ? got.port : port });
  const close = async () => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return { endpoint, close };
}

/** Metrics that hold what every process tells; the labels stand everywhere. */
export function processMetrics(labels: Readonly<Record<string, string>>): Metrics {
  const metrics = new Metrics(labels);
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  const startSeconds = Date.now() / 1000 - process.uptime();
  metrics.source(() => readProcess(delay, startSeconds));
  return metrics;
}

function readProcess(delay: IntervalHistogram, startSeconds: number): Reading[] {
  const { user, system } = process.cpuUsage();
  const one = (name: string, help: string, type: Reading['type'], value: number): Reading => ({
    ...{ name, help, type },
    samples: [{ value }],
  });
  // Since the last reading; readers that alternate see a part each.
  const worst = delay.max / nanoseconds;
  delay.reset();
  return [
    one('process_cpu_seconds_total', 'Processor time of the process.', 'counter', (user + system) / microseconds),
    one('process_resident_memory_bytes', 'Memory of the process.', 'gauge', process.memoryUsage.rss()),
    one('process_start_time_seconds', 'When the process began, since 1970.', 'gauge', startSeconds),
    one('infinit_event_loop_delay_seconds', 'Longest wait of the event loop since the last reading.', 'gauge', worst),
  ];
}
