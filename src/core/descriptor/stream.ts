// One descriptor as a text: what files, exports and imports hold. Whatever comes out of `parseDescriptor` has the right shape
// and is consistent in itself (signatures, key pairs); whether it may be *accepted* here is decided by each kind's import.

import { type Bytes, equalBytes, utf8 } from '../base/bytes.ts';
import { asError, InfinitError, isError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { keyPairFromSeed } from '../crypto/keys.ts';
import type {
  DescriptorKind,
  Descriptors,
  LinkedNetworkDescriptor,
  SiloConfigJson,
  UserDescriptor,
} from './descriptor.ts';
import { keyFromJson } from './keys.ts';
import { verifyPassport } from './rights.ts';
import { schemas } from './schema.ts';
import { verifyDrive, verifyKeyValueStore, verifyNetwork, verifyVolume } from './signing.ts';

const labels: { [K in DescriptorKind]: string } = {
  user: 'user',
  silo: 'silo',
  credentials: 'credentials',
  network: 'network',
  'linked-network': 'linked network',
  passport: 'passport',
  volume: 'volume',
  'key-value-store': 'key-value store',
  drive: 'drive',
};

/** The kind in words. */
export function labelOf(kind: DescriptorKind): string {
  return labels[kind];
}

/** JSON with line breaks, in the order of the schema. */
export function formatDescriptor<K extends DescriptorKind>(kind: K, descriptor: Descriptors[K]): Buffer {
  return utf8(`${JSON.stringify(checkDescriptor(kind, descriptor), null, 2)}\n`);
}

/** Throws `corrupt` naming the check that failed, whatever the input. */
export function parseDescriptor<K extends DescriptorKind>(kind: K, source: Bytes | string): Descriptors[K] {
  const bytes = typeof source === 'string' ? utf8(source) : source;
  if (bytes.length > limits.descriptorBytesMax)
    throw new InfinitError('corrupt', `${labels[kind]}: more than ${limits.descriptorBytesMax} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new InfinitError('corrupt', `${labels[kind]}: not a JSON text`, { cause });
  }
  return checkDescriptor(kind, value);
}

/** Shape and inner consistency of a value. Throws `corrupt`. */
export function checkDescriptor<K extends DescriptorKind>(kind: K, value: unknown): Descriptors[K] {
  try {
    const descriptor = schemas[kind](value, '');
    consistency[kind](descriptor);
    return descriptor;
  } catch (thrown) {
    const error = asError(thrown);
    const prefix = `${labels[kind]}: `;
    const message = error.message.startsWith(labels[kind]) ? error.message : prefix + error.message;
    throw new InfinitError('corrupt', message, { cause: error });
  }
}

/** A descriptor made from what a person typed: what is wrong with it is `usage`. */
export function checkInput<K extends DescriptorKind>(kind: K, make: () => Descriptors[K]): Descriptors[K] {
  try {
    return checkDescriptor(kind, make());
  } catch (error) {
    if (!isError(error, 'corrupt')) throw error;
    throw new InfinitError('usage', error.message, { cause: error });
  }
}

/** Fields without which a silo of the type cannot be opened. */
const neededFields: Record<string, (keyof SiloConfigJson)[]> = {
  filesystem: ['path'],
  crypt: ['backend', 'account', 'salt', 'check'],
  s3: ['aws_credentials'],
  sftp: ['host', 'path'],
  gcs: ['account', 'bucket', 'root'],
  dropbox: ['account', 'root'],
  'google-drive': ['account', 'root'],
  mirror: ['backend'],
  strip: ['backend'],
  latency: ['backend'],
  faulty: ['backend'],
};

const consistency: { [K in DescriptorKind]: (descriptor: Descriptors[K]) => void } = {
  user: checkPair,
  silo: checkSilo,
  credentials: () => {},
  network: verifyNetwork,
  'linked-network': checkLink,
  // A passport says nothing without its network: `verifyPassport`.
  passport: () => {},
  volume: verifyVolume,
  'key-value-store': verifyKeyValueStore,
  drive: verifyDrive,
};

function checkSilo(silo: SiloConfigJson): void {
  for (const field of neededFields[silo.type] ?? [])
    if (silo[field] === undefined) throw new InfinitError('corrupt', `field "${field}" is missing`);
  if (silo.backend?.length === 0) throw new InfinitError('corrupt', 'field "backend" names nothing');
  for (const backend of silo.backend ?? []) checkSilo(backend);
}

function checkPair(user: UserDescriptor): void {
  if (user.private_key === undefined) return;
  const pair = keyPairFromSeed(keyFromJson(user.private_key));
  if (!equalBytes(pair.publicKey, keyFromJson(user.public_key)))
    throw new InfinitError('corrupt', 'the private key does not belong to the public key');
}

function checkLink(link: LinkedNetworkDescriptor): void {
  if (link.network.name !== link.name)
    throw new InfinitError('corrupt', `holds the descriptor of network "${link.network.name}"`);
  verifyNetwork(link.network);
  verifyPassport(link.network, link.passport);
}
