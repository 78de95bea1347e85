// infinit key-value-store list

import { Flags } from '@oclif/core';
import { utf8 } from '../../core/base/bytes.ts';
import { limits } from '../../core/base/limits.ts';
import { integerFlag, nameArg, networkFlag } from '../../core/cli/flags.ts';
import { KeyCommand, keyFlags, keyText } from '../../core/cli/key-command.ts';
import { withoutUndefined } from '../../core/cli/presence.ts';
import { titled } from '../../core/cli/texts.ts';

interface ListFlags {
  peer?: string[] | undefined;
  prefix?: string | undefined;
  'start-after'?: string | undefined;
  limit?: number | undefined;
}

export default class KeyValueStoreList extends KeyCommand {
  static override summary = 'List key-value stores, or the keys of one';
  static override examples = [
    { description: 'List stores', command: 'infinit key-value-store list' },
    { description: 'List keys', command: 'infinit key-value-store list settings --prefix users/' },
  ];
  static override args = nameArg('key-value store');
  static override flags = {
    ...keyFlags,
    ...networkFlag,
    prefix: Flags.string({ description: 'only keys that begin with this', helpValue: 'TEXT' }),
    'start-after': Flags.string({ description: 'only keys after this one', helpValue: 'KEY' }),
    limit: integerFlag('limit', `most keys to list (default: ${limits.listKeysMax})`, 1, limits.listKeysMax),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(KeyValueStoreList);
    const name = parsed.args.name ?? parsed.flags.name;
    if (name === undefined) await this.listStores(parsed.flags.network);
    else await this.listKeys(this.nameOf(parsed), parsed.flags);
  }

  private async listStores(network: string | undefined): Promise<void> {
    const core = await this.core();
    const { listKeyValueStores } = await import('../../core/descriptor/key-value-stores.ts');
    const stores = await listKeyValueStores(core, network);
    this.render(
      stores,
      stores.map((store) => `${titled(this.paint.bold(store.name), store.description)}: ${store.network}`),
    );
  }

  private async listKeys(name: string, flags: ListFlags): Promise<void> {
    const { prefix, 'start-after': startAfter, limit } = flags;
    const bounds = withoutUndefined({
      prefix: prefix === undefined ? undefined : utf8(prefix),
      startAfter: startAfter === undefined ? undefined : utf8(startAfter),
      limit,
    });
    const { entries, truncated } = await this.withKeys(name, flags.peer, (keys, signal) =>
      keys.list({ ...bounds, keysOnly: true, signal }),
    );
    const found = entries.map(({ key, version, size }) => ({ key: keyText(key), version, size }));
    this.render(
      found,
      found.map(({ key }) => key),
    );
    if (truncated) this.tell(`There are more keys: --start-after ${JSON.stringify(found.at(-1)?.key ?? '')}`);
  }
}
