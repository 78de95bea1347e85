// The monitoring socket of a running process: one JSON object a line asks, one line answers. Only this home's user can open it.
// `{"query":"status", ...}` -> `{"success":true,"result":{...}}` or `{"success":false,"error":{"kind","message"}}`.

import { asError, InfinitError } from '../base/errors.ts';
import { LineClient, serveLines } from './line-socket.ts';

const answerTimeoutMs = 10_000;

/** Each answers a request, of which it reads what it needs. */
export type Queries = Record<string, (request: Readonly<Record<string, unknown>>) => Promise<unknown> | unknown>;

/** Serves the queries on the socket; resolves to what closes it. A socket nobody listens on is replaced. */
export function serveMonitor(path: string, queries: Queries): Promise<() => Promise<void>> {
  return serveLines(path, (line) => reply(line, queries));
}

/** Asks a running process. Throws `not-found` when none listens, what it answers with, `unavailable` when it does not. */
export async function askMonitor(
  path: string,
  query: string,
  options: { fields?: Readonly<Record<string, unknown>>; timeoutMs?: number } = {},
): Promise<unknown> {
  const client = await LineClient.open(path, 'the running process');
  try {
    const line = await client.ask(JSON.stringify({ ...options.fields, query }), options.timeoutMs ?? answerTimeoutMs);
    const answer = JSON.parse(line) as {
      success: boolean;
      result?: unknown;
      error?: { kind: 'unsupported'; message: string };
    };
    if (!answer.success) throw new InfinitError(answer.error?.kind ?? 'internal', answer.error?.message ?? 'no answer');
    return answer.result;
  } finally {
    client.close();
  }
}

async function reply(line: string, queries: Queries): Promise<string> {
  try {
    const request = JSON.parse(line) as unknown;
    if (typeof request !== 'object' || request === null) throw new InfinitError('usage', 'a query is an object');
    const { query } = request as { query?: unknown };
    const answer = typeof query === 'string' && Object.hasOwn(queries, query) ? queries[query] : undefined;
    if (answer === undefined)
      throw new InfinitError('unsupported', `unknown query; known: ${Object.keys(queries).join(', ')}`);
    return JSON.stringify({ success: true, result: await answer(request as Record<string, unknown>) });
  } catch (cause) {
    const error = cause instanceof SyntaxError ? new InfinitError('usage', 'not JSON') : asError(cause);
    return JSON.stringify({ success: false, error: { kind: error.kind, message: error.message } });
  }
}
