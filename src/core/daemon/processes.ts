// Units as processes of the system: started detached, found again by number and time of beginning or by their socket, watched. A
// process that is no child of ours tells nobody when it ends: it is looked at.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InfinitError, isError } from '../base/errors.ts';
import type { Home } from '../descriptor/descriptor.ts';
import { detach } from '../node/daemon.ts';
import { askMonitor } from '../node/monitor.ts';
import { monitorSocket, processName } from '../node/sockets.ts';
import type { Clock } from '../runtime/runtime.ts';
import type { Launcher, ProcessId, Unit, UnitProcess } from './daemon.ts';

const lookMs = 500;
const stopTimeoutMs = 10 * 60_000;
const statFields = { state: 0, began: 19 } as const;

export interface ProcessesOptions {
  clock: Clock;
  home: Home;
  /** Folder of the logs. */
  logs: string;
  /** Of the processes started. */
  env: NodeJS.ProcessEnv;
}

export class Processes implements Launcher {
  private readonly options: ProcessesOptions;

  constructor(options: ProcessesOptions) {
    this.options = options;
  }

  async launch(unit: Unit): Promise<UnitProcess> {
    const { logs, env } = this.options;
    const logFile = join(logs, `${processName(unit.role, unit.user, unit.name)}.log`);
    const log = unit.words.some((word) => word === '--log' || word.startsWith('--log=')) ? [] : ['--log', logFile];
    const child = await detach<unknown>([...unit.words, ...log], { logFile, env, directory: unit.directory });
    const began = await beganAt(child.pid);
    return this.served(unit, { pid: child.pid, began: began ?? '' }, child.serving, child.ended);
  }

  async find(unit: Unit, remembered: ProcessId | undefined): Promise<UnitProcess | undefined> {
    if (remembered !== undefined && (await beganAt(remembered.pid)) === remembered.began) {
      const ended = this.watch(remembered);
      return this.served(unit, remembered, this.answers(unit, ended), ended);
    }
    const pid = await this.ask(unit);
    const began = pid === undefined ? undefined : await beganAt(pid);
    if (pid === undefined || began === undefined) return undefined;
    return this.served(unit, { pid, began }, Promise.resolve({ pid }), this.watch({ pid, began }));
  }

  private served(unit: Unit, id: ProcessId, serving: Promise<unknown>, ended: Promise<string>): UnitProcess {
    serving.catch(() => {});
    let hasEnded = false;
    void ended.then(() => {
      hasEnded = true;
    });
    const press = () => {
      if (!hasEnded) tell(id.pid);
    };
    const stop = async () => {
      if (unit.role === 'volume') {
        const socket = this.socket(unit);
        await askMonitor(socket, 'stop', { timeoutMs: stopTimeoutMs }).catch((error: unknown) => {
          // It ended meanwhile, or does not serve yet: then there is nothing to lose.
          if (isError(error, 'not-found', 'unavailable')) press();
          else throw error;
        });
      } else press();
      await ended;
    };
    return { id, serving, ended, stop, press };
  }

  /** The pid of who serves the unit's socket. */
  private async ask(unit: Unit): Promise<number | undefined> {
    try {
      const { pid } = (await askMonitor(this.socket(unit), 'status')) as { pid?: unknown };
      return Number.isSafeInteger(pid) ? (pid as number) : undefined;
    } catch (error) {
      if (isError(error, 'not-found')) return undefined;
      throw error;
    }
  }

  private async answers(unit: Unit, ended: Promise<string>): Promise<unknown> {
    let end: string | undefined;
    void ended.then((how) => {
      end = how;
    });
    for (;;) {
      const pid = await this.ask(unit).catch(() => undefined);
      if (pid !== undefined) return { pid };
      if (end !== undefined) throw new InfinitError('unavailable', `its process ended with ${end} before it served`);
      await this.options.clock.sleep(lookMs);
    }
  }

  private async watch({ pid, began }: ProcessId): Promise<string> {
    while ((await beganAt(pid)) === began) await this.options.clock.sleep(lookMs);
    return 'nobody to tell how';
  }

  private socket({ role, user, name }: Unit): string {
    return monitorSocket(this.options.home, role, user, name);
  }
}

function tell(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

let boot: Promise<string> | undefined;

/** When the process began, in ticks of this boot; undefined when there is none, or it has ended and nobody has asked how. */
export async function beganAt(pid: number): Promise<string | undefined> {
  boot ??= readFile('/proc/sys/kernel/random/boot_id', 'utf8').then((text) => text.slice(0, 8));
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The name, in brackets, may hold anything.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[statFields.state] === 'Z' ? undefined : `${await boot}-${fields[statFields.began]}`;
  } catch {
    return undefined;
  }
}
