// infinit init

import { join } from 'node:path';
import { Flags } from '@oclif/core';
import { InfinitError, isError } from '../core/base/errors.ts';
import { capacityFlag } from '../core/cli/flags.ts';
import { formatBytes, parseBytes } from '../core/cli/quantities.ts';
import { askText, askYes, type TextQuestion } from '../core/cli/questions.ts';
import { RunCommand } from '../core/cli/run-command.ts';
import { linkedLine, saved } from '../core/cli/texts.ts';
import type { Begun } from '../core/descriptor/beginning.ts';
import type { Found } from '../core/descriptor/links.ts';
import { checkName } from '../core/descriptor/names.ts';

/** What the questions are about; what options gave is not asked. */
interface Plan {
  user: string;
  silo: string;
  path: string | undefined;
  capacity: number | undefined;
  network: string;
  volume: string;
  mountpoint: string;
}

export default class Init extends RunCommand {
  static override summary = 'Make a user, a silo, a network and a volume, and say what to run next';
  static override description =
    'Asks for what is not given by options. Nothing is made before all is answered, and what is there already is taken as it is.';
  static override examples = [
    { description: 'Asked, step by step', command: 'infinit init' },
    {
      description: 'Without questions',
      command: 'infinit init --yes --network cluster --capacity 50GB --mountpoint ~/shared',
    },
  ];
  static override flags = {
    silo: Flags.string({ char: 'S', description: 'silo on this device (default: local)', helpValue: 'SILO' }),
    path: Flags.string({ description: 'folder of a new silo (default: in the data folder)', helpValue: 'DIRECTORY' }),
    ...capacityFlag,
    network: Flags.string({ char: 'N', description: 'network (default: cluster)', helpValue: 'NETWORK' }),
    volume: Flags.string({ char: 'V', description: 'volume (default: shared)', helpValue: 'VOLUME' }),
    mountpoint: Flags.string({
      char: 'm',
      description: 'where the volume is mounted on this device (default: infinit in the home folder)',
      helpValue: 'DIRECTORY',
    }),
    yes: Flags.boolean({ char: 'y', description: 'ask nothing: defaults for what is not given' }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Init);
    const asks = !flags.yes && !this.script;
    if (asks && !this.interactive)
      throw new InfinitError('usage', 'standard input is not a terminal', { hint: 'give --yes to take the defaults' });
    const plan = asks ? await this.asked(flags) : this.planOf(flags);
    this.user = plan.user;
    const acting = await this.acting();
    const { begin } = await import('../core/descriptor/beginning.ts');
    const { found } = await this.running();
    const begun: Begun[] = [];
    const options = {
      ...plan,
      remount: asks || flags.mountpoint !== undefined,
      found: ((link, seal) => found({ ...acting, as: plan.user }, link, seal)) satisfies Found,
    };
    await begin(acting.context, options, (one) => {
      begun.push(one);
      this.say(...linesOf(one));
    });
    const next = nextSteps(plan, this.user === this.environment.user ? '' : ` --as ${this.user}`);
    if (this.script) this.printJson({ ...plan, path: plan.path ?? null, capacity: plan.capacity ?? null, begun });
    else
      this.say(
        '',
        this.paint.bold('Run next:'),
        ...next.flatMap(([what, command]) => [`  ${what}:`, `    ${command}`]),
      );
  }

  private planOf(flags: Given): Plan {
    const { homeDirectory, env } = this.invocation;
    return {
      user: checkName('user', this.user),
      silo: checkName('silo', flags.silo ?? 'local'),
      path: this.pathOf(flags.path),
      capacity: flags.capacity,
      network: checkName('network', flags.network ?? 'cluster'),
      volume: checkName('volume', flags.volume ?? 'shared'),
      mountpoint: this.pathOf(flags.mountpoint) ?? join(env.HOME || homeDirectory, 'infinit'),
    };
  }

  /** Throws `cancelled`, and nothing was made, when the person wants no more. */
  private async asked(flags: Given): Promise<Plan> {
    const plan = this.planOf(flags);
    try {
      const name = (message: string, kind: string, given: string | undefined, fallback: string) =>
        this.answer(message, given, { fallback, check: (text) => void checkName(kind, text) });
      this.tell(
        'Keeps a volume on this device; other devices can join later. Empty answers take what stands in brackets.',
      );
      plan.user = await name('Your name', 'user', undefined, plan.user);
      if (flags.silo === undefined && flags.path === undefined) await this.askSilo(plan, flags);
      plan.network = await name('Name of the network', 'network', flags.network, plan.network);
      plan.volume = await name('Name of the volume', 'volume', flags.volume, plan.volume);
      const mountpoint = await this.answer('Where it is mounted', flags.mountpoint, { fallback: plan.mountpoint });
      plan.mountpoint = this.pathOf(mountpoint);
      this.tell('', ...summary(plan), '');
      if (!(await askYes(this.invocation, 'Make all this?'))) throw new InfinitError('cancelled', 'cancelled');
      return plan;
    } catch (error) {
      if (isError(error, 'cancelled')) throw new InfinitError('cancelled', 'cancelled: nothing was made');
      throw error;
    }
  }

  private async askSilo(plan: Plan, flags: Given): Promise<void> {
    const standard = join(this.environment.home.data, 'blocks', plan.silo);
    const path = await this.answer('Folder for the data', undefined, { fallback: standard });
    plan.path = path === standard ? undefined : this.pathOf(path);
    if (flags.capacity !== undefined) return;
    const most = await this.answer('How much it may keep there, such as 50GB', undefined, {
      fallback: 'no limit',
      check: (text) => void (text === 'no limit' || parseBytes(text)),
    });
    plan.capacity = most === 'no limit' ? undefined : parseBytes(most);
  }

  private answer(message: string, given: string | undefined, question: TextQuestion): Promise<string> {
    return given === undefined ? askText(this.invocation, `${message}:`, question) : Promise.resolve(given);
  }
}

interface Given {
  silo?: string | undefined;
  path?: string | undefined;
  capacity?: number | undefined;
  network?: string | undefined;
  volume?: string | undefined;
  mountpoint?: string | undefined;
}

function summary({ user, silo, path, capacity, network, volume, mountpoint }: Plan): string[] {
  const size = capacity === undefined ? 'as much as the disk has' : formatBytes(capacity);
  return [
    `  user     ${user}`,
    `  silo     ${silo}${path === undefined ? '' : ` in ${path}`}, ${size}`,
    `  network  ${user}/${network}`,
    `  volume   ${user}/${volume} on ${mountpoint}`,
  ];
}

function linesOf({ kind, name, made }: Begun): string[] {
  if (kind === 'linked-network') return made ? [linkedLine(name.slice(name.indexOf('/') + 1))] : [];
  if (!made) return [`There already: ${kind} "${name}".`];
  return [...(kind === 'user' ? ['Generating Ed25519 keypair.'] : []), saved(kind, name)];
}

/** What for, and what to type. */
function nextSteps({ user, network, volume }: Plan, as: string): (readonly [string, string])[] {
  return [
    ['Mount it, until stopped', `infinit volume mount ${volume}${as}`],
    [
      'Or keep it mounted, from the next start of this machine on too',
      `infinit daemon install-units --mount ${volume}${as}`,
    ],
    ['See whether all is well', `infinit doctor all${as}`],
    [
      'On another device of yours, to begin with',
      `infinit user export ${user} --full | ssh DEVICE infinit user import`,
    ],
    [
      'Then, and `infinit network link` there with a silo of its own',
      `infinit network export ${network}${as} | ssh DEVICE infinit network import`,
    ],
  ];
}
