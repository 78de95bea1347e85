// infinit hub run

import { join } from 'node:path';
import { Flags } from '@oclif/core';
import { InfinitError } from '../../core/base/errors.ts';
import { limits } from '../../core/base/limits.ts';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { readDocument } from '../../core/cli/documents.ts';
import { integerFlag, portFlag } from '../../core/cli/flags.ts';
import { withoutUndefined } from '../../core/cli/presence.ts';

const defaultPort = 8042;

export default class HubRun extends BaseCommand {
  static override summary =
    'Run a hub: a directory where people leave users, networks, passports and volumes for each other';
  static override description =
    'People use it with INFINIT_BEYOND set to its address. It sees descriptors and where nodes are, never data, passwords or ' +
    'private keys. Without --tls-cert, put something that speaks TLS before it, or keep it on one machine.';
  static override examples = [
    { description: 'On this machine only', command: 'infinit hub run' },
    {
      description: 'For others, with TLS',
      command:
        'infinit hub run --host 0.0.0.0 --port 443 --tls-cert cert.pem --tls-key key.pem --url https://hub.example.org',
    },
  ];
  static override flags = {
    host: Flags.string({ description: 'address to listen on (default: 127.0.0.1)', helpValue: 'HOST' }),
    ...portFlag,
    'port-file': Flags.string({ description: 'write the port to this file', helpValue: 'FILE' }),
    database: Flags.string({
      description:
        'file that keeps everything (default: hub.sqlite among the state of this home), or a PostgreSQL database, which ' +
        'several hubs may share; its password from PGPASSWORD or ~/.pgpass',
      helpValue: 'PATH|postgres://…',
    }),
    'tls-cert': Flags.string({ description: 'certificate chain (PEM)', helpValue: 'FILE' }),
    'tls-key': Flags.string({ description: 'its private key (PEM)', helpValue: 'FILE' }),
    url: Flags.string({ description: 'address people know it by; requests for another are refused', helpValue: 'URL' }),
    smtp: Flags.string({
      description:
        'mail server, such as smtp://user@mail.example.org:587?from=hub@example.org; its password from INFINIT_SMTP_PASSWORD',
      helpValue: 'URL',
    }),
    'limit-passports': integerFlag(
      'passports',
      `passports a network may have (default: ${limits.hubPassportsPerNetworkMax})`,
      1,
      limits.hubPassportsPerNetworkMax,
    ),
  };

  protected override readonly goesOn = true;

  async run(): Promise<void> {
    const { flags } = await this.parse(HubRun);
    const { host = '127.0.0.1', port = defaultPort, database } = flags;
    const tls = await this.tls(flags['tls-cert'], flags['tls-key']);
    if (tls === undefined && !isLoopback(host)) this.warn('without --tls-cert requests travel in the clear');
    const { runHub } = await this.running();
    await runHub({
      ...(await this.acting()),
      ...withoutUndefined({
        tls,
        url: flags.url === undefined ? undefined : originOf(flags.url),
        smtp: flags.smtp && this.withPassword(flags.smtp),
        passportsPerNetworkMax: flags['limit-passports'],
        portFile: this.pathOf(flags['port-file']),
      }),
      host,
      port,
      database:
        (isAddress(database) ? database : this.pathOf(database)) ??
        join(this.environment.home.state, 'hub', 'hub.sqlite'),
      ready: ({ url, pid }) => this.render({ url, pid }, `Running hub on ${url}.`),
    });
  }

  /** A password in the environment is seen by nobody else. */
  private withPassword(smtp: string): string {
    const password = this.invocation.env.INFINIT_SMTP_PASSWORD;
    if (!password || !URL.canParse(smtp)) return smtp; // what is no address is told by whoever uses it
    const url = new URL(smtp);
    url.password = encodeURIComponent(password);
    return url.href;
  }

  private async tls(certificate: string | undefined, key: string | undefined) {
    if (certificate === undefined && key === undefined) return undefined;
    if (certificate === undefined || key === undefined)
      throw new InfinitError('usage', '--tls-cert and --tls-key belong together');
    const read = (file: string) => readDocument(this.invocation, file, limits.keyFileBytesMax);
    return { certificate: await read(certificate), key: await read(key) };
  }
}

function isAddress(database: string | undefined): boolean {
  return /^postgres(ql)?:\/\//.test(database ?? '');
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

function originOf(url: string): string {
  try {
    const { origin, protocol } = new URL(url);
    if (protocol === 'https:' || protocol === 'http:') return origin;
  } catch {
    // said below
  }
  throw new InfinitError('usage', `--url ${JSON.stringify(url)} is not an http or https address`);
}
