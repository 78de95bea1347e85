// The control socket of the daemon: one JSON object a line asks, one line answers.
// `{"operation":"volume-start","volume":"alice/shared"}` -> `{"operation":"volume-start","volume":{...},"result":"Ok"}` or
// `{"operation":...,"result":"Error","error":"...","kind":"..."}`. Who may ask: this user and root (docs/decisions/018).

import { join } from 'node:path';
import { asError, errorKinds, InfinitError, isError } from '../base/errors.ts';
import type { Home } from '../descriptor/descriptor.ts';
import { LineClient, serveLines } from '../node/line-socket.ts';
import { shorten } from '../node/sockets.ts';

/** Answers one kind of request; `closed` fires when who asked has gone. */
export type Operation = (
  request: Readonly<Record<string, unknown>>,
  closed: AbortSignal,
) => Promise<Record<string, unknown>>;

export function controlSocket(home: Home): string {
  return shorten(join(home.runtime, 'daemon.sock'));
}

export function serveControl(
  home: Home,
  operations: Readonly<Record<string, Operation>>,
): Promise<() => Promise<void>> {
  return serveLines(controlSocket(home), (line, closed) => answer(line, operations, closed));
}

async function answer(
  line: string,
  operations: Readonly<Record<string, Operation>>,
  closed: AbortSignal,
): Promise<string> {
  let operation: unknown;
  try {
    const request = JSON.parse(line) as Record<string, unknown> | null;
    if (typeof request !== 'object' || request === null) throw new InfinitError('usage', 'a request is an object');
    operation = request.operation;
    const act =
      typeof operation === 'string' && Object.hasOwn(operations, operation) ? operations[operation] : undefined;
    if (act === undefined)
      throw new InfinitError('unsupported', `unknown operation; known: ${Object.keys(operations).join(', ')}`);
    return JSON.stringify({ operation, ...(await act(request, closed)), result: 'Ok' });
  } catch (cause) {
    const { kind, message, hint } =
      cause instanceof SyntaxError ? new InfinitError('usage', 'not JSON') : asError(cause);
    return JSON.stringify({ operation, result: 'Error', error: message, kind, ...(hint !== undefined && { hint }) });
  }
}

/** Waits for an answer as long as a process may take to begin or to end. */
const answerTimeoutMs = 15 * 60_000;

/** Who speaks to the daemon of a home. */
export class ControlClient {
  private readonly client: LineClient;

  private constructor(client: LineClient) {
    this.client = client;
  }

  /** Undefined when no daemon runs. */
  static async open(home: Home): Promise<ControlClient | undefined> {
    try {
      return new ControlClient(await LineClient.open(controlSocket(home), 'the daemon'));
    } catch (error) {
      if (isError(error, 'not-found')) return undefined;
      throw error;
    }
  }

  /** What it answers; throws the error it answers with. */
  async ask(operation: string, fields: Readonly<Record<string, unknown>> = {}): Promise<Record<string, unknown>> {
    const line = await this.client.ask(JSON.stringify({ ...fields, operation }), answerTimeoutMs);
    const answered = JSON.parse(line) as Record<string, unknown>;
    if (answered.result === 'Ok') return answered;
    const kind = errorKinds.find((one) => one === answered.kind) ?? 'internal';
    const hint = typeof answered.hint === 'string' ? { hint: answered.hint } : {};
    throw new InfinitError(kind, String(answered.error), hint);
  }

  close(): void {
    this.client.close();
  }
}
