// Mail by SMTP (RFC 5321), as much as a hub needs: one short text to one address. `smtps:` begins with TLS; `smtp:` goes on with it where
// the server offers it, and must where a password is to be sent.

import { once } from 'node:events';
import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectSecure } from 'node:tls';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Runtime } from '../../runtime/runtime.ts';

export interface Mail {
  to: string;
  /** One line of ASCII. */
  subject: string;
  text: string;
}

export interface Mailer {
  /** Resolves when the server has taken it. Throws `unavailable`, or `denied` when it is refused for good. */
  send(mail: Mail): Promise<void>;
}

export interface SmtpServer {
  secure: boolean;
  host: string;
  port: number;
  login?: { user: string; password: string };
  /** Who the mail is from. */
  from: string;
}

/** `smtp://[user:password@]host[:port][?from=hub@example.org]`. Throws `usage`. */
export function parseSmtpUrl(text: string): SmtpServer {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw badUrl();
  }
  const secure = url.protocol === 'smtps:';
  if ((!secure && url.protocol !== 'smtp:') || url.hostname === '') throw badUrl();
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const from = url.searchParams.get('from') ?? `hub@${host}`;
  if (!isAddress(from)) throw badUrl();
  const login = { user: decodeURIComponent(url.username), password: decodeURIComponent(url.password) };
  const port = url.port === '' ? (secure ? 465 : 25) : Number(url.port);
  return { secure, host, port, from, ...(url.username !== '' && { login }) };
}

function badUrl(): InfinitError {
  return new InfinitError('usage', 'the address of the mail server is none', {
    hint: 'such as smtp://mail.example.org:587',
  });
}

/** Nothing in it can end a line or a path of the protocol. */
function isAddress(text: string): boolean {
  return /^[^\s<>@,;:\\"[\]]{1,64}@[0-9A-Za-z.-]{1,255}$/.test(text);
}

export class SmtpMailer implements Mailer {
  private readonly server: SmtpServer;
  private readonly runtime: Pick<Runtime, 'clock' | 'random'>;

  constructor(server: SmtpServer, runtime: Pick<Runtime, 'clock' | 'random'>) {
    this.server = server;
    this.runtime = runtime;
  }

  async send(mail: Mail): Promise<void> {
    if (!isAddress(mail.to)) throw new InfinitError('denied', 'no mail can be sent to that address');
    const session = new Session(this.server);
    try {
      await session.begin();
      await session.ask(`MAIL FROM:<${this.server.from}>`, 250);
      await session.ask(`RCPT TO:<${mail.to}>`, 250);
      await session.ask('DATA', 354);
      await session.ask(this.message(mail), 250);
      await session.ask('QUIT', 221).catch(() => {}); // it was taken
    } finally {
      session.close();
    }
  }

  /** Base64, so that no line of the text means anything to the server. */
  private message({ to, subject, text }: Mail): string {
    const body = Buffer.from(text).toString('base64').replace(/.{76}/g, '$&\r\n');
    const id = this.runtime.random.bytes(12).toString('hex');
    const headers = [
      `From: Infinit hub <${this.server.from}>`,
      `To: <${to}>`,
      `Subject: ${subject}`,
      `Date: ${new Date(this.runtime.clock.now()).toUTCString().replace('GMT', '+0000')}`,
      `Message-ID: <${id}@${this.server.from.split('@')[1]}>`,
      'MIME-Version: 1.0',
      'Content-Type: text/plain; charset=utf-8',
      'Content-Transfer-Encoding: base64',
    ];
    return [...headers, '', body, '.'].join('\r\n');
  }
}

class Session {
  private readonly server: SmtpServer;
  private socket: Socket;
  private rest = '';
  private offers: string[] = [];

  /** Whoever makes one closes it, connected or not. */
  constructor(server: SmtpServer) {
    const { secure, host, port } = server;
    this.server = server;
    this.socket = secure ? connectSecure({ host, port, ...named(host) }) : connectPlain({ host, port });
  }

  /** Connects, greets, and proves who sends, under TLS. */
  async begin(): Promise<void> {
    const { secure, host, login } = this.server;
    await ready(this.socket, secure ? 'secureConnect' : 'connect');
    await this.answer(220);
    await this.greet();
    if (!secure && this.offers.includes('STARTTLS')) {
      await this.ask('STARTTLS', 220);
      this.socket = connectSecure({ socket: this.socket, host, ...named(host) });
      await ready(this.socket, 'secureConnect');
      await this.greet();
    } else if (!secure && login !== undefined)
      throw new InfinitError('denied', 'the mail server offers no TLS: no password is sent to it');
    if (login === undefined) return;
    const plain = Buffer.from(`\0${login.user}\0${login.password}`).toString('base64');
    await this.ask(`AUTH PLAIN ${plain}`, 235);
  }

  private async greet(): Promise<void> {
    this.offers = (await this.ask('EHLO hub', 250)).map((line) => line.slice(4).toUpperCase());
  }

  async ask(line: string, code: number): Promise<string[]> {
    this.socket.write(`${line}\r\n`);
    return this.answer(code);
  }

  /** The lines of the next answer, which must have that code. */
  private async answer(code: number): Promise<string[]> {
    const lines: string[] = [];
    for (;;) {
      const line = await this.line();
      lines.push(line);
      if (lines.length > limits.smtpLinesMax) throw new InfinitError('unavailable', 'the mail server says too much');
      if (line[3] === '-') continue;
      if (Number(line.slice(0, 3)) === code) return lines;
      // 5xx is for good, all else may be tried again.
      throw new InfinitError(
        line.startsWith('5') ? 'denied' : 'unavailable',
        `the mail server says ${line.slice(0, 200)}`,
      );
    }
  }

  private async line(): Promise<string> {
    for (;;) {
      const end = this.rest.indexOf('\n');
      if (end >= 0) {
        const line = this.rest.slice(0, end).replace(/\r$/, '');
        this.rest = this.rest.slice(end + 1);
        return line;
      }
      if (this.rest.length > limits.smtpLineBytesMax)
        throw new InfinitError('unavailable', 'a line of the mail server is too long');
      this.rest += String(await ready(this.socket, 'data'));
    }
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Addresses are no names for TLS. */
function named(host: string): { servername?: string } {
  return isIP(host) === 0 ? { servername: host } : {};
}

/** The next event of that name; errors, ends and long silence throw `unavailable`. */
async function ready(socket: Socket, event: string): Promise<unknown> {
  const ended = new AbortController();
  const timeout = AbortSignal.timeout(limits.smtpTimeoutMs);
  const onEnd = () => ended.abort();
  socket.once('close', onEnd);
  try {
    const [value] = await once(socket, event, { signal: AbortSignal.any([ended.signal, timeout]) });
    return value;
  } catch (cause) {
    throw new InfinitError('unavailable', 'the mail server does not answer', { cause });
  } finally {
    socket.off('close', onEnd);
  }
}
