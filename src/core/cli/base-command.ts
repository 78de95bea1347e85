// What every command shares: common options, the environment, the core (loaded when first asked for), and one way to speak.
// A command parses, makes one call into the core, and renders; errors go up to `main.ts`.

import { resolve } from 'node:path';
import { Command, type Config, Flags } from '@oclif/core';
import type { CommandError } from '@oclif/core/interfaces';
import { InfinitError, isError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { DescriptorContext } from '../descriptor/context.ts';
import type { DescriptorKind } from '../descriptor/descriptor.ts';
import type { Sharing } from '../hub/client/sharing.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { asUsageError, normaliseWords } from './arguments.ts';
import { type Environment, environmentOf } from './home.ts';
import { type Invocation, isInteractive, type LogSettings } from './invocation.ts';
import { type Paint, paintFor, plain } from './paint.ts';
import { printable, printableJson } from './printable.ts';
import type { Acting, Running } from './running.ts';
import type { Supervising } from './supervising.ts';
import { pulled, remotely } from './texts.ts';
import { checkCompatibility } from './version.ts';

/** Options common to every command. */
const commonFlags = {
  help: Flags.boolean({ char: 'h', description: 'show this help' }),
  script: Flags.boolean({ char: 's', aliases: ['json'], description: 'print JSON only, ask nothing; also --json' }),
  as: Flags.string({
    char: 'a',
    description: 'user to act as (default: $INFINIT_USER, else the login)',
    helpValue: 'USER',
  }),
  'compatibility-version': Flags.string({ description: 'version to be compatible with', helpValue: 'X.Y.Z' }),
};

/** The core as commands use it. */
export type Core = DescriptorContext & { readonly runtime: Runtime };

export abstract class BaseCommand extends Command {
  static override baseFlags = commonFlags;

  readonly environment: Environment;
  protected readonly invocation: Invocation;
  /** Colours of standard output and of standard error. */
  protected paint: Paint = plain;
  protected paintError: Paint = plain;
  /** `--script`. */
  protected script = false;
  /** The acting user: `--as`, else the environment's. */
  protected user: string;
  protected logging: LogSettings;
  /** Exit code of a command that did what was asked: 1 when its answer is bad news. */
  protected code: 0 | 1 = 0;
  /** Whether the command goes on until it is stopped. */
  protected readonly goesOn: boolean = false;
  private loaded: Promise<Core> | undefined;
  private stop: AbortSignal | undefined;

  constructor(argv: string[], config: Config, invocation: Invocation) {
    super(argv, config);
    this.invocation = invocation;
    this.environment = environmentOf(invocation);
    this.user = this.environment.user;
    this.logging = this.environment.log;
  }

  /** Runs one command to its end; the exit code, or throws what it throws. */
  static async invoke(command: BaseCommand): Promise<number> {
    await command._run();
    return command.code;
  }

  protected override async init(): Promise<void> {
    this.argv = normaliseWords(this.argv, { ...this.ctor.baseFlags, ...this.ctor.flags });
    const { flags } = await this.parse({ ...this.ctor, baseFlags: commonFlags });
    this.script = flags.script;
    this.user = flags.as ?? this.environment.user;
    if (flags['compatibility-version'] !== undefined) {
      checkCompatibility(flags['compatibility-version'], this.invocation.version);
    }
    this.paint = await paintFor(this.invocation.stdout, this.invocation);
    this.paintError = await paintFor(this.invocation.stderr, this.invocation);
    for (const name of this.environment.unknown) this.warn(`unknown environment variable ${name}`);
  }

  /** A stop that was asked for is a good end of what goes on until stopped; anything else was cut short. */
  protected override async catch(error: CommandError): Promise<void> {
    if (this.goesOn && isError(error, 'cancelled') && this.stop?.aborted) return;
    throw asUsageError(error);
  }

  /** Descriptors of this home and the door to the outside. */
  protected core(): Promise<Core> {
    this.loaded ??= this.loadCore();
    return this.loaded;
  }

  private async loadCore(): Promise<Core> {
    const [{ descriptorContext }, runtime] = await Promise.all([
      import('../descriptor/context.ts'),
      this.invocation.parts.runtime(this.logging),
    ]);
    return { ...descriptorContext(runtime, this.environment.home), runtime };
  }

  /** The one way to answer: the value as JSON with `--script`, else the lines. */
  protected render(value: unknown, lines: string | readonly string[]): void {
    if (this.script) this.printJson(value);
    else this.say(...[lines].flat());
  }

  protected printJson(value: unknown): void {
    this.invocation.stdout.write(`${printableJson(value)}\n`);
  }

  /** Lines for people; nothing with `--script`. */
  protected say(...lines: string[]): void {
    if (!this.script && lines.length > 0) this.invocation.stdout.write(`${printable(lines.join('\n'))}\n`);
  }

  /** Lines on standard error, script or not. */
  protected tell(...lines: string[]): void {
    if (lines.length > 0) this.invocation.stderr.write(`${printable(lines.join('\n'))}\n`);
  }

  override warn(input: Error | string): Error | string {
    const text = typeof input === 'string' ? input : input.message;
    this.tell(...text.split('\n').map((line) => `${this.paintError.yellow('WARNING:')} ${line}`));
    return input;
  }

  /** A path as given, seen from where the command was called. */
  protected pathOf<P extends string | undefined>(given: P): P | string {
    return given && resolve(this.invocation.workingDirectory, given);
  }

  /** The name given as argument or as `--name`; throws `usage` when both or, unless there is a default, none. */
  protected nameOf(
    parsed: { args: { name?: string | undefined }; flags: { name?: string | undefined } },
    fallback?: string,
  ): string {
    const { args, flags } = parsed;
    if (args.name !== undefined && flags.name !== undefined) {
      throw new InfinitError('usage', `unexpected argument: ${args.name}`, {
        hint: 'the name is given by --name already',
      });
    }
    const name = args.name ?? flags.name ?? fallback;
    if (name === undefined) throw new InfinitError('usage', 'missing argument: name');
    return name;
  }

  /** Answers with what a command made or changed, and writes it where `--output` says; `-` means that and nothing else. */
  protected async present(
    value: unknown,
    lines: string | readonly string[],
    output: string | undefined,
    what: string,
  ): Promise<void> {
    if (output !== '-') this.render(value, lines);
    if (output !== undefined) await this.exportTo(output, value, what);
  }

  /** Writes a descriptor to `--output` or standard output; a file is reported. */
  protected async exportTo(output: string | undefined, value: unknown, what: string, secret = false): Promise<void> {
    const { writeDocument } = await import('./documents.ts');
    if (await writeDocument(this.invocation, output, value, { secret })) this.say(`Exported ${what}.`);
  }

  /** A descriptor from `--input` or standard input. */
  protected async importFrom(input: string | undefined): Promise<Buffer> {
    const { readDocument } = await import('./documents.ts');
    return readDocument(this.invocation, input, limits.descriptorBytesMax);
  }

  /** What running commands share of their options. */
  protected async acting(): Promise<Acting> {
    this.stop = this.invocation.stopRequested();
    return {
      context: await this.core(),
      as: this.user,
      signal: this.stop,
      warn: (text) => this.tell(text),
    };
  }

  /** The composition root, loaded when a command really runs something. */
  protected running(): Promise<Running> {
    return this.invocation.parts.running();
  }

  /** What keeps things running, loaded likewise. */
  protected supervising(): Promise<Supervising> {
    return this.invocation.parts.supervising();
  }

  /** The hub, as the acting user. Throws `unavailable` when none is named. */
  protected async sharing(): Promise<Sharing> {
    const hub = await this.invocation.parts.hub(this.hubAddress());
    const { openSharing } = await import('../hub/client/sharing.ts');
    return openSharing(await this.core(), hub, this.user);
  }

  /** Asked before anything is done here that is to be on the hub as well. Throws `unavailable` when none is named. */
  protected hubAddress(): string {
    const { hub } = this.environment;
    if (hub !== undefined) return hub;
    throw new InfinitError('unavailable', 'no hub is named', {
      hint: 'set INFINIT_BEYOND to its address, such as https://hub.example.org; to do without: export and import',
    });
  }

  /** `--push`: what was made or changed here goes to the hub too. */
  protected async pushToHub(kind: Exclude<DescriptorKind, 'user'>, name: string): Promise<void> {
    const { push } = await import('../hub/client/sharing.ts');
    this.say(remotely(await push(await this.sharing(), kind, name), kind, name));
  }

  /** `--pull`: takes it off the hub; that it never was there is fine. */
  protected async pullFromHub(kind: DescriptorKind, name: string, purge?: boolean): Promise<void> {
    const { pull } = await import('../hub/client/sharing.ts');
    if (await pull(await this.sharing(), kind, name, { purge, missingOk: true })) this.say(pulled(kind, name));
  }

  /** True when questions may be asked. */
  protected get interactive(): boolean {
    return !this.script && isInteractive(this.invocation);
  }
}
