// HTTP and HTTPS requests by Node's own client, over connections that are kept and used again. The modules are loaded at the
// first request, because most processes never need them.

import type { Agent, ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { concatBytes } from '../../base/bytes.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import { type Abortable, cancelled, checkSignal } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { HttpClient, HttpRequest, HttpResponse } from '../runtime.ts';

interface Protocol {
  request(url: URL, options: RequestOptions, answered: (answer: IncomingMessage) => void): ClientRequest;
  agent: Agent;
}

export function systemHttp(): HttpClient {
  const loaded = new Map<string, Promise<Protocol>>();
  return {
    async request(request, options = {}) {
      checkSignal(options.signal);
      const url = parseUrl(request.url);
      let protocol = loaded.get(url.protocol);
      if (protocol === undefined) {
        protocol = load(url.protocol);
        loaded.set(url.protocol, protocol);
      }
      const ready = await protocol;
      checkSignal(options.signal);
      return perform(ready, url, request, options);
    },
  };
}

async function load(protocol: string): Promise<Protocol> {
  const { request, Agent } = protocol === 'https:' ? await import('node:https') : await import('node:http');
  // A connection that stands idle keeps no process alive: Node's agent lets go of it by itself.
  const agent = new Agent({ keepAlive: true, maxSockets: limits.httpConnectionsMax, keepAliveMsecs: 1000 });
  return { request, agent };
}

function parseUrl(text: string): URL {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // Told below, without the text: it may hold a secret.
  }
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new InfinitError('usage', 'not an http or https address');
}

function perform(protocol: Protocol, url: URL, request: HttpRequest, { signal }: Abortable): Promise<HttpResponse> {
  const { method, headers, body = [], timeoutMs, responseBytesMax } = request;
  const length = body.reduce((sum, part) => sum + part.length, 0);
  const where = url.host;
  return new Promise((resolve, reject) => {
    const settle = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
    const end = (error: Error) => {
      settle();
      reject(isError(error) ? error : noAnswer(where, error));
    };
    const call = protocol.request(
      url,
      {
        method,
        agent: protocol.agent,
        headers: { ...headers, ...((length > 0 || method !== 'GET') && { 'content-length': String(length) }) },
      },
      (answer) =>
        collect(answer, responseBytesMax, where).then((whole) => {
          settle();
          resolve(whole);
        }, end),
    );
    const stop = (error: InfinitError) => {
      end(error);
      call.destroy();
    };
    const abort = () => stop(cancelled(signal));
    const timer = setTimeout(
      () => stop(new InfinitError('unavailable', `${where} does not answer within ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    signal?.addEventListener('abort', abort, { once: true });
    call.on('error', end);
    for (const part of body) call.write(part);
    call.end();
  });
}

async function collect(answer: IncomingMessage, bytesMax: number, where: string): Promise<HttpResponse> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of answer) {
    bytes += (piece as Buffer).length;
    if (bytes > bytesMax) throw new InfinitError('full', `${where} answers with more than ${bytesMax} bytes`);
    pieces.push(piece as Buffer);
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(answer.headers)) headers[name] = [value ?? ''].flat().join(', ');
  return { status: answer.statusCode ?? 0, headers, body: concatBytes(pieces) };
}

function noAnswer(where: string, cause: Error): InfinitError {
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
  return new InfinitError('unavailable', `${where} cannot be reached: ${code}`, { cause });
}
