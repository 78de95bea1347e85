// A port of the router that leads to this node: what the ways to ask for one have in common. Whatever a router says may be wrong, and
// anybody near may speak in its name.

import { isIPv4 } from 'node:net';
import { InfinitError } from '../../base/errors.ts';
import type { Endpoint, Router, Runtime } from '../../runtime/runtime.ts';
import { isLocalAddress } from '../announcement.ts';

export interface MappingRequest {
  /** TCP, of this machine. */
  port: number;
  /** Of the router, if it is free there. */
  externalPort: number;
  lifetimeMs: number;
}

export interface Mapping {
  readonly port: number;
  /** Where others dial. */
  readonly external: Endpoint;
  readonly lifetimeMs: number;
}

/**
 * One way to speak to one router. All calls throw `unavailable` when nobody answers, `denied` when the router refuses, and `corrupt` when
 * its answer makes no sense; they end within seconds.
 */
export interface PortProtocol {
  readonly name: string;
  /** The address others see, where the router tells it without being asked for a mapping. */
  externalAddress(): Promise<string | undefined>;
  /** Makes a mapping, or renews the one given. */
  map(request: MappingRequest, renewed?: Mapping): Promise<Mapping>;
  /** Whether the router still has it, as far as it tells. */
  holds(mapping: Mapping): Promise<boolean>;
  unmap(mapping: Mapping): Promise<void>;
}

export interface ProtocolParts {
  runtime: Runtime;
  router: Router;
}

/** Whether ports are asked of it: a router of one's own stands in a local network. */
export function isOwnRouter({ address, own }: Router): boolean {
  const isNear = (host: string) => isIPv4(host) && isLocalAddress(host) && !host.startsWith('127.');
  return isNear(address) && isNear(own) && address !== own;
}

/**
 * Throws `corrupt` unless others may be there. A private address is taken: the router stands behind another one, and whoever is between
 * them dials it.
 */
export function checkExternal(host: string, { own }: Router): string {
  const first = Number(host.split('.')[0]);
  const isSane = isIPv4(host) && first > 0 && first < 224 && first !== 127 && !host.startsWith('169.254.');
  if (!isSane || host === own) throw corruptAnswer('an external address that is none');
  return host;
}

export function checkPort(port: number): number {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw corruptAnswer('an external port that is none');
  return port;
}

export function corruptAnswer(what: string): InfinitError {
  return new InfinitError('corrupt', `the router's answer makes no sense: ${what}`);
}

export function refused(reason: string): InfinitError {
  return new InfinitError('denied', `the router refuses: ${reason}`);
}
