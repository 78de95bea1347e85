// From a link of this home to a node: keys, passport, silos and locks a process needs, taken in one place and given back in one.

import { InfinitError, isError } from '../base/errors.ts';
import { type KeyPair, keyPairFromSeed } from '../crypto/keys.ts';
import type { DescriptorContext } from '../descriptor/context.ts';
import { siloHome } from '../descriptor/credentials.ts';
import type { Home, LinkedNetworkDescriptor } from '../descriptor/descriptor.ts';
import { getLink } from '../descriptor/links.ts';
import { checkSpoken, importNetwork } from '../descriptor/networks.ts';
import { nodeKeyPair } from '../descriptor/node-keys.ts';
import { holderOf, nodeLockPath } from '../descriptor/removal.ts';
import { getSilo } from '../descriptor/silos.ts';
import { getUser, userKeyPair } from '../descriptor/users.ts';
import type { Endpoint, FileLock, Runtime } from '../runtime/runtime.ts';
import { meteredSilo } from '../silo/metered.ts';
import { openSilo } from '../silo/registry.ts';
import type { Silo } from '../silo/silo.ts';
import { stripedSilo } from '../silo/striped.ts';
import type { Announcement } from './announcement.ts';
import { Node } from './node.ts';
import { StandIn } from './stand-in.ts';
import { NodeState } from './state.ts';

export type Context = DescriptorContext & { readonly runtime: Runtime };

export interface OpenOptions {
  context: Context;
  /** The acting user. */
  as: string;
  /** The network, bare or qualified. */
  network: string;
  /**
   * `storage`: be this device's storage node, or fail. `client`: never. `either`: the storage node when the link has silos and
   * no other process is it.
   */
  role: 'storage' | 'client' | 'either';
  listen?: Endpoint | undefined;
  announce?: Announcement | undefined;
  /** Before anybody else can be there. */
  alone?: boolean | undefined;
  rebalancing?: { expand: boolean; inspectAtStart: boolean } | undefined;
  /** Most bytes background work moves a second; undefined: no limit. */
  backgroundRate?: number | undefined;
  /** How long one reading of everything kept takes. */
  scrubPeriodMs?: number | undefined;
  link?: LinkedNetworkDescriptor | undefined;
}

export interface NamedSilo {
  name: string;
  type: string;
  silo: Silo;
}

export interface LinkedNode {
  node: Node;
  user: KeyPair;
  link: LinkedNetworkDescriptor;
  isStorage: boolean;
  /** What this device contributes, one by one. */
  silos: readonly NamedSilo[];
  /** Of a client that would be the storage node if another process were not: takes that place when it is free. */
  standIn?: StandIn | undefined;
  /** Stops the node and gives everything back. */
  close(): Promise<void>;
}

/** What the link of a user keeps on this device. */
export function linkFolder(home: Home, user: string, network: string): string {
  return `${home.state}/${network}/.links/${user}`;
}

/** Makes the node; `node.start` makes it run. Throws `exists` when another process is this device's storage node. */
export async function openLinkedNode(options: OpenOptions): Promise<LinkedNode> {
  const { context, as } = options;
  const { runtime } = context;
  const link = options.link ?? (await getLink(context, as, options.network));
  checkSpoken(link.network);
  const user = userKeyPair(await getUser(context, as));
  const folder = `${context.home.state}/${link.name}`;
  const open = new Stack();
  try {
    await runtime.files.makeDirectory(folder);
    const silos = await takeStorage(options, link, open);
    const later = silos === undefined && options.role === 'either' && link.silos.length > 0;
    let standIn: StandIn | undefined;
    open.push(async () => standIn?.close());
    const silo = silos && asOne(silos, runtime);
    const state = await NodeState.open(runtime, linkFolder(context.home, link.user, link.name));
    open.push(() => state.close());
    const node = await Node.open({
      runtime,
      network: link.network,
      user,
      node: silo === undefined ? keyPairFromSeed(runtime.random.bytes(32)) : await nodeKeyPair(context, link),
      passport: link.passport,
      state,
      silo,
      zone: link.zone,
      listen: options.listen,
      announce: options.announce,
      alone: options.alone,
      rebalancing: options.rebalancing,
      backgroundRate: options.backgroundRate,
      scrubPeriodMs: options.scrubPeriodMs,
      learned: async (descriptor) => void (await importNetwork(context, descriptor)),
    });
    open.push(() => node.stop());
    if (later) standIn = new StandIn({ client: node, open: () => openLinkedNode(inPlace(options, link)) });
    return { node, user, link, isStorage: silo !== undefined, silos: silos ?? [], standIn, close: () => open.close() };
  } catch (error) {
    await open.close();
    throw error;
  }
}

/** The storage node beside its client: the link as it is then, the port that was given for it. */
function inPlace({ listen, ...options }: OpenOptions, { port }: LinkedNetworkDescriptor): OpenOptions {
  return { ...options, role: 'storage', listen: listen && { host: listen.host, port: port ?? 0 } };
}

/** Locks and opens what makes this process the storage node; undefined when it is to be a client. */
async function takeStorage(
  options: OpenOptions,
  link: LinkedNetworkDescriptor,
  open: Stack,
): Promise<NamedSilo[] | undefined> {
  const { context, role } = options;
  if (role === 'client') return undefined;
  if (link.silos.length === 0) {
    if (role === 'either') return undefined;
    throw new InfinitError('usage', `this device contributes no silo to network "${link.name}"`, {
      hint: `infinit network unlink ${link.name}, then infinit network link ${link.name} --silo NAME`,
    });
  }
  let lock: FileLock;
  try {
    lock = await context.runtime.files.lock(nodeLockPath(context.home, link.name));
  } catch (error) {
    if (!isError(error, 'exists')) throw error;
    if (role === 'either') return undefined;
    const message = `network "${link.name}" is already running on this device${holderOf(error)}`;
    throw new InfinitError('exists', message, { cause: error });
  }
  open.push(() => lock.release());
  return openSilos(options, link.silos, open);
}

async function openSilos({ context, as }: OpenOptions, names: readonly string[], open: Stack): Promise<NamedSilo[]> {
  const home = siloHome(context, as);
  const silos: NamedSilo[] = [];
  for (const name of names) {
    const descriptor = await getSilo(context, name);
    const silo = await openSilo(descriptor, context.runtime, home);
    open.push(() => silo.close());
    silos.push({ name, type: descriptor.type, silo });
  }
  return silos;
}

function asOne(named: readonly NamedSilo[], { clock, metrics }: Runtime): Silo {
  const silos = named.map(({ silo }) => silo);
  const one = silos.length === 1 ? (silos[0] as Silo) : stripedSilo(silos);
  return metrics === undefined ? one : meteredSilo(one, clock, metrics);
}

/** What was opened, closed in the opposite order, each once, all even when one fails. */
class Stack {
  private readonly closers: (() => Promise<void>)[] = [];

  push(close: () => Promise<void>): void {
    this.closers.push(close);
  }

  async close(): Promise<void> {
    let failure: unknown;
    for (let close = this.closers.pop(); close !== undefined; close = this.closers.pop()) {
      try {
        await close();
      } catch (error) {
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
  }
}
