// infinit network drain

import { Flags } from '@oclif/core';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { Progress } from '../../core/cli/progress.ts';
import type { DrainFacts } from '../../core/cli/running.ts';

export default class NetworkDrain extends BaseCommand {
  static override summary = 'Take this device out of a network: others take over what it holds, then its node ends';
  static override description =
    'The running node gives its registers and blocks to others and waits until they confirmed them. ' +
    'When the command has succeeded, nothing is lost if the device is switched off for good.';
  static override examples = [
    { description: 'Leave', command: 'infinit network drain cluster' },
    { description: 'Stay after all', command: 'infinit network drain cluster --cancel' },
  ];
  static override args = nameArg('network');
  static override flags = {
    ...nameFlag('network'),
    cancel: Flags.boolean({ description: 'give up a drain: the node stays what it was' }),
  };

  protected override readonly goesOn = true;

  async run(): Promise<void> {
    const parsed = await this.parse(NetworkDrain);
    const name = this.nameOf(parsed);
    const acting = await this.acting();
    const { drainNetwork } = await this.running();
    if (parsed.flags.cancel) {
      const { name: qualified } = await drainNetwork({ ...acting, name, cancel: true, progress: () => {} });
      this.render({ name: qualified, state: 'idle' }, `The node of network "${qualified}" stays.`);
      return;
    }
    const shown = new Progress(this.invocation.stderr, { quiet: this.script });
    const progress = (facts: DrainFacts) => shown.tell(progressLine(facts), shareOf(facts));
    const drained = drainNetwork({ ...acting, name, cancel: false, progress });
    const { name: qualified, ...facts } = await drained.finally(() => shown.done());
    this.render({ name: qualified, ...facts }, [
      `Drained network "${qualified}": ${count(facts.copies, 'other node')} hold${facts.copies === 1 ? 's' : ''} each block.`,
      'It is safe to switch this device off.',
    ]);
  }
}

function progressLine({ state, registers, journals, blocks, confirmed }: DrainFacts): string {
  if (state === 'drained') return 'Others hold everything; the process ends when the files of its mount are closed';
  const waits =
    journals === 0 ? '' : `, ${count(journals, 'volume or store', 'volumes or stores')} to let go of this node`;
  return `${confirmed} of ${count(blocks, 'block')} confirmed, ${count(registers, 'register')} left${waits}`;
}

/** Of the blocks, and of registers as one more block each while they last. */
function shareOf({ blocks, confirmed, registers }: DrainFacts): number | undefined {
  const all = blocks + registers;
  return all === 0 ? undefined : confirmed / all;
}

function count(number: number, one: string, several = `${one}s`): string {
  return `${number} ${number === 1 ? one : several}`;
}
