// What the running commands ask of the composition root. `node/commands.ts` exports functions of these types; the commands
// import it lazily and hand it values only: no flags, no streams, no process.

import type { DescriptorContext } from '../descriptor/context.ts';
import type {
  Founding,
  LinkedNetworkDescriptor,
  MountOptionsJson,
  NetworkDescriptor,
} from '../descriptor/descriptor.ts';
import type { HubClient } from '../hub/client/client.ts';
import type { LdapServer } from '../hub/directory/ldap.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { DrainProgress } from '../store/drain.ts';
import type { KeyStore } from '../volume/keys.ts';
import type { DiagnoseOptions, Section } from './running-doctor.ts';
import type { RunningJournals } from './running-journals.ts';
import type { RunningServices } from './running-services.ts';

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

/** What a node has to do with a hub. */
export interface HubPresence {
  client: HubClient;
  /** Says there where it is. */
  push: boolean;
  /** Looks there for others, every so often. */
  fetch: boolean;
  intervalMs: number;
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
  hub?: HubPresence;
  /** Found on the local network, and looks for others there. */
  mdns?: boolean;
  /** Has the router forward a port to it. */
  portMapping?: boolean;
}

export interface CacheSizes {
  /** Undefined: the default; false: as small as works. */
  cache?: boolean;
  ramBytes?: number;
}

/** A detached child runs the command; `argv` are its words, without `--daemon`. */
export interface Daemon {
  argv: readonly string[];
  /** Where paths among them begin. */
  directory?: string;
}

/** One request a line in, one reply out; ends with the requests. */
export interface Script {
  requests: AsyncIterable<unknown>;
  reply(value: unknown): void;
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
  /** Where metrics are read, `HOST:PORT`. */
  prometheus?: string;
  ready(facts: Ready): void;
}

export interface RunNetworkOptions extends RunOptions {
  rebalancingAutoExpand: boolean;
  rebalancingInspect: boolean;
  /** Most bytes background work moves a second. */
  backgroundRate?: number;
  /** How long one reading of everything kept takes. */
  scrubPeriodMs?: number;
  /** At the end others take over what this node holds, for some minutes at most. */
  resignOnShutdown: boolean;
  /** Fires when a stop is asked for once more: end at once. */
  force: AbortSignal;
  script?: Script;
}

/** How far a node is in leaving for good; JSON-safe. */
export interface DrainFacts extends DrainProgress {
  /** Why it ended early. */
  error?: string;
}

export interface RunKeyValueStoreOptions extends RunOptions {
  /** Where the door for programs is: `unix:PATH` or `HOST:PORT`. */
  door?: string;
  /** Its descriptor is kept in the network too. */
  registerService?: boolean;
}

/** Files that tell others how to reach this process. */
export type PresenceFiles = Pick<Presence, 'portFile' | 'endpointsFile' | 'peersFile'>;

export interface RunVolumeOptions extends Acting, PresenceFiles {
  /** Bare or qualified. */
  name: string;
  /** What was given for this time; the volume's own options say the rest. */
  mount: MountOptionsJson;
  /** The hub of this home; absent when none is named. */
  openHub?: () => Promise<HubClient>;
  /** Its descriptor is kept in the network too. */
  registerService?: boolean;
  /** `mount` needs a mountpoint, `run` does without. */
  mustMount: boolean;
  daemon?: Daemon;
  /** Log file. */
  log?: string;
  prometheus?: string;
  script?: Script;
  /** Fires when a stop is asked for once more: let go although files are open. */
  force: AbortSignal;
  ready(facts: Ready & { name: string; mountpoint: string | null }): void;
}

/** One kind of background work; JSON-safe. */
export interface WorkerFacts {
  name: string;
  state: 'idle' | 'working' | 'stopped';
  /** Pieces of work that wait; absent when nobody can tell. */
  backlog?: number;
  /** What it did since the start. */
  counters: Record<string, number>;
  last_error?: string;
}

/** JSON-safe. */
export interface VolumeStatus {
  name: string;
  status: 'running' | 'stopped';
  mountpoint?: string | null;
  role?: 'leader' | 'follower' | 'none';
  epoch?: number;
  /** Written here and not yet in the network. */
  dirty_bytes?: number;
  /** With a journal of its own: what waits to be sent. */
  waiting_operations?: number;
  readonly?: boolean;
  pid?: number;
}

