// What a hub tells whoever watches it: requests by route, answers and refusals, the time of its database, and how much it keeps.

import type { Metrics, Reading } from '../../base/metrics.ts';
import type { Clock, Database } from '../../runtime/runtime.ts';
import type { HubRequest, HubResponse, HubStore } from '../hub.ts';

/** What is kept is counted this often at most: counting reads an index. */
const censusPeriodMs = 60_000;

/** A request that was answered. */
export interface Answered {
  request: Pick<HubRequest, 'body'>;
  response: HubResponse;
  /** Method and path as in the table of routes; undefined: there is none. */
  route: string | undefined;
  /** Code of the refusal. */
  refusal: string | undefined;
  milliseconds: number;
}

export class HubMeter {
  private readonly requests;
  private readonly times;
  private readonly refusals;
  private readonly bytes;

  constructor(metrics: Metrics) {
    this.requests = metrics.counter('infinit_hub_requests_total', 'Requests that were answered.', 'route', 'code');
    this.times = metrics.histogram('infinit_hub_request_seconds', 'Time until requests are answered.', 'route');
    this.refusals = metrics.counter('infinit_hub_refusals_total', 'Requests that were refused.', 'reason');
    this.bytes = metrics.counter('infinit_hub_bytes_total', 'Bytes of bodies of requests and answers.', 'direction');
  }

  count({ request, response, route = 'none', refusal, milliseconds }: Answered): void {
    this.requests.add(1, route, String(response.status));
    this.times.observe(milliseconds, route);
    if (refusal !== undefined) this.refusals.add(1, refusal);
    this.bytes.add(request.body.length, 'received');
    this.bytes.add(response.body.length, 'sent');
  }
}

/** A database whose statements are timed, waiting for their turn included; a transaction as a whole and statement by statement. */
export function meteredDatabase(inner: Database, clock: Pick<Clock, 'monotonic'>, metrics: Metrics): Database {
  const times = metrics.histogram('infinit_hub_database_seconds', 'Time of the database of the hub.', 'operation');
  /** Failures take time too. */
  const timed = async <T>(operation: string, task: Promise<T>): Promise<T> => {
    const began = clock.monotonic();
    try {
      return await task;
    } finally {
      times.observe(clock.monotonic() - began, operation);
    }
  };
  return {
    exec: (sql) => timed('exec', inner.exec(sql)),
    run: (sql, values) => timed('run', inner.run(sql, values)),
    get: (sql, values) => timed('get', inner.get(sql, values)),
    all: (sql, values) => timed('all', inner.all(sql, values)),
    transaction: (task, options) =>
      timed(
        'transaction',
        inner.transaction((database) => task(meteredDatabase(database, clock, metrics)), options),
      ),
    close: () => inner.close(),
  };
}

/** From now on the metrics tell how much the hub keeps; `fileBytes`: of its database, where that is a file. */
export function watchStore(
  metrics: Metrics,
  store: Pick<HubStore, 'census'>,
  clock: Pick<Clock, 'monotonic'>,
  fileBytes?: () => Promise<number>,
): void {
  let counted: Promise<Reading> | undefined;
  let countedAtMs = Number.NEGATIVE_INFINITY;
  metrics.source(async () => {
    const nowMs = clock.monotonic();
    if (counted === undefined || nowMs - countedAtMs >= censusPeriodMs) {
      countedAtMs = nowMs;
      counted = census(store);
    }
    return [await counted];
  });
  if (fileBytes === undefined) return;
  const [name, help] = ['infinit_hub_database_bytes', 'Size of the file of the database of the hub.'];
  metrics.source(async () => [{ name, help, type: 'gauge', samples: [{ value: await fileBytes() }] }]);
}

async function census(store: Pick<HubStore, 'census'>): Promise<Reading> {
  const samples = [...(await store.census())].map(([kind, value]) => ({ labels: { kind }, value }));
  return { name: 'infinit_hub_descriptors', help: 'Descriptors that the hub keeps.', type: 'gauge', samples };
}
