// `infinit doctor networking`: both ends of a measurement.

import type { Running, ThroughputFacts } from '../../cli/running.ts';
import { stopped } from '../serving.ts';
import { measure, serveThroughput as serve } from './throughput.ts';

export const measureThroughput: Running['measureThroughput'] = async ({ host, port, modes, packetBytes, packets }) => {
  const facts: ThroughputFacts[] = [];
  for (const mode of modes) {
    const { bytes, ms, bytesPerSecond } = await measure({ host, port }, mode, { packetBytes, packets });
    facts.push({ mode, bytes, ms: Math.round(ms), bytes_per_second: bytesPerSecond });
  }
  return facts;
};

export const serveThroughput: Running['serveThroughput'] = async ({ host, port, signal, warn, ready }) => {
  const { endpoint, close } = await serve({ host, port }, warn);
  try {
    ready(endpoint.port);
    await stopped(signal);
  } finally {
    await close();
  }
};