/** How garbage collection of a volume or a key-value store stands, at the process that leads it. */
export interface CollectionFacts {
  name: string;
  state: 'idle' | 'tidying' | 'marking' | 'waiting' | 'sweeping';
  /** Of the cycle that runs, or the last one. */
  generation: number;
  /** A cycle was asked for and has not begun. */
  asked: boolean;
  /** For how long what is not used any more is still kept for those who read it. */
  wait_ms?: number;
  /** The last cycle that ended well: what silos gave back, of how many nodes; nodes that were away. */
  last?: { generation: number; ended: string; copies: number; bytes: number; nodes: number; missed: number };
  last_error?: string;
}

export interface CollectOptions extends Acting {
  name: string;
  kind: 'volume' | 'key-value-store';
  /** Asks for a cycle; else only tells. */
  begin: boolean;
  graceMs?: number | undefined;
  /** Waits until the cycle has ended, and tells of each state it comes to. Throws `unavailable` when it is given up. */
  progress?: ((facts: CollectionFacts) => void) | undefined;
}

/** How far nodes are with giving back what a destroyed volume or store took; JSON-safe. */
export interface DestroyFacts {
  /** Storage nodes that are rid of it, and how many were found. */
  nodes: number;
  of: number;
  /** Of them: could not be reached, or take long; they go on by themselves. */
  missed: number;
  /** What those that are rid of it gave back. */
  copies: number;
  bytes: number;
}

export interface DestroyOptions extends Acting {
  /** Bare or qualified. */
  name: string;
  kind: 'volume' | 'key-value-store';
  /** Although somebody has it open: he is told, and his process ends. */
  force: boolean;
  peers?: readonly string[];
  progress(facts: DestroyFacts): void;
}

export interface VolumeAttributeOptions extends Acting {
  /** Absolute, on a mounted volume of the acting user. */
  path: string;
  attribute: string;
  /** Set when given, else read. */
  value?: string;
}

/** A register nothing can be agreed on any more; JSON-safe. */
export interface LostRegister {
  what: 'network' | 'tree';
  /** Of a tree: its volume or store, `#...` when it is not known on this device. */
  name: string | null;
  members: number;
  /** Members left that hold a copy. */
  copies: number;
  /** Ids of the nodes of members that do not answer. */
  missing: string[];
  /** Whether the acting user owns it. */
  owned: boolean;
}

export interface RecoveryFacts {
  /** Registers looked at. */
  checked: number;
  lost: LostRegister[];
}

export interface OpenKeysOptions extends Acting {
  /** The store, bare or qualified. */
  name: string;
  peers?: readonly string[];
}

export type InspectWhat = 'status' | 'peers' | 'redundancy' | 'all';

export interface ThroughputOptions extends Acting {
  host: string;
  port: number;
  modes: readonly ('upload' | 'download')[];
  packetBytes: number;
  packets: number;
}

/** JSON-safe. */
export interface ThroughputFacts {
  mode: 'upload' | 'download';
  bytes: number;
  ms: number;
  bytes_per_second: number;
}

export interface RunHubOptions extends Acting {
  host: string;
  /** 0: any free one. */
  port: number;
  /** A file, made when missing, or `postgres://…`. */
  database: string;
  /** PEM. */
  tls?: { certificate: Uint8Array; key: Uint8Array };
  /** Address people know the hub by; requests signed for another are refused. */
  url?: string;
  /** `smtp://…`: e-mail is sent by it. Its password is secret. */
  smtp?: string;
  passportsPerNetworkMax?: number;
  /** Directory whose people log in by their password there. */
  ldap?: LdapServer;
  /** Users of the hub who may keep names for people of the directory. */
  administrators?: readonly string[];
  portFile?: string;
  /** Where metrics are read, `HOST:PORT`. */
  prometheus?: string;
  /** `metrics`: where they are read, when they are. */
  ready(facts: { url: string; pid: number; metrics?: string }): void;
}

export type { DiagnoseOptions, Finding, FindingGroup, Section } from './running-doctor.ts';
export type { JournalOptions, JournalStat } from './running-journals.ts';
export type { Fetched, FetchServicesOptions, ServiceNames } from './running-services.ts';

