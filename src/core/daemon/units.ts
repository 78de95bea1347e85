// Unit files that let systemd start the daemon at boot, or at login. Systemd watches the daemon, the daemon its processes: a daemon
// that fails is started again and takes them up, so systemd must leave them alone.

import { join } from 'node:path';
import type { UnitFile } from '../cli/supervising.ts';

export interface InstallOptions {
  /** Of the machine, started at boot; else of a user, started at his login. */
  isSystem: boolean;
  folder: string;
  /** The program with the words that run it. */
  program: readonly string[];
  /** Options of `daemon run`. */
  words: readonly string[];
  /** Variables it needs to serve this home where its commands look. */
  variables: Readonly<Record<string, string>>;
}

export function unitFiles({ isSystem, folder, program, words, variables }: InstallOptions): UnitFile[] {
  const run = (...rest: string[]) => [...program, 'daemon', ...rest].map(commandWord).join(' ');
  const lines = [
    '[Unit]',
    'Description=Infinit: keeps nodes and mounts running',
    ...(isSystem ? ['Wants=network-online.target', 'After=network-online.target'] : []),
    '',
    '[Service]',
    'Type=exec',
    ...Object.entries(variables).map(([key, value]) => `Environment=${word(`${key}=${value}`)}`),
    `ExecStart=${run('run', ...words)}`,
    '# Exchanges the daemon; what it keeps goes on, and the next one takes it up.',
    `ExecReload=${run('stop', '--keep')}`,
    'Restart=always',
    'RestartSec=1',
    '# The daemon ends its processes itself; when it fails they go on.',
    'KillMode=process',
    'OOMPolicy=continue',
    'TimeoutStopSec=3min',
    'UMask=0077',
    'LimitNOFILE=1048576',
    '',
    '[Install]',
    `WantedBy=${isSystem ? 'multi-user.target' : 'default.target'}`,
    '',
  ];
  return [{ path: join(folder, 'infinit-daemon.service'), content: lines.join('\n') }];
}

/** A word as systemd reads it: nothing in it stands for something else. */
function word(text: string): string {
  const literal = text.replaceAll('%', '%%');
  if (/^[\w@%+=:,./$-]+$/.test(literal)) return literal;
  return `"${literal.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')}"`;
}

/** Variables are put into commands only. */
function commandWord(text: string): string {
  return word(text).replaceAll('$', () => '$$');
}
