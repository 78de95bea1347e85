// Requests to providers of object stores: retried with growing pauses while a provider is away, busy or asks for patience, and
// refusals made into errors by a table of the provider.

import { asError, InfinitError, isError } from '../../base/errors.ts';
import { type Abortable, checkSignal } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { HttpRequest, HttpResponse, Runtime } from '../../runtime/runtime.ts';

/** What is needed to speak to a provider. */
export type HttpParts = Pick<Runtime, 'http' | 'clock' | 'random' | 'log'>;

/** How long what changes nothing is tried. */
export const readPatienceMs = 30_000;

export interface RetryOptions extends Abortable {
  /** After so long without success it gives up. */
  patienceMs: number;
}

const firstPauseMs = 100;
const pauseMsMax = 10_000;

/** Runs a task until it succeeds or fails for another reason than `unavailable`; waits longer each time, by chance. */
export async function retrying<T>(
  runtime: Pick<Runtime, 'clock' | 'random' | 'log'>,
  what: string,
  options: RetryOptions,
  task: () => Promise<T>,
): Promise<T> {
  const { clock, random, log } = runtime;
  const start = clock.monotonic();
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMsMax, pauseMs * 2)) {
    checkSignal(options.signal);
    try {
      return await task();
    } catch (error) {
      if (!isError(error, 'unavailable')) throw error;
      const asked = Number(error.data?.retryAfterMs ?? 0);
      const waitMs = Math.max(Math.min(asked, pauseMsMax), pauseMs * (0.5 + random.fraction()));
      if (clock.monotonic() - start + waitMs > options.patienceMs) throw error;
      if (pauseMs === firstPauseMs * 16) log.write('warn', 'silo', `${what}: ${error.message}; trying on`);
      await clock.sleep(waitMs, { signal: options.signal });
    }
  }
}

/** One request; busy and broken servers are `unavailable`, all other answers are the caller's to judge. */
export async function ask(
  http: Runtime['http'],
  request: Omit<HttpRequest, 'timeoutMs' | 'responseBytesMax'>,
  options: Abortable = {},
): Promise<HttpResponse> {
  const whole = {
    timeoutMs: limits.objectRequestTimeoutMs,
    responseBytesMax: limits.objectBytesMax,
    ...request,
  };
  const response = await http.request(whole, options);
  const { status, headers } = response;
  if (status !== 408 && status !== 429 && status < 500) return response;
  if (status === 501 || status === 507) return response;
  const seconds = Number(headers['retry-after']);
  throw new InfinitError('unavailable', `${hostOf(request.url)} answers ${status}`, {
    data: { status, retryAfterMs: Number.isFinite(seconds) ? seconds * 1000 : 0 },
  });
}

/** The header that asks for a part of an object, which is not empty. */
export function rangeHeader(range: { offset: number; length: number } | undefined): { range?: string } {
  return range === undefined ? {} : { range: `bytes=${range.offset}-${range.offset + range.length - 1}` };
}

/** Statuses of answers with all of an object or a part, or for a part behind its end. */
export const readStatuses: readonly number[] = [200, 206, 416];

/** What such an answer has of the part that was asked for; a server that knows no ranges sends everything. */
export function partOf({ status, body }: HttpResponse, range: { offset: number; length: number } | undefined): Buffer {
  if (status === 416) return Buffer.alloc(0);
  return range !== undefined && status === 200 ? body.subarray(range.offset, range.offset + range.length) : body;
}

export function hostOf(url: string): string {
  return new URL(url).host;
}

/** An answer that fits nothing the provider documents. */
export function unexpected(url: string, { status, body }: HttpResponse, detail?: string): InfinitError {
  const text = detail ?? body.toString('utf8', 0, 200).replace(/\s+/g, ' ');
  return new InfinitError('corrupt', `${hostOf(url)} answers ${status}: ${text}`);
}

export function parseJson(body: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch (error) {
    throw new InfinitError('corrupt', `an answer is no JSON: ${asError(error).message}`);
  }
  throw new InfinitError('corrupt', 'an answer is no JSON object');
}
