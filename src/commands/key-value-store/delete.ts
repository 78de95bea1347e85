// infinit key-value-store delete

import { Flags } from '@oclif/core';
import { InfinitError } from '../../core/base/errors.ts';
import { pullFlag } from '../../core/cli/flags.ts';
import { ifVersionFlag, KeyCommand, keyArgs, keyFlags, keyText } from '../../core/cli/key-command.ts';
import { withoutUndefined } from '../../core/cli/presence.ts';
import { removedJson, removedLines } from '../../core/cli/texts.ts';
import { qualify } from '../../core/descriptor/names.ts';

const hubFlags = {
  ...pullFlag,
  purge: Flags.boolean({ description: 'delete what hangs on it as well, of which there is nothing yet' }),
};

export default class KeyValueStoreDelete extends KeyCommand {
  static override summary = 'Delete a key-value store from this device, or a key of one';
  static override examples = [
    { description: 'Delete the store', command: 'infinit key-value-store delete settings' },
    { description: 'Delete a key', command: 'infinit key-value-store delete settings colour' },
  ];
  static override args = keyArgs;
  static override flags = { ...keyFlags, ...ifVersionFlag, ...hubFlags };

  async run(): Promise<void> {
    const parsed = await this.parse(KeyValueStoreDelete);
    const { args, flags } = parsed;
    const isKey = (flags.name === undefined ? args.key : args.name) !== undefined;
    if (isKey) await this.deleteKey(this.storeAndKey(parsed), flags);
    else await this.deleteStore(this.nameOf(parsed), flags);
  }

  private async deleteStore(name: string, { pull, purge }: { pull: boolean; purge: boolean }): Promise<void> {
    const core = await this.core();
    const qualified = qualify('key-value store', name, this.user);
    if (pull) await this.pullFromHub('key-value-store', qualified, purge);
    const { deleteKeyValueStore } = await import('../../core/descriptor/key-value-stores.ts');
    const store = await deleteKeyValueStore(core, this.user, name);
    const removed = [{ kind: 'key-value-store' as const, name: store.name }];
    this.render(removedJson(removed), removedLines(removed));
  }

  private async deleteKey(
    { name, key }: { name: string; key: Buffer },
    flags: { peer?: string[] | undefined; 'if-version'?: number | undefined },
  ): Promise<void> {
    const condition = withoutUndefined({ ifVersion: flags['if-version'] });
    const existed = await this.withKeys(name, flags.peer, (keys, signal) => keys.delete(key, { signal, ...condition }));
    if (!existed) throw new InfinitError('not-found', `key "${keyText(key)}" does not exist`);
    this.render({ key: keyText(key) }, `Deleted key "${keyText(key)}".`);
  }
}
