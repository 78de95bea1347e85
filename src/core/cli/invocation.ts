// One call of the command line: words, environment and streams as values, so that tests run commands in process and nothing
// below reads `process`.

import type { Readable } from 'node:stream';
import type { HubConnection } from '../hub/hub.ts';
import type { LogLevel, Runtime } from '../runtime/runtime.ts';
import type { Running } from './running.ts';
import type { Supervising } from './supervising.ts';

/** Where text goes. */
export interface Output {
  write(data: string | Uint8Array): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export type Variables = Readonly<Record<string, string | undefined>>;

export interface LogSettings {
  level?: LogLevel;
  /** Standard error when absent. */
  path?: string;
}

/** What commands work with, loaded when first asked for: light commands stay light. */
export interface Parts {
  runtime(log: LogSettings): Promise<Runtime>;
  running(): Promise<Running>;
  supervising(): Promise<Supervising>;
  /** A way to the hub at that address. Throws `usage` when it is none. */
  hub(url: string): Promise<HubConnection>;
}

export interface Invocation {
  readonly parts: Parts;
  /** Name the program was called by, without folders; `infinit`, or `infinit-user` through an old link. */
  readonly program: string;
  readonly argv: readonly string[];
  readonly env: Variables;
  /** System login, the acting user when nothing else says. */
  readonly login: string;
  readonly isRoot: boolean;
  /** Home folder of the login. */
  readonly homeDirectory: string;
  readonly temporaryDirectory: string;
  readonly workingDirectory: string;
  /** Folder of the package. */
  readonly root: string;
  readonly version: string;
  readonly stdin: Readable & { readonly isTTY?: boolean | undefined };
  readonly stdout: Output;
  readonly stderr: Output;
  /** Fires when a person or the system asks to stop; taking it replaces the default effect of the signals. */
  stopRequested(): AbortSignal;
  /** Fires when that is asked for once more. */
  forceRequested(): AbortSignal;
}

/** True when somebody can answer a question. */
export function isInteractive(invocation: Invocation): boolean {
  return invocation.stdin.isTTY === true && invocation.stderr.isTTY === true;
}
