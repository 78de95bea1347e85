// infinit key-value-store run

import { Flags } from '@oclif/core';
import { nameArg, nameFlag, registerServiceFlag } from '../../core/cli/flags.ts';
import { hubFlags, runFlags, withoutUndefined } from '../../core/cli/presence.ts';
import { RunCommand } from '../../core/cli/run-command.ts';

export default class KeyValueStoreRun extends RunCommand {
  static override summary = 'Keep a key-value store open: quick access for other commands and programs';
  static override examples = [
    { description: 'Until stopped', command: 'infinit key-value-store run settings' },
    {
      description: 'In the background, with a door for programs',
      command: 'infinit key-value-store run settings --daemon --listen unix:/run/settings.sock',
    },
  ];
  static override args = nameArg('key-value store');
  static override flags = {
    ...nameFlag('key-value store'),
    ...runFlags,
    ...hubFlags,
    ...registerServiceFlag('key-value store'),
    listen: Flags.string({ description: 'where programs reach it', helpValue: 'unix:PATH|HOST:PORT' }),
  };

  protected override readonly goesOn = true;

  async run(): Promise<void> {
    const parsed = await this.parse(KeyValueStoreRun);
    const { flags } = parsed;
    const name = this.nameOf(parsed);
    const { listen: door, 'register-service': registerService, ...presence } = flags;
    const options = await this.runOptions(name, presence);
    const { runKeyValueStore } = await this.running();
    await runKeyValueStore({
      ...options,
      ...withoutUndefined({ door, registerService }),
      ready: (facts) => this.render({ name: options.name, ...facts }, `Running key-value store "${options.name}".`),
    });
  }
}
