// infinit key-value-store watch

import { Flags } from '@oclif/core';
import { utf8 } from '../../core/base/bytes.ts';
import { nameArg } from '../../core/cli/flags.ts';
import { KeyCommand, keyFlags, keyText } from '../../core/cli/key-command.ts';

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
      for await (const { type, key, version } of keys.watch(prefix, { signal })) {
        const text = keyText(key);
        this.render({ type, key: text, version }, `${type} "${text}" (version ${version})`);
      }
    });
  }
}
