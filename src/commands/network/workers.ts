// infinit network workers

import { Flags } from '@oclif/core';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { table } from '../../core/cli/table.ts';

export default class NetworkWorkers extends BaseCommand {
  static override summary = 'List what the running network process does in the background';
  static override examples = [
    { description: 'As a table', command: 'infinit network workers cluster' },
    { description: 'As JSON', command: 'infinit network workers cluster --script' },
    { description: 'Look for rotten bytes now', command: 'infinit network workers cluster --scrub' },
  ];
  static override args = nameArg('network');
  static override flags = {
    ...nameFlag('network'),
    scrub: Flags.boolean({ description: 'read everything this device keeps once, beginning now' }),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(NetworkWorkers);
    const name = this.nameOf(parsed);
    const acting = await this.acting();
    const { networkWorkers } = await this.running();
    const workers = await networkWorkers({ ...acting, name, scrub: parsed.flags.scrub });
    const rows = workers.map(({ name, state, backlog, counters, last_error }) => {
      const done = Object.entries(counters).flatMap(([what, count]) => (count > 0 ? [`${words(what)} ${count}`] : []));
      return [
        name,
        state,
        backlog ?? '-',
        [...done, ...(last_error ? [this.paint.yellow(last_error)] : [])].join(', '),
      ];
    });
    this.render(workers, table([['worker', 'state', 'backlog', 'since the start'], ...rows], this.paint));
  }
}

/** `readBytes` as `read bytes`. */
function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