export interface Running extends RunningServices, RunningJournals {
  /** Resolves when it has stopped. */
  runHub(options: RunHubOptions): Promise<void>;
  /** Looks, and changes nothing that is not asked for. */
  diagnose(options: DiagnoseOptions): Promise<Section[]>;
  /** Measures with a machine that serves it. Throws `unavailable`. */
  measureThroughput(options: ThroughputOptions): Promise<ThroughputFacts[]>;
  /** Lets others measure until a stop is asked for; `ready` with the port got. */
  serveThroughput(options: Acting & { host: string; port: number; ready(port: number): void }): Promise<void>;
  /** Resolves when it has stopped; with `daemon`, once the child serves. */
  runNetwork(options: RunNetworkOptions): Promise<void>;
  /** Asks the running process over its monitoring socket; JSON-safe. */
  inspectNetwork(options: Acting & { name: string; what: InspectWhat }): Promise<Record<string, unknown>>;
  /** Brings the owner's descriptor of a network into it; how many nodes heard of it. Throws `unavailable` when none is reached. */
  publishNetwork(options: Acting & { name: string; peers?: readonly string[] }): Promise<{ nodes: number }>;
  /**
   * Has others take over what the node of this device holds, then ends it; or gives that up. Throws `unavailable` when it does not
   * run or nobody can take over; `cancelled` leaves the drain going on.
   */
  drainNetwork(
    options: Acting & { name: string; cancel: boolean; progress(facts: DrainFacts): void },
  ): Promise<DrainFacts & { name: string }>;
  /**
   * Begins anew the user's registers of which a majority of the members is lost for good. `confirm` is told before anything is
   * changed, and throws to give up; it is not called when nothing is lost. Throws `denied` when all that is lost is others'.
   */
  recoverNetwork(
    options: Acting & { name: string; peers?: readonly string[]; confirm(facts: RecoveryFacts): Promise<void> },
  ): Promise<RecoveryFacts & { name: string }>;
  /** How many storage nodes of a network are seen running from here. */
  networkSeen(options: Acting & { name: string; peers?: readonly string[] }): Promise<{ nodes: number }>;
  /** What the running process does in the background. `scrub`: it reads everything it keeps once, from now on. */
  networkWorkers(options: Acting & { name: string; scrub?: boolean }): Promise<WorkerFacts[]>;
  runKeyValueStore(options: RunKeyValueStoreOptions): Promise<void>;
  /** Resolves when it has stopped; with `daemon`, once the child serves. */
  runVolume(options: RunVolumeOptions): Promise<void>;
  /** Writes the volume's root into the network unless it is there; the acting user owns it. */
  createVolumeRoot(options: Acting & { name: string; peers?: readonly string[] }): Promise<void>;
  /** Whether a process of this home has it open, and what it says. */
  volumeStatus(options: Acting & { name: string }): Promise<VolumeStatus>;
  /** Throws `unavailable` when no process of this device serves it, or none leads it. */
  collect(options: CollectOptions): Promise<CollectionFacts>;
  /**
   * Takes a volume or a store of the acting user out of its network for good, with all its data, and its descriptor off this device;
   * waits for the nodes. Throws `denied`, `conflict` while it is in use, `unavailable`; repeatable.
   */
  destroy(options: DestroyOptions): Promise<DestroyFacts & { name: string }>;
  /** Unmounts and waits for the end of the process. Throws `unavailable` when none runs, `conflict` while files are open. */
  stopVolume(options: Acting & { name: string }): Promise<VolumeStatus>;
  /** The value as it is or was set. */
  volumeAttribute(options: VolumeAttributeOptions): Promise<string>;
  /** By a running door of this home, else as a client of the network. `close` resigns and leaves. */
  openKeys(options: OpenKeysOptions): Promise<{ keys: KeyStore; close(): Promise<void> }>;
  /** `Found` of `descriptor/networks.ts`: formats silos, writes the genesis of the network register. */
  found(
    options: Acting,
    link: LinkedNetworkDescriptor,
    seal: (founding: Founding) => NetworkDescriptor,
  ): Promise<Founding>;
}
