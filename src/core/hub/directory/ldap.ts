// LDAP by the `ldapts` package, loaded when a server is asked: one connection that is never made anew, since a new one would be without
// the TLS it began with, and is closed when it says more than a bounded number of bytes.

import { once } from 'node:events';
import { isIP, connect as plainConnect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as secureConnect } from 'node:tls';
import type { Client, Entry as LdapEntry } from 'ldapts';
import { type ErrorKind, InfinitError, isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Directory, Entry, Search } from './directory.ts';

export interface LdapServer {
  /** `ldaps://host`: TLS from the start; `ldap://host`, or a bare host: StartTLS. */
  url: string;
  /** Certificates (PEM) to trust instead of those of the system. */
  ca?: Buffer | undefined;
  /** Without TLS on `ldap://`: passwords can be read on the way. */
  cleartext?: boolean | undefined;
}

/**
 * Connected, and under TLS unless that is not wanted. Throws `usage` for an address that is none, `denied` for a certificate that
 * does not hold, `unavailable`.
 */
export async function openLdap(server: LdapServer): Promise<Directory> {
  const { url, host, port, isSecure } = parseLdapUrl(server.url);
  const { Client: LdapClient, FilterParser } = await import('ldapts');
  const link = new Link();
  const tls: ConnectionOptions = {
    minVersion: 'TLSv1.2',
    host,
    ...(server.ca && { ca: server.ca }),
    ...(isIP(host) === 0 && { servername: host }),
  };
  const client = new LdapClient({
    url: url.replace(/^ldaps/, 'ldap'), // how it is connected is said here
    timeout: limits.ldapTimeoutMs,
    createConnection: (() => link.socket) as unknown as typeof plainConnect,
    createSecureConnection: ((options: ConnectionOptions) => link.use(secureConnect(options))) as typeof secureConnect,
  });
  const checkFilter = (text: string) => void FilterParser.parseString(text);
  const directory = new LdapDirectory({ client, link, url, checkFilter });
  await directory.connect(() => (isSecure ? secureConnect({ ...tls, port }) : plainConnect({ host, port })));
  if (!isSecure && !server.cleartext) await directory.startTls(tls);
  return directory;
}

interface LdapParts {
  client: Client;
  link: Link;
  url: string;
  /** Throws for what is no filter. */
  checkFilter(text: string): void;
}

class LdapDirectory implements Directory {
  private readonly parts: LdapParts;

  constructor(parts: LdapParts) {
    this.parts = parts;
  }

  connect(make: () => Socket): Promise<void> {
    return this.ask(() => this.parts.link.connect(make()));
  }

  startTls(options: ConnectionOptions): Promise<void> {
    return this.ask(() => this.parts.client.startTLS(options));
  }

  async bind(dn: string, password: string): Promise<void> {
    // To a directory an empty one means nobody, and that succeeds (RFC 4513, 5.1.2).
    if (dn === '' || password === '') throw new InfinitError('denied', 'the password is empty');
    await this.ask(() => this.parts.client.bind(dn, password));
  }

  async *search({ base, filter, attributes, scope = 'sub' }: Search): AsyncGenerator<Entry> {
    this.checkFilter(filter);
    const paged = { pageSize: limits.ldapPageEntries };
    const pages = this.parts.client.searchPaginated(base, { filter, attributes: [...attributes], scope, paged });
    for (let count = 0, seen = 0; ; count += 1) {
      const page = await this.ask(() => pages.next());
      if (page.done) return;
      for (const entry of page.value.searchEntries) {
        seen += 1;
        if (seen > limits.ldapEntriesMax) throw tooMany();
        yield entryOf(entry);
      }
      if (count > limits.ldapEntriesMax) throw tooMany();
    }
  }

  close(): void {
    this.parts.link.close();
  }

  private checkFilter(filter: string): void {
    try {
      this.parts.checkFilter(filter);
    } catch (cause) {
      throw new InfinitError('usage', `${JSON.stringify(filter.slice(0, 200))} is no LDAP filter`, {
        hint: 'such as (department=sales)',
        cause,
      });
    }
  }

  /** A handshake has no limit of its own, and a dead connection would not be told. */
  private async ask<T>(task: () => Promise<T>): Promise<T> {
    const { link, url } = this.parts;
    const timer = setTimeout(() => link.close(), 2 * limits.ldapTimeoutMs);
    try {
      return await Promise.race([task(), link.closed]);
    } catch (cause) {
      throw link.isFull ? tooMany() : failureOf(url, cause);
    } finally {
      clearTimeout(timer);
    }
  }
}

