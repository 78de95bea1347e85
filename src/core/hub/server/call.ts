// One request as handlers see it: where it went, who is proved to have sent it, its body checked, and what the caller may do.

import type { Check } from '../../descriptor/check.ts';
import type { NetworkDescriptor, PublicKeyJson } from '../../descriptor/descriptor.ts';
import { sameKey } from '../../descriptor/keys.ts';
import { isAddress, isName } from '../../descriptor/names.ts';
import { type PassportRights, restsOnRevoked, verifyPassport } from '../../descriptor/rights.ts';
import type { Random } from '../../runtime/runtime.ts';
import type { HubRequest, HubStore } from '../hub.ts';
import type { DirectoryPasswords } from './directory.ts';
import { checkedBody } from './json.ts';
import type { Post } from './post.ts';
import { badRequest, forbidden, notFound, unauthorized } from './refusal.ts';

/** Who signed the request. */
export interface Caller {
  name: string;
  key: PublicKeyJson;
}

/** What the administrator asked for. */
export interface HubSettings {
  /** Passports a network may have; undefined: `limits.hubPassportsPerNetworkMax`. */
  passportsPerNetworkMax?: number | undefined;
  /** Undefined: nobody logs in by a directory. */
  directory?: DirectoryPasswords | undefined;
  /** Users who may keep names for people, by the key they had when the hub began. */
  administrators?: ReadonlyMap<string, PublicKeyJson> | undefined;
  /** People reach it by TLS: cookies travel no other way. */
  isSecure?: boolean | undefined;
  /** Where people reach the hub, for links. */
  url?: string | undefined;
}

export interface Answer {
  status: number;
  /** JSON, unless `raw`. */
  body?: unknown;
  headers?: Record<string, string>;
  raw?: { type: string; content: Buffer };
}

export interface CallParts {
  request: HubRequest;
  params: Readonly<Record<string, string>>;
  caller: Caller | undefined;
  store: HubStore;
  random: Random;
  nowMs: number;
  settings: HubSettings;
  post: Post | undefined;
}

export class Call {
  readonly request: HubRequest;
  readonly store: HubStore;
  readonly random: Random;
  readonly nowMs: number;
  readonly settings: HubSettings;
  /** Undefined: the hub sends no e-mail. */
  readonly post: Post | undefined;
  /** Undefined on open routes, unless the request is well signed all the same. */
  readonly maybeCaller: Caller | undefined;
  private readonly params: Readonly<Record<string, string>>;

  constructor({ request, params, caller, store, random, nowMs, settings, post }: CallParts) {
    this.request = request;
    this.params = params;
    this.maybeCaller = caller;
    this.store = store;
    this.random = random;
    this.nowMs = nowMs;
    this.settings = settings;
    this.post = post;
  }

  get caller(): Caller {
    if (this.maybeCaller === undefined) throw unauthorized('the request is not signed');
    return this.maybeCaller;
  }

  /** A part of the path, decoded. */
  text(param: string): string {
    return this.params[param] ?? '';
  }

  /** A part of the path that must be a name. */
  name(param: string): string {
    const name = this.text(param);
    if (!isName(name)) throw badRequest(`${param} ${JSON.stringify(name.slice(0, 200))} is not a name`);
    return name;
  }

  /** A part of the path that must be a name or an e-mail address, which comes back in lower case. */
  nameOrAddress(param: string): string {
    const address = this.text(param).toLowerCase();
    return isAddress(address) ? address : this.name(param);
  }

  /** `:owner/:name` of the path. */
  get qualified(): string {
    return `${this.name('owner')}/${this.name('name')}`;
  }

  /** `?flag`, `?flag=true`; not `?flag=false`. */
  flag(name: string): boolean {
    const value = new URLSearchParams(this.request.query).get(name);
    return value !== null && value !== 'false' && value !== '0';
  }

  /** The body as the check promises it. */
  body<T>(check: (value: unknown) => T): T {
    return checkedBody(this.request, check);
  }

  /** With a check of fields. */
  fields<T>(check: Check<T>): T {
    return this.body((value) => check(value, ''));
  }

  /** The caller is the user of the path. */
  self(): string {
    const name = this.name('user');
    if (this.caller.name !== name) throw forbidden('user', name, `only user "${name}" may do this`);
    return name;
  }

  /** The caller was named by whoever runs the hub. */
  administrator(): void {
    const { name, key } = this.caller;
    const known = this.settings.administrators?.get(name);
    if (known === undefined || !sameKey(known, key))
      throw forbidden('user', name, `user "${name}" is no administrator of this hub`);
  }

  async network(name: string): Promise<NetworkDescriptor> {
    const network = await this.store.get('network', name);
    if (network === undefined) throw notFound('network', name);
    return network;
  }

  isOwner(descriptor: { owner: PublicKeyJson }): boolean {
    return sameKey(descriptor.owner, this.caller.key);
  }

  /** What the caller may do in a network. */
  rightsIn(network: NetworkDescriptor): Promise<PassportRights | undefined> {
    return rightsOf(this.store, network, this.caller, this.nowMs);
  }

  /** The caller owns the network or holds a passport for it. */
  async member(networkName: string): Promise<{ network: NetworkDescriptor; rights: PassportRights }> {
    const network = await this.network(networkName);
    const rights = await this.rightsIn(network);
    if (rights === undefined)
      throw forbidden('network', network.name, `"${this.caller.name}" has no passport for network "${network.name}"`);
    return { network, rights };
  }
}

/** What a user may do in a network: its owner everything, others what their passport on this hub says. */
export async function rightsOf(
  store: HubStore,
  network: NetworkDescriptor,
  user: Caller,
  nowMs: number,
): Promise<PassportRights | undefined> {
  if (sameKey(network.owner, user.key)) return { write: true, storage: true, sign: true };
  const passport = await store.get('passport', `${network.name}/${user.name}`);
  if (passport === undefined || !sameKey(passport.user, user.key)) return undefined;
  try {
    if (restsOnRevoked(network, passport)) return undefined;
    return verifyPassport(network, passport, { now: nowMs });
  } catch {
    return undefined; // it has expired, or the network has another owner by now
  }
}
