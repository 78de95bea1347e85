// What commands ask of the services of a network: volumes and stores whose descriptors it keeps.

import type { TreeKind } from '../descriptor/descriptor.ts';
import type { Fetched } from '../hub/client/sharing.ts';
import type { Acting } from './running.ts';

export type { Fetched };

/** Null: none. JSON-safe. */
export interface ServiceNames {
  volumes: string[] | null;
  kvs: string[] | null;
}

export interface FetchServicesOptions extends Acting {
  kind: TreeKind;
  /** Undefined: all. */
  name?: string;
  /** Undefined: of all networks this device is linked to. */
  network?: string;
  peers?: readonly string[];
}

export interface RunningServices {
  /** Names of services registered in the network; needs a running node or a peer. */
  listServices(options: Acting & { name: string; peers?: readonly string[] }): Promise<ServiceNames>;
  /** Keeps the descriptor of a volume or store of the acting user in its network, its root made first. Throws `denied`. */
  registerService(options: Acting & { kind: TreeKind; name: string; peers?: readonly string[] }): Promise<void>;
  /** Takes registered services into this home. Throws `not-found` for a name that is not registered. */
  fetchServices(options: FetchServicesOptions): Promise<Fetched[]>;
}
