// The hub: a directory where people leave descriptors for each other and nodes say where they are. Never on the data path, and
// trusted with little: what it keeps is signed by its owners and verified by whoever fetches it; private keys come sealed. This
// file is what its parts share: what is kept, and what travels. Routes and signatures: docs/hub.md.

import type { DescriptorKind, Descriptors, DriveUser } from '../descriptor/descriptor.ts';

/** Kinds of descriptors a hub keeps. Names are those of `DescriptorRepository`. */
export const hubKinds = [
  'user',
  'network',
  'passport',
  'volume',
  'key-value-store',
  'drive',
] as const satisfies DescriptorKind[];
export type HubKind = (typeof hubKinds)[number];

/** The hub's own user: lets in whom owners of networks invite by e-mail, where they gave it a passport for that. */
export const delegateName = 'hub';

/** A private key for whoever knows the password: sealed on the device, under a key the hub never sees. */
export interface Identity {
  /** 16 random bytes, base64. */
  salt: string;
  /** Cost of scrypt; r = 8, p = 1. */
  scrypt_n: number;
  /** Public half of the pair the password gives: signs logins. */
  login_key: { ed25519: string };
  /** Nonce, seed of the user's key sealed, tag; base64. Absent: only the password is known to the hub. */
  sealed?: string;
}

/** A private key on its way to another device of its user, sealed under a passphrase as in an identity. */
export interface Pairing {
  /** Undefined: forgotten after its end. */
  sealed: SealedIdentity | undefined;
  until_ms: number;
}

export type SealedIdentity = Identity & Required<Pick<Identity, 'sealed'>>;

/** Where a node can be reached, as its user said. */
export interface NodeEndpoints {
  addresses: string[];
  port: number;
}

/** Of one node, or of all of a network. Bytes. */
export interface Usage {
  capacity: number;
  usage: number;
}

/** What is known of one node: how full, and where when it told. */
export interface NodeUsage extends Usage {
  user: string;
  /** Base64. */
  node: string;
  endpoints?: NodeEndpoints;
  atMs: number;
}

/** What a browser holds instead of a key: the code of a link, or a session. Kept by its hash. */
export interface Ticket {
  user: string;
  kind: 'code' | 'session';
  until_ms: number;
}

/** By user, then by node id (base64). */
export type NetworkEndpoints = Record<string, Record<string, NodeEndpoints>>;

/** Whether an e-mail address is its user's: a code was sent there. */
export interface Confirmation {
  email: string;
  /** Of the code: who reads the database confirms nothing. */
  code_hash: string;
  sent_ms: number;
  confirmed: boolean;
}

/** A person of the directory (LDAP) and the name that is his on this hub, whether he has taken it or not. */
export interface DirectoryUser {
  /** As the directory writes it. */
  dn: string;
  name: string;
  email?: string;
  fullname?: string;
}

/** What became of keeping a name: `enrolled`, he has taken one before, this; `taken`: the name is somebody else's. */
export interface DirectoryUserKept {
  dn: string;
  name: string;
  result: Outcome | 'enrolled' | 'taken';
  /** The name that was kept for him before. */
  known?: string;
}

/** Of a user or a drive. */
export interface Picture {
  type: string;
  /** Base64. */
  content: string;
}

/** Which descriptors: all fields given must be so. */
export interface Selection {
  /** Name of the owner: the first part of the name. */
  owner?: string;
  /** `owner/name`. */
  network?: string;
  /** Of passports: name of the user they are for. */
  user?: string;
}

export interface Kept<K extends HubKind> {
  name: string;
  descriptor: Descriptors[K];
}

/**
 * What a hub keeps. Everything acknowledged is durable; several processes may share one store. Lists are sorted by name and cut
 * at `limits.hubListMax`.
 */
export interface HubStore {
  get<K extends HubKind>(kind: K, name: string): Promise<Descriptors[K] | undefined>;
  put<K extends HubKind>(kind: K, name: string, descriptor: Descriptors[K]): Promise<void>;
  /** Whether it was there. */
  delete(kind: HubKind, name: string): Promise<boolean>;
  deleteAll(kind: HubKind, selection: Selection): Promise<void>;
  list<K extends HubKind>(kind: K, selection: Selection): Promise<Kept<K>[]>;
  count(kind: HubKind, selection: Selection): Promise<number>;
  /** How many there are of each kind; kinds without any may be left out. */
  census(): Promise<Map<string, number>>;
  /** Users whose key has that short hash (`#a1b2c3`). */
  usersByHash(hash: string): Promise<Descriptors['user'][]>;

