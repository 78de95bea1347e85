// Admin keys of a network: users who read, or read and write, all that is shared in it from then on.

import type { Bytes } from '../base/bytes.ts';
import type { DescriptorContext } from './context.ts';
import type { AdminKeys, NetworkDescriptor, PublicKeyJson } from './descriptor.ts';
import { keyFromJson, sameKey } from './keys.ts';
import { getUser } from './users.ts';

/** Names of users known on this device. */
export interface AdminChange {
  r?: readonly string[] | undefined;
  rw?: readonly string[] | undefined;
  remove?: readonly string[] | undefined;
}

export function isAdminChange({ r, rw, remove }: AdminChange): boolean {
  return [r, rw, remove].some((names) => names !== undefined && names.length > 0);
}

export function adminsOf({ admin_keys: { r, w } = { r: [], w: [] } }: Pick<NetworkDescriptor, 'admin_keys'>): {
  key: Bytes;
  write: boolean;
}[] {
  const of = (keys: readonly PublicKeyJson[], write: boolean) => keys.map((key) => ({ key: keyFromJson(key), write }));
  return [...of(w, true), ...of(r, false)];
}

/** Nobody twice; undefined for nobody at all. Throws `not-found` for a user who is not known here. */
export async function changedAdmins(
  context: DescriptorContext,
  now: AdminKeys | undefined,
  { r = [], rw = [], remove = [] }: AdminChange,
): Promise<AdminKeys | undefined> {
  const keysOf = (names: readonly string[]) =>
    Promise.all(names.map(async (name) => (await getUser(context, name)).public_key));
  const [readers, writers, gone] = [await keysOf(r), await keysOf(rw), await keysOf(remove)];
  const named = [...readers, ...writers, ...gone];
  const others = (keys: readonly PublicKeyJson[] = []) => keys.filter((key) => !named.some((one) => sameKey(one, key)));
  const changed = { r: [...others(now?.r), ...readers], w: [...others(now?.w), ...writers] };
  return changed.r.length + changed.w.length === 0 ? undefined : changed;
}
