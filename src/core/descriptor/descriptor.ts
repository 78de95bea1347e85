// Descriptors: signed JSON that names users, silos, networks, passports, volumes and key-value stores. Home directory, hub and export
// stream are repositories of the same things: push = copy(home to hub), export = copy(home to stream).
// Field names are those of the original (docs/formats.md); keys and signatures are base64.

export interface PublicKeyJson {
  ed25519: string;
}

export interface UserDescriptor {
  name: string;
  email?: string;
  fullname?: string;
  description?: string;
  /** Of a person in the directory (LDAP) of the hub: the entry whose password he has proved to know there. */
  ldap_dn?: string;
  public_key: PublicKeyJson;
  /** Seed. Local, or in a `--full` export. */
  private_key?: PublicKeyJson;
}

/** A folder of a bucket, and the account that may use it; the secret is among the credentials. */
export interface S3Json {
  account: string;
  bucket: string;
  folder: string;
  region: string;
  /** `amazonaws.com`, `host:port`, or an address with `http://` or `https://`. */
  endpoint: string;
  /** Whether the bucket has a host name of its own; absent: at Amazon. */
  virtual_host?: boolean;
}

export const s3StorageClasses = ['STANDARD', 'STANDARD_IA', 'REDUCED_REDUNDANCY'] as const;
export type S3StorageClass = (typeof s3StorageClasses)[number];

/** Where a silo keeps its bytes and what stands around it; which fields a kind has: docs/formats-descriptors.md. */
export interface SiloConfigJson {
  type: string;
  /** Bytes. */
  capacity?: number;
  /** filesystem */
  path?: string;
  /** Filters: what they wrap. */
  backend?: SiloConfigJson[];
  /** sftp: as `ssh` takes it; `path` is on the server. */
  host?: string;
  port?: number;
  /** sftp: another configuration file for `ssh`. */
  ssh_config?: string;
  /** gcs, dropbox, google-drive: the account to sign in with; crypt: that of its passphrase. */
  account?: string;
  /** gcs */
  bucket?: string;
  /** gcs, dropbox, google-drive: the folder. */
  root?: string;
  salt?: string;
  /** crypt: tells a wrong passphrase. */
  check?: string;
  /** s3 */
  aws_credentials?: S3Json;
  storage_class?: S3StorageClass;
  /** latency, in milliseconds. */
  latency_get?: number;
  latency_put?: number;
  /** faulty: one read of so many is damaged; the device breaks after so many changes. */
  corrupt_every?: number;
  break_after?: number;
}

export interface SiloDescriptor extends SiloConfigJson {
  name: string;
  description?: string;
}

/** Of an account of some service, sealed to the user who added it. */
export interface CredentialsDescriptor {
  /** `service/account`. */
  name: string;
  user: PublicKeyJson;
  display?: string;
  sealed: string;
}

/** The network register and its first member. */
export interface Founding {
  register: string;
  node: string;
  store: string;
}

export interface NetworkDescriptor {
  /** `owner/name`. */
  name: string;
  description?: string;
  owner: PublicKeyJson;
  /** Protocol version, `X.Y.Z`. */
  version: string;
  /** Grows with every signed change. */
  serial: number;
  /** The delay in milliseconds. */
  consensus: { type: 'paxos' | 'none'; 'replication-factor': number; 'eviction-delay': number };
  overlay: { type: 'chord' | 'kouncil' | 'kalimero' };
  /** Endpoints `host:port` to try first. */
  peers?: string[];
  /** Milliseconds. */
  'tcp-heartbeat'?: number;
  encrypt_options: { encrypt_at_rest: true; encrypt_rpc: true; validate_signatures: true };
  /** X25519 public key to which world-readable trees seal their secret. */
  members_key: string;
  /** 16 random bytes from which, with his seed, the owner derives the private half on any device. */
  members_salt: string;
  /** Null until a device with a silo founds the network. */
  founding: Founding | null;
  /** Users whose passports so far count no more, and with them those they signed as delegates. */
  revoked?: Revocation[];
  /** Who reads (`r`), or reads and writes (`w`), everything shared in the network from then on: nodes take no list without them. */
  admin_keys?: AdminKeys;
  signature: string;
}

export interface AdminKeys {
  r: PublicKeyJson[];
  w: PublicKeyJson[];
}

/** All passports of that user up to that serial, also those that the owner never saw. */
export interface Revocation {
  user: PublicKeyJson;
  through: number;
}

export interface PassportDescriptor {
  user: PublicKeyJson;
  /** `owner/name`. */
  network: string;
  allow_write: boolean;
  allow_storage: boolean;
  allow_sign: boolean;
  serial: number;
  /** Milliseconds since 1970; absent: does not expire. */
  expires?: number;
  /** Private half of the members key, sealed to the user. */
  members_key: string;
  signature: string;
  /** Key of the delegate who signed, when not the owner. */
  certifier?: PublicKeyJson;
  /** The delegate's own passport, signed by the owner; not part of what is signed. */
  certifier_passport?: PassportDescriptor;
}

