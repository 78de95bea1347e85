// The shape of each kind of descriptor, as checks of untrusted JSON. Field by field: docs/formats.md.

import { fromBase64, toBase64 } from '../base/bytes.ts';
import { limits } from '../base/limits.ts';
import {
  base64,
  boolean,
  type Check,
  integer,
  list,
  mapOf,
  matching,
  nullable,
  object,
  oneOf,
  refuse,
  text,
} from './check.ts';
import {
  type AdminKeys,
  type CredentialsDescriptor,
  type DescriptorKind,
  type Descriptors,
  type DriveDescriptor,
  type DriveUser,
  type Founding,
  type KeyValueStoreDescriptor,
  type LinkedNetworkDescriptor,
  type MountOptionsJson,
  type NetworkDescriptor,
  type PassportDescriptor,
  type PublicKeyJson,
  type Revocation,
  type S3Json,
  type SiloConfigJson,
  type SiloDescriptor,
  s3StorageClasses,
  type UserDescriptor,
  type VolumeDescriptor,
} from './descriptor.ts';
import { isAddress, isName, isQualifiedName } from './names.ts';

const minute = 60_000;
const year = 365 * 24 * 60 * minute;
const pathCharsMax = 4096;
/** Format, one-time key, tag, and the 32 bytes sealed. */
const sealedKeyBytes = 1 + 32 + 16 + 32;

const name = matching(limits.nameCharsMax, isName, 'a name');
const qualifiedName = matching(2 * limits.nameCharsMax + 1, isQualifiedName, 'an owner/name');
const description = text(limits.descriptionCharsMax, { multiline: true });
const key = object<PublicKeyJson>({ ed25519: base64(32) }, {});
const version = matching(32, isVersion, 'a version X.Y.Z');
const signature = base64(64);
const serial = integer(0);
const port = integer(0, 65_535);

export function isVersion(value: string): boolean {
  return /^\d{1,5}\.\d{1,5}\.\d{1,5}$/.test(value);
}

function isBucket(value: string): boolean {
  return /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(value);
}

