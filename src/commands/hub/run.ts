// infinit hub run

import { join } from 'node:path';
import { Flags } from '@oclif/core';
import { InfinitError } from '../../core/base/errors.ts';
import { limits } from '../../core/base/limits.ts';
import { readDocument } from '../../core/cli/documents.ts';
import { integerFlag, portFlag, prometheusFlag } from '../../core/cli/flags.ts';
import { ldapServerOf } from '../../core/cli/ldap-flags.ts';
import { withoutUndefined } from '../../core/cli/presence.ts';
import { RunCommand } from '../../core/cli/run-command.ts';
import { isLoopback } from '../../core/runtime/endpoint.ts';

const defaultPort = 8042;

export default class HubRun extends RunCommand {
  static override summary =
    'Run a hub: a directory where people leave users, networks, passports and volumes for each other';
  static override description =
    'People use it with INFINIT_BEYOND set to its address. It sees descriptors and where nodes are, never data, its own passwords or ' +
    'private keys; with --ldap-server it passes passwords of that directory on. Without --tls-cert, put something that speaks TLS before it, or keep it on one machine.';
  static override examples = [
    { description: 'On this machine only', command: 'infinit hub run' },
    {
      description: 'With the people of a directory',
      command: 'infinit hub run --ldap-server ldaps://ldap.example.org --admin alice',
    },
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
    'ldap-server': Flags.string({
      description: 'directory (LDAP) whose people log in by their password there: ldaps:// or, with StartTLS, ldap://',
      helpValue: 'URL',
    }),
    'ldap-ca': Flags.string({
      description: 'certificates to trust it by (PEM; default: the system’s)',
      helpValue: 'FILE',
    }),
    'ldap-cleartext': Flags.boolean({ description: 'without StartTLS: passwords can be read on the way' }),
    admin: Flags.string({
      description: 'user of this hub who may keep names for people of the directory; repeatable',
      helpValue: 'USER',
      multiple: true,
      multipleNonGreedy: true,
    }),
    'limit-passports': integerFlag(
      'passports',
      `passports a network may have (default: ${limits.hubPassportsPerNetworkMax})`,
      1,
      limits.hubPassportsPerNetworkMax,
    ),
    ...prometheusFlag,
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
        ldap: await this.ldap(flags),
        administrators: flags.admin,
        passportsPerNetworkMax: flags['limit-passports'],
        portFile: this.pathOf(flags['port-file']),
        prometheus: this.metricsEndpoint(flags.prometheus),
      }),
      host,
      port,
      database:
        (isAddress(database) ? database : this.pathOf(database)) ??
        join(this.environment.home.state, 'hub', 'hub.sqlite'),
      ready: (facts) => this.render(facts, `Running hub on ${facts.url}.`),
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

  private async ldap(flags: {
    'ldap-server'?: string | undefined;
    'ldap-ca'?: string | undefined;
    'ldap-cleartext': boolean;
  }) {
    const { 'ldap-server': url, 'ldap-ca': ca, 'ldap-cleartext': cleartext } = flags;
    if (url !== undefined) return ldapServerOf(this.invocation, { url, ca, cleartext });
    if (ca !== undefined || cleartext)
      throw new InfinitError('usage', '--ldap-ca and --ldap-cleartext go with --ldap-server');
    return undefined;
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

function originOf(url: string): string {
  try {
    const { origin, protocol } = new URL(url);
    if (protocol === 'https:' || protocol === 'http:') return origin;
  } catch {
    // said below
  }
  throw new InfinitError('usage', `--url ${JSON.stringify(url)} is not an http or https address`);
}
