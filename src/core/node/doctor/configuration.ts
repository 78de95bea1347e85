// Whether what this home knows fits together: the user, silos, networks, passports, volumes, drives and stores. A fault is followed to
// what rests on it: a silo that cannot be used makes the network faulty, and that its volumes.

import { asError, isError } from '../../base/errors.ts';
import { needCredentials } from '../../descriptor/credentials.ts';
import type { LinkedNetworkDescriptor, NetworkDescriptor, SiloDescriptor } from '../../descriptor/descriptor.ts';
import { usersOf } from '../../descriptor/drives.ts';
import { strayFiles } from '../../descriptor/home-repository.ts';
import { sameKey } from '../../descriptor/keys.ts';
import { passportExpiry, restsOnRevoked, verifyPassport } from '../../descriptor/rights.ts';
import { type Service, services } from '../../descriptor/services.ts';
import { verifyKeyValueStore, verifyNetwork, verifyVolume } from '../../descriptor/signing.ts';
import {
  type Finding,
  faulty,
  ownLinks,
  type Section,
  type Surroundings,
  sound,
  suspicious,
  usable,
} from './doctor.ts';

const soonMs = 7 * 24 * 60 * 60 * 1000;

export async function configuration(surroundings: Surroundings): Promise<Section[]> {
  const silos = await siloFindings(surroundings);
  const networks = await networkFindings(surroundings, silos);
  const volumes = await treeFindings(surroundings, 'volume', networks);
  return [
    { key: 'user', title: 'User', findings: [await userFinding(surroundings)] },
    { key: 'silos', title: 'Silos', findings: silos },
    { key: 'networks', title: 'Networks', findings: networks },
    { key: 'volumes', title: 'Volumes', findings: volumes },
    { key: 'drives', title: 'Drives', findings: await driveFindings(surroundings, volumes) },
    {
      key: 'key_value_stores',
      title: 'Key-value stores',
      findings: await treeFindings(surroundings, 'key-value-store', networks),
    },
    { key: 'leftovers', title: 'Leftovers', findings: await leftovers(surroundings) },
  ];
}

async function userFinding({ context, as }: Surroundings): Promise<Finding> {
  try {
    const { private_key } = await context.repository.get('user', as);
    if (private_key !== undefined) return sound(as);
    return faulty(as, `user "${as}" has no private key on this device`, {
      hint: `export it with --full where it has one, and import it here: infinit user import`,
    });
  } catch (error) {
    if (!isError(error)) throw error;
    return faulty(as, error.message, { hint: `infinit user create ${as}, or name another user with --as` });
  }
}

async function siloFindings({ context }: Surroundings): Promise<Finding[]> {
  const silos = (await context.repository.list('silo')).map(({ descriptor }) => descriptor);
  return Promise.all(silos.map((silo) => siloFinding(context, silo)));
}

/** A filter is as sane as what it wraps. */
async function siloFinding(context: Surroundings['context'], silo: SiloDescriptor): Promise<Finding> {
  const { name, type } = silo;
  const missing = await missingCredentials(context, silo);
  if (missing !== undefined) return missing;
  for (const backend of silo.backend ?? []) {
    const finding = await siloFinding(context, { ...backend, name });
    if (!finding.sane || finding.warning) return { ...finding, type };
  }
  return folderFinding(context.runtime, silo);
}

async function missingCredentials(
  context: Surroundings['context'],
  { name, type, account, aws_credentials: place }: SiloDescriptor,
): Promise<Finding | undefined> {
  try {
    if (place !== undefined) await needCredentials(context, 'aws', place.account);
    else if (account !== undefined && Object.hasOwn(services, type))
      await needCredentials(context, type as Service, account);
    return undefined;
  } catch (error) {
    const { message, hint } = asError(error);
    return faulty(name, message, { type, ...(hint !== undefined && { hint }) });
  }
}

async function folderFinding(
  { files }: Surroundings['context']['runtime'],
  { name, type, path, capacity }: SiloDescriptor,
): Promise<Finding> {
  if (path === undefined || type !== 'filesystem') return sound(name, { type });
  try {
    const there = await files.stat(path);
    if (there === undefined) return sound(name, { type }); // made at the first use
    if (there.kind !== 'directory') return faulty(name, `${path} is not a folder`, { type });
    await usable(path);
    const { freeBytes, totalBytes } = await files.space(path);
    if (capacity !== undefined && capacity > totalBytes)
      return suspicious(name, `its capacity is larger than the disk of ${path}`, { type });
    if (freeBytes === 0) return suspicious(name, `the disk of ${path} is full`, { type });
    return sound(name, { type });
  } catch (error) {
    return faulty(name, asError(error).message, { type });
  }
}

