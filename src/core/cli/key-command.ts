// What the commands on keys of a key-value store share: the store's name and the key from the words, a session on the store.

import { Args } from '@oclif/core';
import { asBuffer, type Bytes, utf8 } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import type { KeyStore } from '../volume/keys.ts';
import { BaseCommand } from './base-command.ts';
import { integerFlag, nameArg, nameFlag, peerFlag } from './flags.ts';
import { expandPeers, withoutUndefined } from './presence.ts';

export const keyArgs = { ...nameArg('key-value store'), key: Args.string({ description: 'the key' }) };
export const keyFlags = { ...nameFlag('key-value store'), ...peerFlag };
export const ifVersionFlag = {
  'if-version': integerFlag('version', 'only when the key has this version', 0, Number.MAX_SAFE_INTEGER),
};

/** A key as text; keys made by other programs may hold bytes that are none. */
export function keyText(key: Bytes): string {
  return asBuffer(key).toString('utf8');
}

interface Words {
  args: { name?: string | undefined; key?: string | undefined };
  flags: { name?: string | undefined };
}

export abstract class KeyCommand extends BaseCommand {
  /** Store and key; with `--name` the only argument is the key. Throws `usage` when one is missing. */
  protected storeAndKey({ args, flags }: Words): { name: string; key: Buffer } {
    const [name, key] = flags.name === undefined ? [args.name, args.key] : [flags.name, args.name];
    if (name === undefined) throw new InfinitError('usage', 'missing argument: name');
    if (key === undefined || key === '') throw new InfinitError('usage', 'missing argument: key');
    return { name, key: utf8(key) };
  }

  /** Runs the task on the store, then leaves it. */
  protected async withKeys<T>(
    name: string,
    peers: readonly string[] | undefined,
    task: (keys: KeyStore, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const acting = await this.acting();
    const { openKeys } = await this.running();
    const expanded = await expandPeers(this.invocation, peers);
    const session = await openKeys({ ...acting, name, ...withoutUndefined({ peers: expanded }) });
    try {
      return await task(session.keys, acting.signal);
    } finally {
      await session.close();
    }
  }
}
