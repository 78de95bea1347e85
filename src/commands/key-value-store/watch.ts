// infinit key-value-store watch

import { Flags } from '@oclif/core';
import { utf8 } from '../../core/base/bytes.ts';
import { isError } from '../../core/base/errors.ts';
import { nameArg } from '../../core/cli/flags.ts';
import { KeyCommand, keyFlags, keyText } from '../../core/cli/key-command.ts';
import type { KeyChange } from '../../core/volume/keys.ts';

export default class KeyValueStoreWatch extends KeyCommand {
  static override summary = 'Print changes of keys as they happen, until stopped';
  static override examples = [
    { description: 'Watch everything', command: 'infinit key-value-store watch settings' },
    {
      description: 'Watch some keys, as JSON lines',
      command: 'infinit key-value-store watch settings --prefix users/ --script',
    },
  ];
  static override args = nameArg('key-value store');
  static override flags = {
    ...keyFlags,
    prefix: Flags.string({ description: 'only keys that begin with this', helpValue: 'TEXT' }),
  };

  protected override readonly goesOn = true;

  async run(): Promise<void> {
    const parsed = await this.parse(KeyValueStoreWatch);
    const prefix = utf8(parsed.flags.prefix ?? '');
    await this.withKeys(this.nameOf(parsed), parsed.flags.peer, async (keys, signal) => {
      for (;;) {
        try {
          for await (const change of keys.watch(prefix, { signal })) this.show(change);
          return;
        } catch (error) {
          // The leader changed and nobody knows every change in between: say so, and go on.
          if (!isError(error, 'unavailable') || error.data?.missed !== true) throw error;
          this.warn('changes were missed while the leader changed: list the keys to see what they are now');
        }
      }
    });
  }

  private show({ type, key, version }: KeyChange): void {
    const text = keyText(key);
    this.render({ type, key: text, version }, `${type} "${text}" (version ${version})`);
  }
}
