// Links: what makes this device a node of a network for one local user. The first device that links with a silo founds the
// network: its owner signs the descriptor again with the founding in it.

import { InfinitError } from '../base/errors.ts';
import type { DescriptorContext } from './context.ts';
import type {
  Founding,
  LinkedNetworkDescriptor,
  NetworkDescriptor,
  PassportDescriptor,
  UserDescriptor,
} from './descriptor.ts';
import { sameKey } from './keys.ts';
import { qualify } from './names.ts';
import { createNodeKey, readNodeKey } from './node-keys.ts';
import { ownerPassport } from './passports.ts';
import { removeLink } from './removal.ts';
import { verifyPassport } from './rights.ts';
import { signNetwork } from './signing.ts';
import { getSilo } from './silos.ts';
import { checkInput } from './stream.ts';
import { getUser, userKeyPair } from './users.ts';

/**
 * Formats the silos of the link and writes the genesis of the network register. `seal` gives the signed descriptor that
 * will be saved for a founding, so that the genesis can hold it. Nothing is saved when it throws. The node's key is there:
 * `nodeKeyPair(context, link)`.
 */
export type Found = (
  link: LinkedNetworkDescriptor,
  seal: (founding: Founding) => NetworkDescriptor,
) => Promise<Founding>;

export interface LinkNetworkOptions {
  as: string;
  /** Bare or qualified. */
  name: string;
  silos?: readonly string[] | undefined;
  /** Base64: take up the identity an earlier link left. */
  nodeId?: string | undefined;
  zone?: string | undefined;
  port?: number | undefined;
  /** Needed with silos. */
  found?: Found | undefined;
}

export interface Linked {
  link: LinkedNetworkDescriptor;
  network: NetworkDescriptor;
  /** The network was founded by this: its descriptor changed and must be exported again. */
  founded: boolean;
}

/** Needs ownership or a passport; silos need a passport with storage. Linking twice throws `exists`. */
export async function linkNetwork(context: DescriptorContext, options: LinkNetworkOptions): Promise<Linked> {
  const name = qualify('network', options.name, options.as);
  const user = await getUser(context, options.as);
  const pair = userKeyPair(user);
  const network = await context.repository.get('network', name);
  const isOwner = sameKey(user.public_key, network.owner);
  const passport = isOwner
    ? ownerPassport(context, pair, network)
    : await context.repository.get('passport', `${name}/${user.name}`);
  const rights = verifyPassport(network, passport, { now: context.runtime.clock.now() });
  const silos = options.silos ?? [];
  if (silos.length > 0 && !rights.storage)
    throw new InfinitError('denied', `the passport "${name}: ${user.name}" does not allow storage`);
  const { nodeId, zone, port, found } = options;
  return bindDevice(context, { user, network, passport, silos, nodeId, zone, port, found });
}

interface Binding {
  user: UserDescriptor;
  network: NetworkDescriptor;
  passport: PassportDescriptor;
  silos: readonly string[];
  nodeId?: string | undefined;
  zone?: string | undefined;
  port?: number | undefined;
  found?: Found | undefined;
}

/** Saves the link and the network, after founding it when that is needed. */
export async function bindDevice(context: DescriptorContext, binding: Binding): Promise<Linked> {
  const { user, silos } = binding;
  const { name } = binding.network;
  const linkName = `${user.name}/${name}`;
  if (await context.repository.has('linked-network', linkName))
    throw new InfinitError('exists', `user "${user.name}" has already linked network "${name}" on this device`);
  await checkSilos(context, silos);
  const needsFounding = silos.length > 0 && binding.network.founding === null;
  if (needsFounding && !sameKey(user.public_key, binding.network.owner))
    throw new InfinitError('denied', `network "${name}" is not founded yet: its owner must link a silo first`);
  const key = binding.nodeId === undefined ? await createNodeKey(context, user.name, name) : undefined;
  let isMember = false;
  try {
    const nodeId = key?.nodeId ?? binding.nodeId ?? '';
    if (key === undefined) await readNodeKey(context, user.name, name, nodeId);
    const unfounded = checkInput('linked-network', () => ({
      name,
      user: user.name,
      node_id: nodeId,
      silos: [...silos],
      ...(binding.zone !== undefined && { zone: binding.zone }),
      ...(binding.port !== undefined && { port: binding.port }),
      passport: binding.passport,
      network: binding.network,
    }));
    const network = needsFounding ? await foundNetwork(user, unfounded, binding.found) : binding.network;
    isMember = needsFounding;
    const link = { ...unfounded, network };
    await context.repository.put('network', name, network, { replace: true });
    await context.repository.put('linked-network', linkName, link);
    return { link, network, founded: needsFounding };
  } catch (error) {
    // A node that founded is the register's first member: its key must outlive whatever failed after.
    if (!isMember) await key?.remove();
    throw error;
  }
}

async function checkSilos(context: DescriptorContext, silos: readonly string[]): Promise<void> {
  for (const [index, silo] of silos.entries()) {
    if (silos.indexOf(silo) !== index) throw new InfinitError('usage', `silo "${silo}" is given twice`);
    await getSilo(context, silo);
  }
}

async function foundNetwork(
  user: UserDescriptor,
  link: LinkedNetworkDescriptor,
  found: Found | undefined,
): Promise<NetworkDescriptor> {
  if (found === undefined) throw new InfinitError('internal', 'a link with silos needs what founds the network');
  const pair = userKeyPair(user);
  const { signature: _, ...unsigned } = link.network;
  const seal = (founding: Founding) => signNetwork(pair, { ...unsigned, founding, serial: unsigned.serial + 1 });
  return seal(await found(link, seal));
}

/** The link of this user; throws `not-found` with the command that links. `name` bare or qualified. */
export async function getLink(context: DescriptorContext, as: string, name: string): Promise<LinkedNetworkDescriptor> {
  const network = qualify('network', name, as);
  if (!(await context.repository.has('linked-network', `${as}/${network}`))) {
    await context.repository.get('network', network);
    throw new InfinitError(
      'not-found',
      `${as} has not yet linked to the network "${network}" on this device. Link using: infinit network link --as ${as} --name ${network}`,
    );
  }
  return context.repository.get('linked-network', `${as}/${network}`);
}

/** The node's key stays; its id links again. */
export async function unlinkNetwork(
  context: DescriptorContext,
  as: string,
  name: string,
): Promise<{ name: string; node_id: string }> {
  const link = await getLink(context, as, name);
  await removeLink(context, link.user, link.name);
  return { name: link.name, node_id: link.node_id };
}

/** Names of the silos this device contributes for the user. */
export async function listNetworkSilos(context: DescriptorContext, as: string, name: string): Promise<string[]> {
  return (await getLink(context, as, name)).silos;
}
