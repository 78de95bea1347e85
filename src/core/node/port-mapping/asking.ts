// A question to the router by datagrams: said again while no answer comes, each time after a longer pause.

import type { Bytes } from '../../base/bytes.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import { deferred } from '../../base/lifecycle.ts';
import type { Cancel, Endpoint, Runtime } from '../../runtime/runtime.ts';

const pausesMs = [250, 500, 1000, 2000];

export interface Question<T> {
  messages: readonly { bytes: Bytes; to: Endpoint }[];
  /** Undefined, or `corrupt` thrown: this is not the answer. */
  read(bytes: Buffer, from: Endpoint): T | undefined;
}

/** Throws `unavailable` when nobody answers. */
export async function ask<T>({ clock, datagrams }: Runtime, { messages, read }: Question<T>): Promise<T> {
  const socket = await datagrams.open({ port: 0 });
  const answer = deferred<T>();
  let cancel: Cancel = () => {};
  socket.onMessage((bytes, from) => {
    try {
      const got = read(bytes, from);
      if (got !== undefined) answer.resolve(got);
    } catch (error) {
      if (!isError(error, 'corrupt')) answer.reject(error); // else anybody may send anything
    }
  });
  const say = (attempt: number) => {
    const pauseMs = pausesMs[attempt];
    if (pauseMs === undefined) return answer.reject(new InfinitError('unavailable', 'the router does not answer'));
    for (const { bytes, to } of messages) socket.send(bytes, to);
    cancel = clock.after(pauseMs, () => say(attempt + 1));
  };
  say(0);
  try {
    return await answer.promise;
  } finally {
    cancel();
    socket.close();
  }
}