  identity(user: string): Promise<Identity | undefined>;
  setIdentity(user: string, identity: Identity | undefined): Promise<void>;
  pairing(user: string): Promise<Pairing | undefined>;
  setPairing(user: string, pairing: Pairing | undefined): Promise<void>;
  /** Of a user, or of a drive (`owner/name`). */
  picture(of: string): Promise<Picture | undefined>;
  setPicture(of: string, picture: Picture | undefined): Promise<void>;

  /** Those said since that time. */
  endpoints(network: string, sinceMs: number): Promise<NetworkEndpoints>;
  /** How many nodes of that user have said so. */
  countEndpoints(network: string, user: string): Promise<number>;
  setEndpoints(network: string, user: string, node: string, said: NodeEndpoints, nowMs: number): Promise<void>;
  deleteEndpoints(network: string, user: string, node: string): Promise<boolean>;
  usage(network: string, sinceMs: number): Promise<Usage>;
  /** Nodes that told how full they are since that time, sorted by user and id. */
  nodes(network: string, sinceMs: number): Promise<NodeUsage[]>;
  countUsage(network: string, user: string): Promise<number>;
  setUsage(network: string, user: string, node: string, usage: Usage, nowMs: number): Promise<void>;
  /** All endpoints and usage of a network, or (in any) of a user. */
  forgetNodes(of: { network: string } | { user: string }): Promise<void>;

  /** Who is invited to a drive, by name or by e-mail address. */
  invitations(drive: string): Promise<Map<string, DriveUser>>;
  setInvitation(drive: string, user: string, invitation: DriveUser | undefined): Promise<void>;
  /** Names of drives a user or an address is invited to, sorted. */
  invitedTo(user: string): Promise<string[]>;

  confirmation(user: string): Promise<Confirmation | undefined>;
  setConfirmation(user: string, confirmation: Confirmation | undefined): Promise<void>;
  /** Names of those who have confirmed that address (in lower case), sorted. */
  confirmedUsers(address: string): Promise<string[]>;

  /** Seed of the hub's own key: the fresh one the first time, that one ever after. */
  delegateSeed(fresh: Uint8Array): Promise<Buffer>;

  /** By the name of the entry, however it is written, or by the user's. */
  directoryUser(by: { dn: string } | { name: string }): Promise<DirectoryUser | undefined>;
  /** One person has one name, a name one person: what either was before is forgotten. Inside a transaction. */
  setDirectoryUser(user: DirectoryUser): Promise<void>;
  putTicket(hash: string, ticket: Ticket): Promise<void>;
  ticket(hash: string): Promise<Ticket | undefined>;
  /** Whether it was there. */
  deleteTicket(hash: string): Promise<boolean>;
  /** All of a user and kind but so many that end last. */
  deleteTickets(user: string, kind: Ticket['kind'], but: number): Promise<void>;

  /** Notes the nonce of a request until then; false when it was noted before. */
  useNonce(nonce: string, untilMs: number): Promise<boolean>;
  /** Forgets what ended before that time. */
  sweep(nowMs: number): Promise<void>;

  /** All or nothing; of those with the same lock one after another. The task may run again from its start. */
  transaction<T>(lock: string, task: (store: HubStore) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface HubRequest {
  method: string;
  /** As the client named the hub: `host` or `host:port`. */
  host: string;
  /** As sent, before any decoding; begins with `/`. */
  path: string;
  /** As sent, without the `?`; may be empty. */
  query: string;
  /** Names in lower case. */
  headers: Readonly<Record<string, string | undefined>>;
  body: Buffer;
  /** Address of the client. */
  remote: string;
}

export interface HubResponse {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

/** One request from a client to a hub; throws `unavailable` when it is not reached. */
export interface HubConnection {
  /** `host:port` as it stands in requests. */
  readonly host: string;
  /** What is sent can be read on the way: no TLS, to another machine. */
  readonly isExposed: boolean;
  exchange(request: Pick<HubRequest, 'method' | 'path' | 'query' | 'headers' | 'body'>): Promise<HubResponse>;
}

/** What a PUT of a descriptor did. */
export type Outcome = 'created' | 'updated' | 'unchanged';
