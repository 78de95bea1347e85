// A real SMTP server on loopback: Debian's aiosmtpd, for Debian's Python, which prints what it takes; with TLS and a password
// where it is given a folder with a certificate.

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { eventually, type Lab, Running } from './device.ts';

const script = `
import asyncio, ssl, sys
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Debugging
from aiosmtpd.smtp import AuthResult
port, folder = int(sys.argv[1]), sys.argv[2]
options = {}
if folder:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder + '/cert.pem', folder + '/key.pem')
    def check(server, session, envelope, mechanism, data):
        return AuthResult(success=data.login == b'hub' and data.password.decode() == sys.argv[3])
    options = dict(tls_context=context, require_starttls=True, auth_required=True, authenticator=check)
controller = Controller(Debugging(sys.stdout), hostname='localhost', port=port, **options)
controller.start()
print('Serving', flush=True)
import time
while True:
    time.sleep(0.1)
    sys.stdout.flush()
`;

export interface Letter {
  to: string;
  from: string;
  subject: string;
  text: string;
}

export class MailServer {
  readonly port: number;
  private readonly running: Running;

  private constructor(port: number, running: Running) {
    this.port = port;
    this.running = running;
  }

  static async start(lab: Lab, tls?: { folder: string; password: string }): Promise<MailServer> {
    const port = await freePort();
    const path = join(lab.folder, 'server.py');
    writeFileSync(path, script);
    const words = ['-u', path, String(port), tls?.folder ?? '', tls?.password ?? ''];
    const running = new Running(spawn('/usr/bin/python3', words, { stdio: 'pipe' }));
    await running.waitFor(/^Serving$/m, 30_000);
    return new MailServer(port, running);
  }

  /** For `--smtp`. */
  get url(): string {
    return `smtp://localhost:${this.port}?from=hub@example.org`;
  }

  /** All that came so far. */
  letters(): Letter[] {
    return this.running.output
      .split(/^-+ MESSAGE FOLLOWS -+$/m)
      .slice(1)
      .flatMap((message) => {
        const [, body] = /\n\n([A-Za-z0-9+/=\n]+?)\n-+ END MESSAGE -+/.exec(message) ?? [];
        if (body === undefined) return [];
        const header = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(message)?.[1] ?? '';
        const text = Buffer.from(body, 'base64').toString();
        return [{ to: header('To').replace(/^<(.*)>$/, '$1'), from: header('From'), subject: header('Subject'), text }];
      });
  }

  /** The next letter to that address beyond the first `after`. */
  letterTo(address: string, after = 0): Promise<Letter> {
    return eventually(`a letter to ${address}`, 30_000, async () => {
      return this.letters().filter(({ to }) => to === address)[after];
    });
  }

  stop(): Promise<void> {
    return this.running.kill();
  }
}

async function freePort(): Promise<number> {
  const socket = createServer();
  await new Promise<void>((resolve) => socket.listen(0, 'localhost', resolve));
  const { port } = socket.address() as { port: number };
  await new Promise((resolve) => socket.close(resolve));
  return port;
}
