// Key-value stores: create, list, import, delete descriptors.

import type { Bytes } from '../base/bytes.ts';
import type { DescriptorContext, Imported } from './context.ts';
import type { KeyValueStoreDescriptor } from './descriptor.ts';
import { signKeyValueStore } from './signing.ts';
import {
  createTreeDescriptor,
  deleteTreeDescriptor,
  getTreeDescriptor,
  importTreeDescriptor,
  listTreeDescriptors,
  type NewTree,
} from './tree-descriptors.ts';

export type CreateKeyValueStoreOptions = NewTree;

export function createKeyValueStore(
  context: DescriptorContext,
  options: CreateKeyValueStoreOptions,
): Promise<KeyValueStoreDescriptor> {
  return createTreeDescriptor(context, 'key-value-store', options, signKeyValueStore);
}

/** `name` bare or qualified. */
export function getKeyValueStore(
  context: DescriptorContext,
  as: string,
  name: string,
): Promise<KeyValueStoreDescriptor> {
  return getTreeDescriptor(context, 'key-value-store', as, name);
}

/** All, or those on one network (qualified). */
export function listKeyValueStores(
  context: DescriptorContext,
  network?: string,
): Promise<{ name: string; network: string; description?: string }[]> {
  return listTreeDescriptors(context, 'key-value-store', network);
}

/** Verified; an older one than known, or one of another owner or tree, is refused. */
export function importKeyValueStore(
  context: DescriptorContext,
  source: Bytes | string,
): Promise<Imported<KeyValueStoreDescriptor>> {
  return importTreeDescriptor(context, 'key-value-store', source);
}

export function deleteKeyValueStore(context: DescriptorContext, as: string, name: string): Promise<{ name: string }> {
  return deleteTreeDescriptor(context, 'key-value-store', as, name);
}
