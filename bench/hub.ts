// The hub under load: 100 people who push and fetch for a minute, each with a pause between two requests, on SQLite and, where it is
// installed, on PostgreSQL. `--seconds N` and `--clients N` change that. Any error ends with exit code 1.

import { HubClient } from '../src/core/hub/client/client.ts';
import { httpConnection } from '../src/core/hub/client/http.ts';
import { systemRuntime } from '../src/core/runtime/system/system.ts';
import { Lab } from '../test/end-to-end/device.ts';
import { Hub } from '../test/end-to-end/hub.ts';
import { noPostgres, PostgresServer } from '../test/fakes/postgres.ts';
import { networkOf, type Person, person, userBody, volumeOf } from '../test/unit/hub/support.ts';

const pauseMs = 200;
const seconds = option('seconds', 60);
const clients = option('clients', 100);
const runtime = systemRuntime({ log: { level: 'error' } });

function option(name: string, usual: number): number {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? usual : Number(process.argv[at + 1]);
}

interface Tally {
  pushMs: number[];
  fetchMs: number[];
  errors: string[];
}

async function live(hub: Hub, who: Person, untilMs: number, tally: Tally): Promise<void> {
  const client = new HubClient(runtime, httpConnection(hub.url), who);
  const timed = async (into: number[], method: string, path: string, body?: unknown) => {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 2 * pauseMs));
    const began = performance.now();
    try {
      await client.ask(method, path, { body, what: path });
      into.push(performance.now() - began);
    } catch (error) {
      tally.errors.push(`${method} ${path}: ${(error as Error).message}`);
    }
  };
  const { name } = who;
  await timed(tally.pushMs, 'PUT', `/users/${name}`, userBody(who));
  for (let serial = 1; performance.now() < untilMs; serial++) {
    await timed(tally.pushMs, 'PUT', `/networks/${name}/n`, networkOf(who, 'n', { serial }));
    await timed(tally.pushMs, 'PUT', `/volumes/${name}/v`, volumeOf(who, 'v', `${name}/n`, { serial }));
    await timed(tally.fetchMs, 'GET', `/networks/${name}/n`);
    await timed(tally.fetchMs, 'GET', `/users/${name}/volumes`);
  }
}

function line(what: string, times: number[], tookS: number): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number) => (sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN).toFixed(1);
  return `| ${what} | ${times.length} | ${(times.length / tookS).toFixed(0)} | ${at(0.5)} | ${at(0.99)} | ${at(1)} |`;
}

async function measure(name: string, words: readonly string[]): Promise<void> {
  const lab = new Lab();
  const hub = new Hub(lab, 'hub', words);
  const tally: Tally = { pushMs: [], fetchMs: [], errors: [] };
  try {
    await hub.start();
    const began = performance.now();
    const people = Array.from({ length: clients }, (_, i) => person(`user${i}`));
    await Promise.all(people.map((who) => live(hub, who, began + seconds * 1000, tally)));
    const tookS = (performance.now() - began) / 1000;
    process.stdout.write(
      `${line(`${name}, push`, tally.pushMs, tookS)}\n${line(`${name}, fetch`, tally.fetchMs, tookS)}\n`,
    );
  } finally {
    await lab.close();
  }
  if (tally.errors.length === 0) return;
  process.stdout.write(`${tally.errors.length} ERRORS on ${name}: ${tally.errors.slice(0, 3).join('; ')}\n`);
  process.exitCode = 1;
}

process.stdout.write(`${clients} clients for ${seconds} s, ${pauseMs} ms between two requests of one.\n\n`);
process.stdout.write(
  '| hub on | requests | a second | median ms | 99th ms | longest ms |\n|---|---|---|---|---|---|\n',
);
await measure('SQLite', []);
const reason = noPostgres();
if (reason) process.stdout.write(`| ${reason} | | | | | |\n`);
else {
  const server = await PostgresServer.start();
  try {
    await measure('PostgreSQL', ['--database', server.create('hub')]);
  } finally {
    await server.stop();
  }
}