/** What binds this device to a network: secret, 0600, never exported. */
export interface LinkedNetworkDescriptor {
  /** `owner/name`. */
  name: string;
  /** The local user that linked. */
  user: string;
  /** Base64 of the node id. */
  node_id: string;
  /** Names of the silos contributed. */
  silos: string[];
  /** Zone label of this node, when given. */
  zone?: string;
  /** Port asked for at run, when given at create or link. */
  port?: number;
  passport: PassportDescriptor;
  /** The latest descriptor known to this device. */
  network: NetworkDescriptor;
}

export interface KeyValueStoreDescriptor {
  /** `owner/name`. */
  name: string;
  description?: string;
  /** `owner/name` of the network. */
  network: string;
  owner: PublicKeyJson;
  /** Random 16 bytes; the address of the root stands in the network register. */
  tree_id: string;
  serial: number;
  signature: string;
}

/** What every passport holder of the network may do in a volume: nothing unless invited, read, or read and write. */
export type DefaultPermissions = '' | 'r' | 'rw';

/** How a volume is mounted unless the command line says otherwise. Sizes in bytes, durations in milliseconds. */
export interface MountOptionsJson {
  readonly?: boolean;
  /** Writes go into a journal of the mount's own first. */
  async?: boolean;
  fuse_options?: string[];
  map_other_permissions?: boolean;
  mount_name?: string;
  /** Of this device: not signed, not exported, not imported. */
  mountpoint?: string;
  cache?: boolean;
  cache_ram_size?: number;
  cache_ram_ttl?: number;
  cache_ram_invalidation?: number;
  enable_monitoring?: boolean;
  peers?: string[];
  port?: number;
  listen_address?: string;
  advertise_hosts?: string[];
  no_local_endpoints?: boolean;
  no_public_endpoints?: boolean;
  /** Neither is taken of another's volume: has the router forward a port; finds others on the local network, and is found there. */
  port_mapping?: boolean;
  mdns?: boolean;
  /** On the hub: `push` says where the node is, `fetch` looks for others, `publish` both. */
  publish?: boolean;
  push?: boolean;
  fetch?: boolean;
  /** How often. */
  poll_beyond?: number;
}

export interface VolumeDescriptor {
  /** `owner/name`. */
  name: string;
  description?: string;
  /** `owner/name` of the network. */
  network: string;
  owner: PublicKeyJson;
  /** Random 16 bytes; the address of the root stands in the network register. */
  tree_id: string;
  /** Bytes; what files tell programs to read and write at once. */
  block_size: number;
  default_permissions: DefaultPermissions;
  mount_options: MountOptionsJson;
  serial: number;
  signature: string;
}

/** What the owner of a drive offers a user, and whether he has joined. */
export interface DriveUser {
  permissions: 'r' | 'rw' | 'none';
  status: 'pending' | 'ok';
  create_home: boolean;
}

/** A volume with its network and the people invited to it, by one name. */
export interface DriveDescriptor {
  /** `owner/name`. */
  name: string;
  description?: string;
  /** `owner/name` of the network and of the volume. */
  network: string;
  volume: string;
  owner: PublicKeyJson;
  serial: number;
  /** By name, or by e-mail address until somebody has it, as the hub last told or the owner here wants it; not signed: rights are in passports. */
  users?: Record<string, DriveUser>;
  signature: string;
}

/** By kind; the kind names the folder in the home and the object on the command line. */
export interface Descriptors {
  user: UserDescriptor;
  silo: SiloDescriptor;
  credentials: CredentialsDescriptor;
  network: NetworkDescriptor;
  'linked-network': LinkedNetworkDescriptor;
  passport: PassportDescriptor;
  volume: VolumeDescriptor;
  'key-value-store': KeyValueStoreDescriptor;
  drive: DriveDescriptor;
}
export type DescriptorKind = keyof Descriptors;

/** Kinds that name a tree in a network. */
export const treeKinds = ['volume', 'key-value-store'] as const;
export type TreeKind = (typeof treeKinds)[number];

/**
 * Names are unique within a kind: user `alice`, silo `local`, network, volume and key-value store `alice/name`, passport
 * `alice/cluster/bob`, credentials `aws/work`, linked network `alice/bob/cluster` (the linking user first). Errors: `not-found`, `exists`,
 * `corrupt` (with the check that failed), `denied`.
 */
export interface DescriptorRepository {
  get<K extends DescriptorKind>(kind: K, name: string): Promise<Descriptors[K]>;
  has(kind: DescriptorKind, name: string): Promise<boolean>;
  list<K extends DescriptorKind>(kind: K): Promise<{ name: string; descriptor: Descriptors[K] }[]>;
  /** Throws `exists` when it is there, unless `replace`. */
  put<K extends DescriptorKind>(
    kind: K,
    name: string,
    descriptor: Descriptors[K],
    options?: { replace?: boolean },
  ): Promise<void>;
  delete(kind: DescriptorKind, name: string): Promise<void>;
}

/** The folders of one person's state on this device; `cli/home.ts` derives it from the environment. */
export interface Home {
  /** Descriptors and default silo folders. */
  data: string;
  cache: string;
  /** Node keys, locks, remembered contacts and versions. */
  state: string;
  config: string;
  /** Sockets and pid files. */
  runtime: string;
}