async function networkFindings(surroundings: Surroundings, silos: Finding[]): Promise<Finding[]> {
  const { context, ignoreNonLinked } = surroundings;
  const links = new Map((await ownLinks(surroundings)).map((link) => [link.name, link]));
  const findings: Finding[] = [];
  for (const { name, descriptor } of await context.repository.list('network')) {
    const link = links.get(name);
    if (link === undefined && ignoreNonLinked) continue;
    findings.push(networkFinding(descriptor, link, silos, context.runtime.clock.now()));
  }
  return findings;
}

function networkFinding(
  network: NetworkDescriptor,
  link: LinkedNetworkDescriptor | undefined,
  silos: Finding[],
  now: number,
): Finding {
  const { name } = network;
  const linked = link !== undefined;
  try {
    verifyNetwork(network);
    if (link === undefined)
      return suspicious(name, 'this device is not linked to it', { linked, hint: `infinit network link ${name}` });
    const own = link.silos.map((silo) => silos.find((one) => one.name === silo) ?? faulty(silo, 'does not exist'));
    const broken = own.find(({ sane }) => !sane);
    if (broken !== undefined)
      return faulty(name, `silo "${broken.name}" is faulty: ${broken.reason ?? 'unknown'}`, { linked, silos: own });
    verifyPassport(network, link.passport, { now });
    if (restsOnRevoked(network, link.passport))
      return faulty(name, 'your passport was revoked', { linked, hint: 'ask the owner for a new one' });
    if (network.founding === null)
      return suspicious(name, 'it is not founded yet', {
        linked,
        hint: 'its owner links a device with a silo, and exports it again',
      });
    const expires = sameKey(link.passport.user, network.owner) ? undefined : passportExpiry(link.passport);
    if (expires !== undefined && expires < now + soonMs)
      return suspicious(name, `your passport ends on ${new Date(expires).toISOString()}`, { linked });
    return sound(name, { linked });
  } catch (error) {
    if (!isError(error)) throw error;
    return faulty(name, error.message, { linked });
  }
}

async function treeFindings(
  { context, ignoreNonLinked }: Surroundings,
  kind: 'volume' | 'key-value-store',
  networks: Finding[],
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { name, descriptor } of await context.repository.list(kind)) {
    const network = networks.find((one) => one.name === descriptor.network);
    const isKnown = await context.repository.has('network', descriptor.network);
    if (network === undefined && isKnown && ignoreNonLinked) continue;
    if (!isKnown)
      findings.push(
        faulty(name, `network "${descriptor.network}" is not known here`, { hint: 'infinit network import' }),
      );
    else if (network !== undefined && !network.sane)
      findings.push(faulty(name, `network "${network.name}" is faulty: ${network.reason ?? 'unknown'}`, { network }));
    else
      findings.push(
        signatureFinding(name, () => (kind === 'volume' ? verifyVolume : verifyKeyValueStore)(descriptor as never)),
      );
  }
  return findings;
}

/** A drive that was offered and not joined yet needs nothing of what joining brings. */
async function driveFindings({ context, as }: Surroundings, volumes: Finding[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { name, descriptor } of await context.repository.list('drive')) {
    const isOwn = name.startsWith(`${as}/`);
    const status = usersOf(descriptor).get(as)?.status;
    if (!isOwn && status === undefined) continue; // somebody else's on this device
    const volume = volumes.find((one) => one.name === descriptor.volume);
    const isKnown = await context.repository.has('volume', descriptor.volume);
    if (!isOwn && status === 'pending')
      findings.push(suspicious(name, 'you have not joined it yet', { hint: `infinit drive join ${name}` }));
    else if (!isKnown)
      findings.push(
        faulty(name, `volume "${descriptor.volume}" is not known here`, {
          hint: `infinit volume fetch ${descriptor.volume}`,
        }),
      );
    else if (volume !== undefined && !volume.sane)
      findings.push(faulty(name, `volume "${volume.name}" is faulty: ${volume.reason ?? 'unknown'}`, { volume }));
    else if (volume !== undefined) findings.push(sound(name));
  }
  return findings;
}

function signatureFinding(name: string, verify: () => void): Finding {
  try {
    verify();
    return sound(name);
  } catch (error) {
    if (!isError(error)) throw error;
    return faulty(name, error.message);
  }
}

async function leftovers({ context }: Surroundings): Promise<Finding[]> {
  const stray = await strayFiles(context.runtime, context.home);
  return stray.map(({ path, reason }) => suspicious(path, reason));
}
