// infinit key-value-store get

import { asBuffer, toBase64 } from '../../core/base/bytes.ts';
import { writeBytes } from '../../core/cli/documents.ts';
import { outputFlag } from '../../core/cli/flags.ts';
import { KeyCommand, keyArgs, keyFlags, keyText } from '../../core/cli/key-command.ts';

export default class KeyValueStoreGet extends KeyCommand {
  static override summary = 'Print the value of a key';
  static override description = 'With --script the value is base64.';
  static override examples = [
    { description: 'Print', command: 'infinit key-value-store get settings colour' },
    { description: 'Value and version, as JSON', command: 'infinit key-value-store get settings colour --script' },
  ];
  static override args = keyArgs;
  static override flags = { ...keyFlags, ...outputFlag };

  async run(): Promise<void> {
    const parsed = await this.parse(KeyValueStoreGet);
    const { name, key } = this.storeAndKey(parsed);
    const { value, version } = await this.withKeys(name, parsed.flags.peer, (keys, signal) =>
      keys.get(key, { signal }),
    );
    if (this.script) this.printJson({ key: keyText(key), value: toBase64(value), version });
    else if (parsed.flags.output === undefined && this.invocation.stdout.isTTY)
      this.say(asBuffer(value).toString('utf8'));
    else await writeBytes(this.invocation, parsed.flags.output, value);
  }
}
