// What the commands ask of the daemon. `daemon/commands.ts` exports functions of these types; the commands import it lazily and
// hand it values only.

import type { Acting, Daemon, RunVolumeOptions, VolumeStatus } from './running.ts';

export type UnitState = 'starting' | 'running' | 'waiting' | 'stopping' | 'stopped';

/** One process the daemon keeps running; JSON-safe. */
export interface UnitStatus {
  role: 'network' | 'volume' | 'key-value-store';
  user: string;
  name: string;
  /** `waiting`: it ended, and is started again in `retry_ms`. */
  state: UnitState;
  /** When it came into this state. */
  since: string;
  pid?: number;
  /** This daemon found it running. */
  adopted?: boolean;
  /** How often it ended without being asked. */
  restarts: number;
  retry_ms?: number;
  last_error?: string;
}

export interface DaemonStatus {
  status: 'Running' | 'Stopped';
  pid?: number;
  /** Where its metrics are read. */
  metrics?: string | null;
  units?: UnitStatus[];
}

export interface RunDaemonOptions extends Acting {
  /** Volumes to keep mounted, and networks whose node to keep running; bare or qualified. */
  volumes: readonly string[];
  networks: readonly string[];
  /** Volumes without a mountpoint are mounted in OWNER/NAME below it. */
  mountRoot?: string;
  /** What all that is started has to do with the hub. */
  endpoints: { fetch: boolean; push: boolean };
  /** Announced by all that is started. */
  advertiseHosts?: readonly string[];
  /** All nodes that are started have the router forward a port. */
  portMapping?: boolean;
  /** All that is started finds others on the local network, and is found there. */
  mdns?: boolean;
  /** Folder of the logs. */
  logs?: string;
  /** Of what is started. */
  logLevel?: string;
  /** Where metrics of the daemon are read, `HOST:PORT`. */
  prometheus?: string;
  /** A detached child runs it. */
  daemon?: Daemon;
  /** Fires when a stop is asked for once more: end at once, and leave the processes. */
  force: AbortSignal;
  ready(facts: { pid: number }): void;
}

/** A volume as the daemon sees it; JSON-safe. */
export interface ManagedVolume extends VolumeStatus {
  /** Absent when the daemon does not keep it. */
  unit?: UnitStatus;
}

export const volumeActions = ['list', 'status', 'start', 'stop', 'restart'] as const;
export type VolumeAction = (typeof volumeActions)[number];

export interface InstallUnitsOptions extends Acting {
  /** Of the machine, started at boot; else of a user, started at his login. */
  isSystem: boolean;
  /** Where they are written. */
  folder: string;
  /** Options of `daemon run`. */
  words: readonly string[];
  /** Variables by which commands find this home. */
  variables: Readonly<Record<string, string>>;
}

export interface UnitFile {
  path: string;
  content: string;
}

export interface Supervising {
  /** Resolves when it has stopped; with `daemon`, once the child serves. Throws `exists` when one runs. */
  runDaemon(options: RunDaemonOptions): Promise<void>;
  /**
   * Stops what it keeps, and then the daemon; with `keep`, the daemon alone. Names of those whose files are still in use, which end by
   * themselves. Throws `unavailable` when none runs.
   */
  stopDaemon(options: Acting & { keep: boolean }): Promise<{ in_use: string[] }>;
  daemonStatus(options: Acting): Promise<DaemonStatus>;
  /** Volumes after it: all known here, or the one named. Throws `unavailable` when no daemon runs. */
  manageVolumes(options: Acting & { action: VolumeAction; name?: string }): Promise<ManagedVolume[]>;
  /** This device keeps data of the volume's network from now on, or as long as the signal has not fired. */
  enableStorage(
    options: Acting & { name: string; hold: boolean; enabled(silo: string): void },
  ): Promise<{ silo: string }>;
  /** Others take over what this device keeps of the volume's network; then it keeps nothing more. */
  disableStorage(options: Acting & { name: string }): Promise<{ silos: string[] }>;
  /** Unit files for systemd, written. */
  installUnits(options: InstallUnitsOptions): Promise<UnitFile[]>;
  /** As `Running.runVolume` with `daemon`; kept by the daemon when one runs. */
  startVolume(options: RunVolumeOptions): Promise<void>;
  /** As `Running.stopVolume`; nobody starts it again. */
  stopVolume(options: Acting & { name: string }): Promise<VolumeStatus>;
  /** As `Running.volumeStatus`, and how the daemon keeps it. */
  volumeStatus(options: Acting & { name: string }): Promise<ManagedVolume>;
}
