// Old forms and what they become.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { registry } from '../../../src/commands/registry.ts';
import { rewriteLegacy } from '../../../src/core/cli/legacy.ts';

function rewrite(line: string): { to: string; notices: string[] } {
  const [program = '', ...argv] = line.split(' ');
  const { argv: words, notices } = rewriteLegacy({ program, argv }, registry);
  return { to: words.join(' '), notices };
}

test('old forms become new ones, with one line that names the command', () => {
  const forms = {
    'infinit-user --create --name alice': ['user create --name alice', 'infinit user create'],
    'infinit-user.js --list': ['user list', 'infinit user list'],
    'infinit-key-value-store --list': ['key-value-store list', 'infinit key-value-store list'],
    'infinit user --name alice --create': ['user create --name alice', 'infinit user create'],
    'infinit-storage --create --filesystem -n x': ['silo create filesystem -n x', 'infinit silo create filesystem'],
    'infinit storage list': ['silo list', 'infinit silo list'],
    'infinit network create n --storage x --storage=y': [
      'network create n --silo x --silo=y',
      'infinit network create --silo',
    ],
    'infinit network --list-storage -n x': ['network list-silos -n x', 'infinit network list-silos'],
  };
  for (const [line, [to, command]] of Object.entries(forms)) {
    assert.deepEqual(rewrite(line), { to, notices: [`this form is deprecated, use: ${command}`] }, line);
  }
});

test('new forms stay, and kvs is short for key-value-store', () => {
  for (const words of ['user create alice', 'network list --help', 'user --help', 'user', '', 'nonsense --create']) {
    assert.deepEqual(rewrite(`infinit ${words}`.trim()), { to: words, notices: [] });
  }
  assert.deepEqual(rewrite('infinit kvs get a b'), { to: 'key-value-store get a b', notices: [] });
});

test('nothing behind -- is touched, and a secret is never repeated', () => {
  assert.deepEqual(rewrite('infinit user -- --create'), { to: 'user -- --create', notices: [] });
  assert.equal(rewrite('infinit user --create --key secret').notices.join().includes('secret'), false);
});
