// infinit key-value-store delete

import { InfinitError } from '../../core/base/errors.ts';
import { clearTree, deleteFlags } from '../../core/cli/delete-tree.ts';
import { ifVersionFlag, KeyCommand, keyArgs, keyFlags, keyText } from '../../core/cli/key-command.ts';
import { withoutUndefined } from '../../core/cli/presence.ts';
import { removedJson, removedLines } from '../../core/cli/texts.ts';
import { qualify } from '../../core/descriptor/names.ts';

export default class KeyValueStoreDelete extends KeyCommand {
  static override summary = 'Delete a key of a key-value store, or a store: from this device, or from the network';
  static override examples = [
    {
      description: 'Forget the store here; its keys stay in the network',
      command: 'infinit key-value-store delete settings',
    },
    {
      description: 'Delete it with its keys everywhere; nodes give back the space',
      command: 'infinit key-value-store delete settings --clear-content',
    },
    { description: 'Delete a key', command: 'infinit key-value-store delete settings colour' },
  ];
  static override args = keyArgs;
  static override flags = { ...keyFlags, ...ifVersionFlag, ...deleteFlags };

  async run(): Promise<void> {
    const parsed = await this.parse(KeyValueStoreDelete);
    const { args, flags } = parsed;
    const isKey = (flags.name === undefined ? args.key : args.name) !== undefined;
    if (isKey) {
      if (flags['clear-content']) throw new InfinitError('usage', '--clear-content is of a store, not of a key');
      return this.deleteKey(this.storeAndKey(parsed), flags);
    }
    const name = this.nameOf(parsed);
    const { pull, purge } = flags;
    if (pull) await this.pullFromHub('key-value-store', qualify('key-value store', name, this.user), purge);
    if (flags['clear-content']) await this.clear(name, flags);
    else await this.deleteStore(name);
  }

  private async clear(name: string, flags: { force: boolean; peer?: string[] | undefined }): Promise<void> {
    const { invocation, script } = this;
    const parts = { invocation, script, acting: await this.acting(), running: await this.running() };
    const warn = (text: string) => this.warn(text);
    const { value, lines } = await clearTree({ ...parts, warn }, { kind: 'key-value-store', name }, flags);
    this.render(value, lines);
  }

  private async deleteStore(name: string): Promise<void> {
    const core = await this.core();
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
