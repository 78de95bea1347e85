// What the running commands ask of the composition root. `node/commands.ts` exports functions of these types; the commands
// import it lazily and hand it values only: no flags, no streams, no process.

import type { DescriptorContext } from '../descriptor/context.ts';
import type { Founding, LinkedNetworkDescriptor, NetworkDescriptor } from '../descriptor/descriptor.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { KeyStore } from '../volume/keys.ts';

/** Common to every call. */
export interface Acting {
  context: DescriptorContext & { readonly runtime: Runtime };
  /** The acting user. */
  as: string;
  /** Fires when a stop is asked for: leave gracefully and resolve. */
  signal: AbortSignal;
  /** One line for the person, on standard error. */
  warn(text: string): void;
}

/** How a node of this device meets others; every field optional. */
export interface Presence {
  /** `host:port`, or paths of files with one a line, as given. */
  peers?: readonly string[];
  port?: number;
  listen?: string;
  portFile?: string;
  endpointsFile?: string;
  /** Rewritten regularly with the peers known. */
  peersFile?: string;
  advertiseHosts?: readonly string[];
  noLocalEndpoints?: boolean;
  noPublicEndpoints?: boolean;
}

export interface CacheSizes {
  /** Undefined: the default; false: as small as works. */
  cache?: boolean;
  ramBytes?: number;
}

/** A detached child runs the command; `argv` are its words, without `--daemon`. */
export interface Daemon {
  argv: readonly string[];
}

/** What is told once it serves. */
export interface Ready {
  endpoints: readonly string[];
  pid: number;
}

export interface RunOptions extends Acting, Presence, CacheSizes {
  /** As given: bare or qualified. */
  name: string;
  /** Serve the monitoring socket. */
  monitoring: boolean;
  daemon?: Daemon;
  /** Log file. */
  log?: string;
  ready(facts: Ready): void;
}

export interface RunNetworkOptions extends RunOptions {
  rebalancingAutoExpand: boolean;
  rebalancingInspect: boolean;
  /** `--script`: one request a line in, one reply out; ends with the requests. */
  script?: { requests: AsyncIterable<unknown>; reply(value: unknown): void };
}

export interface RunKeyValueStoreOptions extends RunOptions {
  /** Where the door for programs is: `unix:PATH` or `HOST:PORT`. */
  door?: string;
}

export interface OpenKeysOptions extends Acting {
  /** The store, bare or qualified. */
  name: string;
  peers?: readonly string[];
}

export type InspectWhat = 'status' | 'peers' | 'redundancy' | 'all';

export interface Running {
  /** Resolves when it has stopped; with `daemon`, once the child serves. */
  runNetwork(options: RunNetworkOptions): Promise<void>;
  /** Asks the running process over its monitoring socket; JSON-safe. */
  inspectNetwork(options: Acting & { name: string; what: InspectWhat }): Promise<Record<string, unknown>>;
  /** Services registered in the network; needs a running node or a peer. */
  listServices(options: Acting & { name: string }): Promise<{ volumes: string[] | null; kvs: string[] | null }>;
  runKeyValueStore(options: RunKeyValueStoreOptions): Promise<void>;
  /** By a running door of this home, else as a client of the network. `close` resigns and leaves. */
  openKeys(options: OpenKeysOptions): Promise<{ keys: KeyStore; close(): Promise<void> }>;
  /** `Found` of `descriptor/networks.ts`: formats silos, writes the genesis of the network register. */
  found(
    options: Acting,
    link: LinkedNetworkDescriptor,
    seal: (founding: Founding) => NetworkDescriptor,
  ): Promise<Founding>;
}
