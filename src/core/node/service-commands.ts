// What the command line asks of the services of a network: list, register, and take their descriptors from there into this home.

import { asError, InfinitError, isError } from '../base/errors.ts';
import type { Acting, Fetched, FetchServicesOptions, Running } from '../cli/running.ts';
import type { TreeKind } from '../descriptor/descriptor.ts';
import { importKeyValueStore } from '../descriptor/key-value-stores.ts';
import { qualify } from '../descriptor/names.ts';
import { listNetworks } from '../descriptor/networks.ts';
import { labelOf } from '../descriptor/stream.ts';
import { getTreeDescriptor } from '../descriptor/tree-descriptors.ts';
import { getUser, userKeyPair } from '../descriptor/users.ts';
import { importVolume } from '../descriptor/volumes.ts';
import { type LinkedNode, openLinkedNode } from './link.ts';
import { checkOwns, registerService as register, registeredServices, type Service } from './services.ts';
import { seedsOf } from './serving.ts';
import { openKeyValueStore } from './trees.ts';
import { openVolume } from './volumes.ts';

type Asked = Acting & { peers?: readonly string[] };

/** As a client of the network. */
async function within<T>(
  { context, as, peers, signal }: Asked,
  network: string,
  task: (linked: LinkedNode) => Promise<T>,
): Promise<T> {
  const linked = await openLinkedNode({ context, as, network, role: 'client' });
  try {
    await linked.node.start(seedsOf({ ...(peers && { peers }) }, linked), { signal });
    return await task(linked);
  } finally {
    await linked.close();
  }
}

export const listServices: Running['listServices'] = async ({ name, ...acting }) => {
  const { signal, warn } = acting;
  const services = await within(acting, name, (linked) => registeredServices(linked, warn, { signal }));
  const namesOf = (wanted: TreeKind) => {
    const names = services.filter(({ kind }) => kind === wanted).map(({ descriptor }) => descriptor.name);
    return names.length === 0 ? null : names.sort();
  };
  return { volumes: namesOf('volume'), kvs: namesOf('key-value-store') };
};

export const registerService: Running['registerService'] = async ({ kind, name, ...acting }) => {
  const { context, as, signal } = acting;
  const descriptor = await getTreeDescriptor(context, kind, as, name);
  const service = { kind, descriptor } as Service;
  checkOwns(service, userKeyPair(await getUser(context, as)));
  const stored = 'mount_options' in descriptor ? (descriptor.mount_options.peers ?? []) : [];
  const peers = [...(acting.peers ?? []), ...stored];
  await within({ ...acting, peers }, descriptor.network, async (linked) => {
    await makeRoot(linked, service, acting);
    await register(linked, service, { signal });
  });
};

/** A tree that its owner has not opened yet has no root. */
async function makeRoot(linked: LinkedNode, service: Service, { signal }: Acting): Promise<void> {
  if (service.kind === 'volume') {
    const { close } = await openVolume(linked, service.descriptor, { door: false, signal });
    return close();
  }
  const { tree } = await openKeyValueStore(linked, service.descriptor, { door: false, signal });
  await tree.stop();
}

export const fetchServices: Running['fetchServices'] = async ({ kind, name, network, ...acting }) => {
  const { context, as, signal, warn } = acting;
  const wanted = name === undefined ? undefined : qualify(labelOf(kind), name, as);
  const networks = network === undefined ? await linkedNetworks(acting) : [qualify('network', network, as)];
  const fetched: Fetched[] = [];
  for (const one of networks) {
    let services: Service[];
    try {
      services = await within(acting, one, (linked) => registeredServices(linked, warn, { signal }));
    } catch (error) {
      // One of several that cannot be reached does not hide the others.
      if (networks.length === 1 || !isError(error, 'unavailable', 'not-found')) throw error;
      fetched.push({ kind: 'network', name: one, result: 'failed', error: asError(error) });
      continue;
    }
    const ofKind = services.filter((service) => service.kind === kind);
    for (const service of ofKind.filter(({ descriptor }) => wanted === undefined || descriptor.name === wanted))
      fetched.push(await taken(context, service));
  }
  if (wanted !== undefined && !fetched.some((one) => one.kind === kind)) {
    const where = networks.length === 1 ? `network "${networks[0]}"` : 'the networks of this device';
    throw new InfinitError('not-found', `${labelOf(kind)} "${wanted}" is not registered in ${where}`, {
      hint: `its owner registers it by --register-service; infinit network list-services tells what is`,
    });
  }
  return fetched;
};

async function linkedNetworks({ context, as }: Acting): Promise<string[]> {
  const all = await listNetworks(context, as);
  return all.filter(({ linked }) => linked).map(({ name }) => name);
}

async function taken(context: FetchServicesOptions['context'], { kind, descriptor }: Service): Promise<Fetched> {
  const { name } = descriptor;
  const take = kind === 'volume' ? importVolume : importKeyValueStore;
  try {
    const { result } = await take(context, JSON.stringify(descriptor));
    return { kind, name, result };
  } catch (error) {
    if (!isError(error)) throw error;
    return { kind, name, result: 'failed', error };
  }
}
