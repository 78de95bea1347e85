// infinit doctor networking

import { Flags } from '@oclif/core';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { doctorPort } from '../../core/cli/doctor-command.ts';
import { bytesFlag, integerFlag, portFlag } from '../../core/cli/flags.ts';
import { formatBytes } from '../../core/cli/quantities.ts';
import type { ThroughputFacts } from '../../core/cli/running.ts';

const packetBytes = 1024 * 1024;
const packets = 100;

export default class DoctorNetworking extends BaseCommand {
  static override summary = 'Measure what goes through between two machines';
  static override description =
    'Without --host it waits for the other one, and says what to run there. Plain TCP: whoever reaches the port may measure.';
  static override examples = [
    { description: 'On one machine', command: 'infinit doctor networking' },
    { description: 'On the other', command: 'infinit doctor networking --host desk' },
  ];
  static override flags = {
    host: Flags.string({ description: 'machine that waits', helpValue: 'HOST' }),
    ...portFlag,
    'tcp-port': { ...portFlag.port, char: 't' as const, description: 'the same as --port' },
    mode: Flags.option({
      description: 'what to measure (default: all)',
      helpValue: 'MODE',
      options: ['upload', 'download', 'all'] as const,
    })(),
    protocol: Flags.option({
      description: 'accepted for older scripts: there is TCP only',
      helpValue: 'PROTOCOL',
      options: ['tcp', 'all'] as const,
    })(),
    'packet-size': { ...bytesFlag('bytes sent at once', '1MiB'), char: 's' as const },
    'packets-count': { ...integerFlag('count', `how many (default: ${packets})`, 1, 1_000_000), char: 'n' as const },
  };

  protected override readonly goesOn = true;

  async run(): Promise<void> {
    const { flags } = await this.parse(DoctorNetworking);
    const acting = await this.acting();
    const port = flags.port ?? flags['tcp-port'] ?? doctorPort;
    const { measureThroughput, serveThroughput } = await this.running();
    if (flags.host === undefined) {
      const ready = (got: number) => {
        const given = got === doctorPort ? '' : ` --port ${got}`;
        this.render({ port: got }, `Waiting. On the other machine: infinit doctor networking --host HOST${given}`);
      };
      await serveThroughput({ ...acting, host: '::', port, ready });
      return;
    }
    const mode = flags.mode ?? 'all';
    const measured = await measureThroughput({
      ...acting,
      host: flags.host,
      port,
      modes: mode === 'all' ? ['upload', 'download'] : [mode],
      packetBytes: flags['packet-size'] ?? packetBytes,
      packets: flags['packets-count'] ?? packets,
    });
    this.render(measured, measured.map(lineOf));
  }
}

function lineOf({ mode, bytes, ms, bytes_per_second }: ThroughputFacts): string {
  return `${mode}: ${formatBytes(bytes)} in ${(ms / 1000).toFixed(2)} s, ${formatBytes(bytes_per_second)}/s`;
}