function tooMany(): InfinitError {
  return new InfinitError('full', `the LDAP server answers with more than ${limits.ldapEntriesMax} entries`, {
    hint: 'narrow the search: --searchbase, --filter',
  });
}

function entryOf({ dn, ...attributes }: LdapEntry): Entry {
  const values = Object.entries(attributes).map(([name, value]): [string, string[]] => [
    name.toLowerCase(),
    [value].flat().filter((one): one is string => typeof one === 'string'),
  ]);
  return { dn, values: new Map(values) };
}

/** Result codes of RFC 4511 that mean more than that it did not work. */
const kinds: Readonly<Record<number, ErrorKind>> = {
  4: 'full', // size limit
  8: 'denied', // stronger authentication required
  11: 'full', // administrative limit
  13: 'denied', // confidentiality required
  19: 'denied', // constraint: an account that is locked
  32: 'not-found',
  34: 'usage', // no distinguished name
  48: 'denied',
  49: 'denied', // invalid credentials
  50: 'denied', // insufficient access
  53: 'denied', // unwilling
};

const texts: Readonly<Record<number, string>> = {
  32: 'has no entry of that name',
  49: 'does not take name and password',
};

function failureOf(url: string, cause: unknown): InfinitError {
  if (isError(cause)) return cause;
  const { code, message } = cause as { code?: unknown; message?: unknown };
  if (typeof code === 'number') {
    const kind = kinds[code] ?? 'unavailable';
    const told = String(message)
      .replace(/Code: 0x[0-9a-f]+$/, '')
      .trim()
      .slice(0, 300);
    return new InfinitError(kind, `the LDAP server ${url} ${texts[code] ?? `says: ${told || `code ${code}`}`}`, {
      cause,
    });
  }
  const isCertificate = /CERT|SIGNED|ALTNAME/i.test(String(code));
  return new InfinitError(
    isCertificate ? 'denied' : 'unavailable',
    `the LDAP server ${url} ${isCertificate ? 'is not trusted' : 'does not answer'}: ${String(code ?? message).slice(0, 300)}`,
    { cause },
  );
}

interface LdapAddress {
  url: string;
  host: string;
  port: number;
  isSecure: boolean;
}

/** Throws `usage`. */
export function parseLdapUrl(text: string): LdapAddress {
  const full = /^[a-z]+:\/\//i.test(text) ? text : `ldap://${text}`;
  const url = URL.canParse(full) ? new URL(full) : undefined;
  const isSecure = url?.protocol === 'ldaps:';
  const isBare = url !== undefined && /^\/?$/.test(url.pathname) && url.search === '' && url.username === '';
  if (url === undefined || !isBare || url.hostname === '' || (!isSecure && url.protocol !== 'ldap:'))
    throw new InfinitError('usage', `${JSON.stringify(text.slice(0, 300))} is no address of an LDAP server`, {
      hint: 'such as ldaps://ldap.example.com, or ldap://ldap.example.com:389',
    });
  const { protocol, host, hostname, port } = url;
  return {
    url: `${protocol}//${host}`,
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? (isSecure ? 636 : 389) : Number(port),
    isSecure,
  };
}

/** One connection: a socket, and later TLS over it. It is handed out once connected, and only then. */
class Link {
  /** Rejects when it ends. */
  readonly closed: Promise<never>;
  isFull = false;
  private current: Socket | undefined;
  private isTaken = false;
  private bytes = 0;
  private fail: (error: unknown) => void = () => {};

  constructor() {
    this.closed = new Promise((_, reject) => {
      this.fail = reject;
    });
    this.closed.catch(() => {});
  }

  /** The connected socket, once: another connection would be without the TLS this one has. */
  get socket(): Socket {
    if (this.current === undefined || this.isTaken || this.current.destroyed)
      throw new InfinitError('unavailable', 'the LDAP server has closed the connection');
    this.isTaken = true;
    return this.current;
  }

  async connect(socket: Socket): Promise<void> {
    this.use(socket);
    await once(socket, 'encrypted' in socket ? 'secureConnect' : 'connect');
  }

  /** From now on that one is watched, and closed at the end, which closes what is below it. */
  use<S extends Socket>(socket: S): S {
    this.current?.off('data', this.count);
    this.current = socket;
    socket.on('data', this.count);
    socket.on('error', this.fail);
    socket.on('close', () => this.fail(new Error('the connection ended')));
    return socket;
  }

  close(): void {
    this.current?.destroy();
  }

  private readonly count = (piece: Buffer): void => {
    this.bytes += piece.length;
    if (this.bytes <= limits.ldapBytesMax) return;
    this.isFull = true;
    this.close();
  };
}
