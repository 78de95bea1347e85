// infinit key-value-store put

import { Flags } from '@oclif/core';
import { utf8 } from '../../core/base/bytes.ts';
import { limits } from '../../core/base/limits.ts';
import { readDocument } from '../../core/cli/documents.ts';
import { inputFlag } from '../../core/cli/flags.ts';
import { ifVersionFlag, KeyCommand, keyArgs, keyFlags, keyText } from '../../core/cli/key-command.ts';
import { withoutUndefined } from '../../core/cli/presence.ts';

export default class KeyValueStorePut extends KeyCommand {
  static override summary = 'Set the value of a key, from --value, a file or standard input';
  static override examples = [
    { description: 'From the command line', command: 'infinit key-value-store put settings colour --value blue' },
    {
      description: 'A file, only when the key is new',
      command: 'infinit key-value-store put settings logo -i logo.png --if-absent',
    },
  ];
  static override args = keyArgs;
  static override flags = {
    ...keyFlags,
    ...inputFlag,
    ...ifVersionFlag,
    value: Flags.string({ description: 'the value', helpValue: 'TEXT', exclusive: ['input'] }),
    'if-absent': Flags.boolean({ description: 'only when there is no such key' }),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(KeyValueStorePut);
    const { flags } = parsed;
    const { name, key } = this.storeAndKey(parsed);
    const input = () => readDocument(this.invocation, flags.input, limits.valueBytesMax);
    const value = flags.value === undefined ? await input() : utf8(flags.value);
    const condition = withoutUndefined({ ifVersion: flags['if-version'], ifAbsent: flags['if-absent'] });
    const version = await this.withKeys(name, flags.peer, (keys, signal) =>
      keys.put(key, value, { signal, ...condition }),
    );
    this.render({ key: keyText(key), version }, `Saved key "${keyText(key)}" (version ${version}).`);
  }
}
