// The environment, read here and nowhere else: the folders of the home, the acting user, switches. The core gets values.

import { createHash } from 'node:crypto';
import { isAbsolute, join, resolve } from 'node:path';
import type { Home } from '../descriptor/descriptor.ts';
import type { LogLevel } from '../runtime/runtime.ts';
import type { Invocation, LogSettings, Variables } from './invocation.ts';

export interface Environment {
  home: Home;
  /** Who acts when `--as` is not given. */
  user: string;
  log: LogSettings;
  /** INFINIT_BEYOND: address of the hub. There is no default: the original's is nobody's any more. */
  hub: string | undefined;
  /** Where long-running commands tell metrics. */
  prometheus: string | undefined;
  /** INFINIT_* variables nobody reads: most likely misspelled. */
  unknown: string[];
}

/** Variables with a meaning here, or with one in the original that is safe to ignore. */
const knownVariables = new Set(
  [
    'USER HOME HOME_OVERRIDE DATA_HOME CACHE_HOME STATE_HOME CONFIG_HOME RUNTIME_DIR BACKTRACE DISABLE_SIGNAL_HANDLER',
    'LOG_LEVEL LOG_FILE BEYOND RDV CRASH_REPORTER CRASH_REPORT_HOST LOG_REACHABILITY NO_IPV4 NO_IPV6 CONNECT_TIMEOUT',
    'SOFTFAIL_TIMEOUT SOFTFAIL_RUNNING RPC_SERVE_THREADS RPC_DISABLE_CRYPTO UTP KEY_HASH BALANCED_TRANSFERS',
    'KELIPS_ASYNC KELIPS_ASYNC_SEND KELIPS_COMPRESSION KELIPS_SNUB LOOKAHEAD_BLOCKS LOOKAHEAD_THREADS',
    'PREFETCH_THREADS PREFETCH_DEPTH PREFETCH_GROUP PREFETCH_TASKS MAX_EMBED_SIZE FIRST_BLOCK_DATA_SIZE',
    'CACHE_REFRESH_BATCH_SIZE BACKGROUND_DECODE PREEMPT_DECODE PAXOS_CACHE_SIZE PAXOS_LENIENT_FETCH ASYNC_NOPOP',
    'ASYNC_POP_DELAY ASYNC_SQUASH ASYNC_MAX_SQUASH_SIZE PRESERVE_ACLS TOKEN_ENCRYPT PROMETHEUS_ENDPOINT SMTP_PASSWORD',
  ]
    .join(' ')
    .split(' ')
    .map((name) => `INFINIT_${name}`),
);

export function environmentOf(invocation: Invocation): Environment {
  const { env } = invocation;
  return {
    home: homeOf(invocation),
    user: env.INFINIT_USER || invocation.login,
    log: logOf(invocation),
    hub: env.INFINIT_BEYOND || undefined,
    prometheus: env.INFINIT_PROMETHEUS_ENDPOINT || undefined,
    unknown: Object.keys(env)
      .filter((name) => name.startsWith('INFINIT_') && !knownVariables.has(name))
      .sort(),
  };
}

const logLevels: readonly string[] = ['error', 'warn', 'info', 'debug'];

/** INFINIT_LOG_LEVEL (of the original's, TRACE and DUMP mean debug) and INFINIT_LOG_FILE. */
function logOf({ env, workingDirectory }: Invocation): LogSettings {
  const named = env.INFINIT_LOG_LEVEL?.toLowerCase() ?? '';
  const level = named === 'trace' || named === 'dump' ? 'debug' : named;
  return {
    ...(logLevels.includes(level) ? { level: level as LogLevel } : {}),
    ...(env.INFINIT_LOG_FILE ? { path: resolve(workingDirectory, env.INFINIT_LOG_FILE) } : {}),
  };
}

/** For each folder: its INFINIT variable, else below INFINIT_HOME, else its XDG variable, else below the home folder. */
function homeOf(invocation: Invocation): Home {
  const { env, homeDirectory, workingDirectory } = invocation;
  const base = env.INFINIT_HOME_OVERRIDE || env.INFINIT_HOME;
  const folder = (name: string, fallback: string): string => {
    const own = env[`INFINIT_${name}`];
    if (own) return resolve(workingDirectory, own);
    const shared = base ? undefined : xdg(env, name);
    const parent = shared ?? join(resolve(workingDirectory, base || env.HOME || homeDirectory), fallback);
    return join(parent, 'infinit', 'filesystem');
  };
  return {
    data: folder('DATA_HOME', '.local/share'),
    cache: folder('CACHE_HOME', '.cache'),
    state: folder('STATE_HOME', '.local/state'),
    config: folder('CONFIG_HOME', '.config'),
    runtime: runtimeOf(invocation, base),
  };
}

/** Sockets live outside the home, where paths are short; two homes of one login never share the folder. */
function runtimeOf(invocation: Invocation, base: string | undefined): string {
  const { env, login, temporaryDirectory, workingDirectory } = invocation;
  if (env.INFINIT_RUNTIME_DIR) return resolve(workingDirectory, env.INFINIT_RUNTIME_DIR);
  const shared = base ? undefined : xdg(env, 'RUNTIME_DIR');
  if (shared) return join(shared, 'infinit');
  const folder = join(temporaryDirectory, 'infinit', login);
  if (!base) return folder;
  return join(folder, createHash('sha256').update(resolve(workingDirectory, base)).digest('hex').slice(0, 8));
}

/** Variables by which another process finds this home and acts as the user. */
export function homeVariables(invocation: Invocation, user: string): Record<string, string> {
  const chosen = Object.entries(invocation.env).filter(([name]) =>
    /^INFINIT_(HOME|HOME_OVERRIDE|\w+_HOME)$/.test(name),
  );
  const absolute = chosen.flatMap(([name, path]) => (path ? [[name, resolve(invocation.workingDirectory, path)]] : []));
  const beyond = invocation.env.INFINIT_BEYOND;
  const hub = beyond ? { INFINIT_BEYOND: beyond } : {};
  return {
    ...Object.fromEntries(absolute),
    ...hub,
    INFINIT_USER: user,
    INFINIT_RUNTIME_DIR: homeOf(invocation).runtime,
  };
}

/** The XDG rules: a relative path is ignored. */
function xdg(env: Variables, name: string): string | undefined {
  const value = env[`XDG_${name}`];
  return value && isAbsolute(value) ? value : undefined;
}
