// A second device is paired by way of a hub, as the original's guide has it: transmit here, receive there, and go on there.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { type Device, Lab } from './device.ts';
import { Hub } from './hub.ts';
import { needs } from './needs.ts';

const words = (line: string) => line.split(' ');
const passphrase = 'three blind mice';
/** Somebody at a terminal, who types the first word given when he is asked, to the program given after it. */
const typist = `
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0: os.execvp(sys.argv[2], sys.argv[2:])
seen, typed = b'', False
while True:
    try: piece = os.read(terminal, 4096)
    except OSError: break
    if not piece: break
    os.write(1, piece)
    seen += piece
    if not typed and b'Passphrase' in seen:
        os.write(terminal, sys.argv[1].encode() + b'\\r')
        typed = True
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

describe('two devices of one user', { timeout: 600_000 }, () => {
  const lab = new Lab();
  const hub = new Hub(lab);
  let desktop: Device;
  let laptop: Device;

  before(async () => {
    await hub.start();
    desktop = lab.device('desktop', 'alice');
    laptop = lab.device('laptop', 'alice');
    for (const device of [desktop, laptop]) device.environment = hub.environment;
    await desktop.run(words('user create --name alice --fullname Alice'));
    await desktop.run(words('user push --name alice'));
    await desktop.run(words('network create --as alice --name cluster --push'));
  });
  after(() => lab.close());

  test('the first transmits, the second receives and takes what the user has', async () => {
    assert.equal(
      await desktop.run(words('device transmit --as alice --user'), `${passphrase}\n`),
      'Transmitted user identity for "alice".',
    );
    // What the hub has on its disk is neither the key nor the passphrase.
    const { private_key } = JSON.parse(await desktop.run(words('user export alice --full'))) as {
      private_key: { ed25519: string };
    };
    const kept = everythingBelow(hub.device.home);
    assert.ok(kept.includes('alice'));
    assert.ok(!kept.includes(private_key.ed25519));
    assert.ok(!kept.includes(passphrase));
    const wrong = await laptop.attempt(words('device receive --user --name alice'), 'three blind rats\n');
    assert.deepEqual([wrong.code, wrong.stderr], [1, 'infinit: fatal error: invalid passphrase\n']);
    assert.equal(
      await laptop.run(words('device receive --user --name alice'), `${passphrase}\n`),
      'Received user identity for "alice".',
    );
    assert.equal(
      await laptop.run(words('user export alice --full')),
      await desktop.run(words('user export alice --full')),
    );
    await laptop.run(words('network fetch --as alice --name cluster'));
    assert.equal(
      await laptop.run(words('network link --as alice --name cluster')),
      'Linked device to network "alice/cluster".',
    );
    const phone = lab.device('phone', 'alice');
    phone.environment = hub.environment;
    const again = await phone.attempt(words('device receive --user'), `${passphrase}\n`);
    assert.deepEqual(
      [again.code, again.stderr],
      [1, 'infinit: fatal error: pairing information "alice" does not exist\n'],
    );
  });

  test('at a terminal the first waits, and says when it was received', needs('python3'), async () => {
    const place = { enter: ['python3', '-c', typist, passphrase], address: '127.0.0.1' };
    const terminal = lab.device('terminal', 'alice', place);
    // A terminal on the first device.
    terminal.environment = { ...hub.environment, INFINIT_HOME: desktop.home };
    const tablet = lab.device('tablet', 'alice');
    tablet.environment = hub.environment;
    const waiting = terminal.begin(words('device transmit --user'));
    await waiting.waitFor(/User identity on the Hub for: \d+ seconds/, 240_000);
    // The question leaves a code of the terminal in front of the line.
    assert.match(stripVTControlCharacters(waiting.output), /^Transmitted user identity for "alice"\.\r?$/m);
    await tablet.run(words('device receive --user --name alice'), `${passphrase}\n`);
    await waiting.waitFor(/User identity received\./, 120_000);
    assert.equal(await waiting.end(), 0);
  });
});

function everythingBelow(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map((file) => readFileSync(join(file.parentPath, file.name), 'latin1')).join('\n');
}
