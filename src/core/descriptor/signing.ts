// Signatures of descriptors: over the canonical JSON of everything but the signature itself (and a passport's accompanying
// certifier passport, which is signed on its own; and a volume's mountpoint, which is a device's own business).

import { fromBase64, toBase64 } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { labelledHash } from '../crypto/hash.ts';
import { type KeyPair, sign, verify } from '../crypto/keys.ts';
import { canonicalJson } from './canonical.ts';
import type {
  DriveDescriptor,
  KeyValueStoreDescriptor,
  NetworkDescriptor,
  PassportDescriptor,
  PublicKeyJson,
  VolumeDescriptor,
} from './descriptor.ts';
import { keyFromJson, userHash } from './keys.ts';

type Unsigned<D> = Omit<D, 'signature'>;

/** The bytes a signature stands for; also what names a passport. */
function body(descriptor: object): Buffer {
  const { signature: _, certifier_passport: __, ...rest } = descriptor as Record<string, unknown>;
  return canonicalJson(rest);
}

function signed<D extends { signature: string }>(key: KeyPair, kind: string, descriptor: Unsigned<D>): D {
  return { ...descriptor, signature: toBase64(sign(key, kind, body(descriptor))) } as D;
}

function signedBy(key: PublicKeyJson, kind: string, descriptor: { signature: string }): boolean {
  return verify(keyFromJson(key), fromBase64(descriptor.signature), kind, body(descriptor));
}

export function signNetwork(owner: KeyPair, network: Unsigned<NetworkDescriptor>): NetworkDescriptor {
  return signed(owner, 'network-descriptor', network);
}

/** Throws `corrupt` when the signature is not its owner's. */
export function verifyNetwork(network: NetworkDescriptor): void {
  if (!signedBy(network.owner, 'network-descriptor', network))
    throw badSignature(`network "${network.name}"`, network.owner);
}

export function signKeyValueStore(owner: KeyPair, store: Unsigned<KeyValueStoreDescriptor>): KeyValueStoreDescriptor {
  return signed(owner, 'key-value-store-descriptor', store);
}

/** Throws `corrupt` when the signature is not its owner's. */
export function verifyKeyValueStore(store: KeyValueStoreDescriptor): void {
  if (!signedBy(store.owner, 'key-value-store-descriptor', store))
    throw badSignature(`key-value store "${store.name}"`, store.owner);
}

export function signVolume(owner: KeyPair, volume: Unsigned<VolumeDescriptor>): VolumeDescriptor {
  const { signature } = signed<VolumeDescriptor>(owner, 'volume-descriptor', withoutMountpoint(volume));
  return { ...volume, signature };
}

/** Throws `corrupt` when the signature is not its owner's. */
export function verifyVolume(volume: VolumeDescriptor): void {
  if (!signedBy(volume.owner, 'volume-descriptor', withoutMountpoint(volume)))
    throw badSignature(`volume "${volume.name}"`, volume.owner);
}

export function signDrive(owner: KeyPair, drive: Unsigned<DriveDescriptor>): DriveDescriptor {
  const { users, ...shared } = drive;
  return { ...signed<DriveDescriptor>(owner, 'drive-descriptor', shared), ...(users && { users }) };
}

/** Throws `corrupt` when the signature is not its owner's. */
export function verifyDrive({ users: _, ...drive }: DriveDescriptor): void {
  if (!signedBy(drive.owner, 'drive-descriptor', drive)) throw badSignature(`drive "${drive.name}"`, drive.owner);
}

/** What is signed, and what leaves the device. */
export function withoutMountpoint<D extends Pick<VolumeDescriptor, 'mount_options'>>(volume: D): D {
  const { mountpoint: _, ...shared } = volume.mount_options;
  return { ...volume, mount_options: shared };
}

export function signPassport(certifier: KeyPair, passport: Unsigned<PassportDescriptor>): PassportDescriptor {
  return signed(certifier, 'passport', passport);
}

export function passportSignedBy(certifier: PublicKeyJson, passport: PassportDescriptor): boolean {
  return signedBy(certifier, 'passport', passport);
}

/** Names a passport: values name their author's by it. Not over the signature, so that there is one name. */
export function passportHash(passport: PassportDescriptor): Buffer {
  return labelledHash('passport-hash', body(passport));
}

function badSignature(what: string, owner: PublicKeyJson): InfinitError {
  return new InfinitError(
    'corrupt',
    `${what}: the signature is not its owner's (${userHash(owner)}): forged or damaged`,
  );
}
