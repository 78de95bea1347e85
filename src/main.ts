// The program: turns the process into an invocation, names the real parts, runs the command, leaves with its exit code.

import { tmpdir, userInfo } from 'node:os';
import { basename } from 'node:path';
import { registry } from './commands/registry.ts';
import type { Invocation, Parts } from './core/cli/invocation.ts';
import { main } from './core/cli/main.ts';

/** Runs the command line of this process. */
export async function run(root: string, version: string): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', leaveOnBrokenPipe);
  const code = await main(processInvocation(root, version), registry);
  process.exitCode = code;
}

const parts: Parts = {
  runtime: async (log) => (await import('./core/runtime/system/system.ts')).systemRuntime({ log }),
  running: () => import('./core/node/commands.ts'),
  supervising: () => import('./core/daemon/commands.ts'),
  hub: async (url) => (await import('./core/hub/client/http.ts')).httpConnection(url),
};

function processInvocation(root: string, version: string): Invocation {
  const { username, homedir, uid } = userInfo();
  return {
    parts,
    program: basename(process.argv[1] ?? 'infinit'),
    argv: process.argv.slice(2),
    env: process.env,
    login: username,
    isRoot: uid === 0,
    homeDirectory: homedir,
    temporaryDirectory: tmpdir(),
    workingDirectory: process.cwd(),
    root,
    version,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    stopRequested,
    forceRequested: () => force.signal,
  };
}

const stop = new AbortController();
const force = new AbortController();
let listening = false;

/** The first signal asks to stop; whoever asked for the signal then leaves gracefully, at the second without waiting. A third one ends the process at once. */
function stopRequested(): AbortSignal {
  if (listening || process.env.INFINIT_DISABLE_SIGNAL_HANDLER) return stop.signal;
  listening = true;
  let count = 0;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGQUIT'] as const) {
    process.on(signal, () => {
      count++;
      if (count === 1) stop.abort();
      else if (count === 2) {
        force.abort();
        process.stderr.write('infinit: stopping; once more to stop at once\n');
      } else process.exit(1);
    });
  }
  return stop.signal;
}

/** The reader left (`infinit … | head`): nothing more to say. */
function leaveOnBrokenPipe(error: Error): void {
  if ('code' in error && error.code === 'EPIPE') process.exit(0);
  throw error;
}
