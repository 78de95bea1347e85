// What the modes of `infinit doctor` share: they differ in what they look at only.

import { Flags } from '@oclif/core';
import { formatEndpoint } from '../runtime/endpoint.ts';
import { parsing } from './arguments.ts';
import { BaseCommand } from './base-command.ts';
import { withoutUndefined } from './presence.ts';
import { parseInteger } from './quantities.ts';
import type { Finding, FindingGroup, Section } from './running.ts';

export const doctorFlags = {
  'ignore-non-linked': Flags.boolean({ description: 'leave out networks this device is not linked to' }),
  verbose: Flags.boolean({ char: 'v', description: 'list what is well too' }),
  'no-color': Flags.boolean({ description: 'no colours' }),
};

/** Where `doctor networking` waits. */
export const doctorPort = 5456;

export const connectivityFlags = {
  server: Flags.string({
    description: `machine that runs \`infinit doctor networking\`, to be seen from there (default port: ${doctorPort})`,
    helpValue: 'HOST[:PORT]',
  }),
  'upnp-tcp-port': Flags.custom<number>({
    description: 'have the router forward this port by UPnP, for a moment',
    helpValue: 'PORT',
    parse: parsing(parseInteger('upnp-tcp-port', 1, 65_535)),
  })(),
};

export interface DoctorFlagValues {
  server?: string | undefined;
  'upnp-tcp-port'?: number | undefined;
  'ignore-non-linked': boolean;
  verbose: boolean;
  'no-color': boolean;
}

export abstract class DoctorCommand extends BaseCommand {
  /** Prints the report; the exit code tells whether everything works. */
  protected async examine(groups: readonly FindingGroup[], flags: DoctorFlagValues): Promise<void> {
    const acting = await this.acting();
    const { diagnose } = await this.running();
    const variables = Object.keys(this.invocation.env)
      .filter((name) => name.startsWith('INFINIT_'))
      .sort();
    const { hub } = this.environment;
    const sections = await diagnose({
      ...acting,
      ...withoutUndefined({ hub, server: withPort(flags.server), upnpTcpPort: flags['upnp-tcp-port'] }),
      groups,
      variables,
      ignoreNonLinked: flags['ignore-non-linked'],
    });
    const findings = sections.flatMap((section) => section.findings);
    const sane = findings.every((finding) => finding.sane);
    const report = Object.fromEntries(
      sections.map(({ key, findings }) => [key, key === 'user' ? findings[0] : findings]),
    );
    const lines = sections.flatMap((section) => this.linesOf(section, flags));
    const faults = findings.filter((finding) => !finding.sane).length;
    const warnings = findings.filter((finding) => finding.warning).length;
    const looks = warnings === 0 ? '' : `; ${counted(warnings, 'thing')} to look at`;
    this.render({ ...report, sane }, [
      ...lines,
      sane ? `Nothing is broken${looks}.` : `${counted(faults, 'fault')}${looks}.`,
    ]);
    this.code = sane ? 0 : 1;
  }

  private linesOf({ title, findings }: Section, { verbose, 'no-color': noColor }: DoctorFlagValues): string[] {
    const paint = noColor ? undefined : this.paint;
    const worst = findings.some(({ sane }) => !sane)
      ? 'ERROR'
      : findings.some(({ warning }) => warning)
        ? 'WARNING'
        : 'OK';
    const mark = (state: 'OK' | 'WARNING' | 'ERROR') => {
      if (state === 'ERROR') return paint?.red(`[${state}]`) ?? `[${state}]`;
      return state === 'WARNING' ? (paint?.yellow(`[${state}]`) ?? `[${state}]`) : `[${state}]`;
    };
    const shown = findings.filter((finding) => verbose || !finding.sane || finding.warning);
    const details = shown.flatMap((finding) => {
      const hint = finding.hint === undefined ? [] : [`    ${finding.hint}`];
      const nodes = (finding.nodes ?? []).filter((node) => verbose || node.warning);
      const each = nodes.map((node) => `    ${mark(stateOf(node))} ${sentence(node)}`);
      return [`  ${mark(stateOf(finding))} ${sentence(finding)}`, ...each, ...hint];
    });
    return [`${mark(worst)} ${title}${details.length === 0 ? '' : ':'}`, ...details];
  }
}

function withPort(server: string | undefined): string | undefined {
  if (server === undefined || /^([^:]*|\[.*\]):\d+$/.test(server)) return server;
  return formatEndpoint({ host: server.replace(/^\[(.*)\]$/, '$1'), port: doctorPort });
}

function stateOf({ sane, warning }: Finding): 'OK' | 'WARNING' | 'ERROR' {
  if (!sane) return 'ERROR';
  return warning ? 'WARNING' : 'OK';
}

function sentence({ name, sane, reason }: Finding): string {
  if (reason === undefined) return name;
  return sane ? `${name}: ${reason}` : `${name} is faulty because ${reason}`;
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}