/** Names joined by `/`, none of them empty or made of dots. */
function isFolder(value: string): boolean {
  return value.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

/** Base64 of what `crypto/sealed-box.ts` makes, of any length. */
function isSealedBox(value: string): boolean {
  const bytes = fromBase64(value);
  return bytes.length >= sealedKeyBytes - 32 && bytes[0] === 1 && toBase64(bytes) === value;
}

function isEmail(value: string): boolean {
  return /^[^@]+@[^@]+\.[^@]+$/.test(value);
}

/** `host:port`, IPv6 hosts in brackets. */
function isEndpointText(value: string): boolean {
  const match = /^(?:\[[0-9a-fA-F:.%a-z]+\]|[^\s:[\]/]+):(\d{1,5})$/.exec(value);
  return match !== null && Number(match[1]) >= 1 && Number(match[1]) <= 65_535;
}

/** Says nothing of where it is used: words for the kernel, names, hosts. */
const word = text(256);
const endpointList = list(matching(300, isEndpointText, 'host:port'), limits.descriptorPeersMax);
const absolutePath = matching(pathCharsMax, (path) => path.startsWith('/'), 'an absolute path');

export const emailAddress = matching(320, isEmail, 'an e-mail address');
export const fullname = text(256);

const user = object<UserDescriptor>(
  { name, public_key: key },
  {
    email: emailAddress,
    fullname,
    description,
    ldap_dn: text(limits.ldapDnCharsMax),
    private_key: key,
  },
);

const siloFields = {
  capacity: integer(1),
  path: absolutePath,
  account: name,
  host: matching(256, (host) => /^[A-Za-z0-9_][\w.@:-]*$/.test(host), 'a host'),
  port: integer(1, 65_535),
  ssh_config: absolutePath,
  bucket: matching(63, isBucket, 'the name of a bucket'),
  root: matching(pathCharsMax / 4, isFolder, 'a path in a store'),
  salt: base64(32),
  check: base64(32),
  aws_credentials: object<S3Json>(
    {
      account: name,
      bucket: matching(63, isBucket, 'the name of a bucket'),
      folder: matching(pathCharsMax / 4, isFolder, 'a path in a bucket'),
      region: matching(64, (region) => /^[a-z0-9-]+$/.test(region), 'a region'),
      endpoint: matching(512, (endpoint) => /^(https?:\/\/)?[^\s/@?#]+\/?$/.test(endpoint), 'the address of a server'),
    },
    { virtual_host: boolean },
  ),
  storage_class: oneOf(...s3StorageClasses),
  latency_get: integer(0, limits.siloLatencyMsMax),
  latency_put: integer(0, limits.siloLatencyMsMax),
  corrupt_every: integer(1, limits.siloCorruptEveryMax),
  break_after: integer(1),
};
/** Silos around silos, up to so many levels. */
function backends(levels: number): Check<SiloConfigJson[]> {
  if (levels === 0)
    return (_, field) => {
      throw refuse(field, `is deeper than ${limits.siloLevelsMax} levels`);
    };
  const inner = backends(levels - 1);
  return list(object<SiloConfigJson>({ type: name }, { ...siloFields, backend: inner }), limits.siloBackendsMax);
}
const silo = object<SiloDescriptor>(
  { name, type: name },
  { description, ...siloFields, backend: backends(limits.siloLevelsMax) },
);

const credentials = object<CredentialsDescriptor>(
  { name: qualifiedName, user: key, sealed: matching(16_384, isSealedBox, 'a sealed box') },
  { display: text(256) },
);

const founding = object<Founding>({ register: base64(32), node: base64(32), store: base64(8) }, {});

const adminList = list(key, limits.networkAdminsMax);

const network = object<NetworkDescriptor>(
  {
    name: qualifiedName,
    owner: key,
    version,
    serial,
    consensus: object<NetworkDescriptor['consensus']>(
      {
        type: oneOf('paxos', 'none'),
        'replication-factor': integer(1, limits.membersMax),
        'eviction-delay': integer(0, year),
      },
      {},
    ),
    overlay: object<NetworkDescriptor['overlay']>({ type: oneOf('chord', 'kouncil', 'kalimero') }, {}),
    encrypt_options: object<NetworkDescriptor['encrypt_options']>(
      { encrypt_at_rest: oneOf(true), encrypt_rpc: oneOf(true), validate_signatures: oneOf(true) },
      {},
    ),
    members_key: base64(32),
    members_salt: base64(16),
    founding: nullable(founding),
    signature,
  },
  {
    description,
    peers: endpointList,
    'tcp-heartbeat': integer(1, year),
    revoked: list(object<Revocation>({ user: key, through: integer(0) }, {}), limits.revokedUsersMax),
    admin_keys: object<AdminKeys>({ r: adminList, w: adminList }, {}),
  },
);

const passportFields = {
  user: key,
  network: qualifiedName,
  allow_write: boolean,
  allow_storage: boolean,
  allow_sign: boolean,
  serial,
  members_key: base64(sealedKeyBytes),
  signature,
};
/** A delegate is certified by the owner himself: chains end after one step. */
const delegatePassport = object<Omit<PassportDescriptor, 'certifier' | 'certifier_passport'>>(passportFields, {
  expires: integer(0),
});
const passport = object<PassportDescriptor>(passportFields, {
  expires: integer(0),
  certifier: key,
  certifier_passport: delegatePassport,
});

const linkedNetwork = object<LinkedNetworkDescriptor>(
  { name: qualifiedName, user: name, node_id: base64(32), silos: list(name, limits.linkSilosMax), passport, network },
  { zone: name, port },
);

const mountOptions = object<MountOptionsJson>(
  {},
  {
    readonly: boolean,
    async: boolean,
    fuse_options: list(word, limits.fuseOptionsMax),
    map_other_permissions: boolean,
    mount_name: word,
    mountpoint: absolutePath,
    cache: boolean,
    cache_ram_size: integer(0),
    cache_ram_ttl: integer(0, year),
    cache_ram_invalidation: integer(0, year),
    enable_monitoring: boolean,
    peers: endpointList,
    port,
    listen_address: word,
    advertise_hosts: list(word, limits.descriptorPeersMax),
    no_local_endpoints: boolean,
    no_public_endpoints: boolean,
    port_mapping: boolean,
    mdns: boolean,
    publish: boolean,
    push: boolean,
    fetch: boolean,
    poll_beyond: integer(1000, year),
  },
);

const volume = object<VolumeDescriptor>(
  {
    name: qualifiedName,
    network: qualifiedName,
    owner: key,
    tree_id: base64(16),
    block_size: integer(limits.volumeBlockBytesMin, limits.volumeBlockBytesMax),
    default_permissions: oneOf('', 'r', 'rw'),
    mount_options: mountOptions,
    serial,
    signature,
  },
  { description },
);

const keyValueStore = object<KeyValueStoreDescriptor>(
  { name: qualifiedName, network: qualifiedName, owner: key, tree_id: base64(16), serial, signature },
  { description },
);

export const driveUser = object<DriveUser>(
  { permissions: oneOf('r', 'rw', 'none'), status: oneOf('pending', 'ok'), create_home: boolean },
  {},
);

const drive = object<DriveDescriptor>(
  { name: qualifiedName, network: qualifiedName, volume: qualifiedName, owner: key, serial, signature },
  { description, users: mapOf((user) => isName(user) || isAddress(user), driveUser, limits.driveUsersMax) },
);

export const schemas: { [K in DescriptorKind]: Check<Descriptors[K]> } = {
  user,
  silo,
  credentials,
  network,
  'linked-network': linkedNetwork,
  passport,
  volume,
  'key-value-store': keyValueStore,
  drive,
};
