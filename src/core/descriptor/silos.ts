// Silos of this device: create, list, import, delete. They are never pushed anywhere.

import { isAbsolute, join } from 'node:path';
import { type Bytes, toBase64 } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { passphraseCheck, passphraseKey, saltBytes } from '../crypto/passphrase.ts';
import { canonicalJson } from './canonical.ts';
import type { DescriptorContext, Imported, Removed } from './context.ts';
import { addCredentials, needCredentials } from './credentials.ts';
import type { S3StorageClass, SiloConfigJson, SiloDescriptor } from './descriptor.ts';
import { checkName } from './names.ts';
import { removeLinks } from './removal.ts';
import { checkInput, parseDescriptor } from './stream.ts';

export interface CreateFilesystemSiloOptions {
  name: string;
  description?: string | undefined;
  /** Bytes. */
  capacity?: number | undefined;
  /** Absolute; default `blocks/NAME` of the data folder. */
  path?: string | undefined;
}

/** `notEmpty`: the folder holds something already; the command warns. */
export async function createFilesystemSilo(
  context: DescriptorContext,
  options: CreateFilesystemSiloOptions,
): Promise<{ silo: SiloDescriptor; notEmpty: boolean }> {
  const name = checkName('silo', options.name);
  checkCapacity('a filesystem', options.capacity);
  const path = options.path ?? join(context.home.data, 'blocks', name);
  if (!isAbsolute(path)) throw new InfinitError('usage', `silo path is not absolute: ${path}`);
  const there = await context.runtime.files.stat(path);
  if (there !== undefined && there.kind !== 'directory')
    throw new InfinitError('usage', `silo path is not a folder: ${path}`);
  const silo = await createSilo(context, {
    name,
    ...(options.description !== undefined && { description: options.description }),
    type: 'filesystem',
    ...(options.capacity !== undefined && { capacity: options.capacity }),
    path,
  });
  return { silo, notEmpty: (await context.runtime.files.list(path)).length > 0 };
}

/** A silo that is empty at every start. */
export function createMemorySilo(
  context: DescriptorContext,
  options: Omit<CreateFilesystemSiloOptions, 'path'>,
): Promise<SiloDescriptor> {
  return createSilo(context, {
    name: checkName('silo', options.name),
    ...(options.description !== undefined && { description: options.description }),
    type: 'memory',
    ...(options.capacity !== undefined && { capacity: options.capacity }),
  });
}

export interface CreateS3SiloOptions {
  name: string;
  description?: string | undefined;
  /** Bytes. */
  capacity?: number | undefined;
  /** Of `credentials add --aws` or `--s3`. */
  account: string;
  bucket: string;
  folder: string;
  region: string;
  endpoint: string;
  virtualHost?: boolean | undefined;
  storageClass?: S3StorageClass | undefined;
}

/** Throws `not-found` when there are no such credentials; whether they are right shows when the silo is opened. */
export async function createS3Silo(context: DescriptorContext, options: CreateS3SiloOptions): Promise<SiloDescriptor> {
  const { name, description, capacity, account, bucket, folder, region, endpoint, virtualHost, storageClass } = options;
  checkCapacity('an s3', capacity);
  await needCredentials(context, 'aws', account);
  return createSilo(context, {
    name: checkName('silo', name),
    ...(description !== undefined && { description }),
    type: 's3',
    ...(capacity !== undefined && { capacity }),
    aws_credentials: {
      account,
      bucket,
      folder,
      region,
      endpoint,
      ...(virtualHost !== undefined && { virtual_host: virtualHost }),
    },
    ...(storageClass !== undefined && { storage_class: storageClass }),
  });
}

export interface CreateSftpSiloOptions {
  name: string;
  description?: string | undefined;
  /** Bytes. */
  capacity?: number | undefined;
  /** As `ssh` takes it. */
  host: string;
  port?: number | undefined;
  /** Absolute, on the server. */
  path: string;
  /** Absolute: another configuration for `ssh`. */
  sshConfig?: string | undefined;
}

/** Whether the server can be reached shows when the silo is opened. */
export async function createSftpSilo(
  context: DescriptorContext,
  options: CreateSftpSiloOptions,
): Promise<SiloDescriptor> {
  const { name, description, capacity, host, port, path, sshConfig } = options;
  checkCapacity('an sftp', capacity);
  return createSilo(context, {
    name: checkName('silo', name),
    ...(description !== undefined && { description }),
    type: 'sftp',
    ...(capacity !== undefined && { capacity }),
    path,
    host,
    ...(port !== undefined && { port }),
    ...(sshConfig !== undefined && { ssh_config: sshConfig }),
  });
}

export interface CreateDriveSiloOptions {
  name: string;
  type: 'gcs' | 'dropbox' | 'google-drive';
  description?: string | undefined;
  /** Bytes. */
  capacity?: number | undefined;
  account: string;
  /** Of gcs. */
  bucket?: string | undefined;
  /** The folder. */
  root: string;
}

/** Throws `not-found` when there are no such credentials. */
export async function createDriveSilo(
  context: DescriptorContext,
  options: CreateDriveSiloOptions,
): Promise<SiloDescriptor> {
  const { name, type, description, capacity, account, bucket, root } = options;
  checkCapacity(`a ${type}`, capacity);
  await needCredentials(context, type, account);
  return createSilo(context, {
    name: checkName('silo', name),
    ...(description !== undefined && { description }),
    type,
    ...(capacity !== undefined && { capacity }),
    account,
    ...(bucket !== undefined && { bucket }),
    root,
  });
}

/** What is no size at all is refused by the schema, with the field's name. */
function checkCapacity(kind: string, capacity: number | undefined): void {
  if (isSize(capacity) && capacity < limits.siloCapacityMinBytes)
    throw new InfinitError('usage', `${kind} silo needs a capacity of at least 64 MiB`, {
      hint: 'below that, it does not hold the largest block',
    });
}

/** What a filter is made of: names of silos, copied into its descriptor, and the fields of its kind. */
export interface CreateFilterSiloOptions {
  name: string;
  description?: string | undefined;
  type: string;
  /** Names of silos of this device. */
  silos: readonly string[];
  fields?: Omit<SiloConfigJson, 'type' | 'backend'>;
}

/** A silo that wraps others. They keep their own names, and can be open under one name only. */
export async function createFilterSilo(
  context: DescriptorContext,
  options: CreateFilterSiloOptions,
): Promise<SiloDescriptor> {
  const name = checkName('silo', options.name);
  const backend = await configsOf(context, options.silos);
  const description = options.description !== undefined && { description: options.description };
  return createSilo(context, { name, type: options.type, ...description, ...options.fields, backend });
}

async function configsOf(context: DescriptorContext, silos: readonly string[]): Promise<SiloConfigJson[]> {
  const configs: SiloConfigJson[] = [];
  for (const silo of silos) {
    const { name: _name, description: _description, ...config } = await getSilo(context, silo);
    configs.push(config);
  }
  return configs;
}

/** The passphrase is kept, sealed to the acting user, under the name of the silo; the descriptor holds what tells a wrong one. */
export async function createCryptSilo(
  context: DescriptorContext,
  options: Omit<CreateFilterSiloOptions, 'type' | 'fields'> & { passphrase: string; as: string },
): Promise<SiloDescriptor> {
  const { name, as, passphrase, ...more } = options;
  if (await context.repository.has('silo', checkName('silo', name)))
    throw new InfinitError('exists', `silo "${name}" already exists`);
  await configsOf(context, options.silos);
  const salt = context.runtime.random.bytes(saltBytes);
  const check = passphraseCheck(await passphraseKey(passphrase, salt));
  await addCredentials(context, { service: 'crypt', account: name, as, secret: { passphrase } });
  const fields = { account: name, salt: toBase64(salt), check: toBase64(check) };
  return createFilterSilo(context, { ...more, name, type: 'crypt', fields });
}

async function createSilo(context: DescriptorContext, silo: SiloDescriptor): Promise<SiloDescriptor> {
  const checked = checkInput('silo', () => silo);
  await context.repository.put('silo', checked.name, checked);
  return checked;
}

export function getSilo(context: DescriptorContext, name: string): Promise<SiloDescriptor> {
  return context.repository.get('silo', checkName('silo', name));
}

export async function listSilos(context: DescriptorContext): Promise<SiloDescriptor[]> {
  return (await context.repository.list('silo')).map(({ descriptor }) => descriptor);
}

export async function importSilo(
  context: DescriptorContext,
  source: Bytes | string,
): Promise<Imported<SiloDescriptor>> {
  const descriptor = parseDescriptor('silo', source);
  const { name } = descriptor;
  if (await context.repository.has('silo', name)) {
    const known = await context.repository.get('silo', name);
    if (canonicalJson(known).equals(canonicalJson(descriptor))) return { name, result: 'unchanged', descriptor };
  }
  await context.repository.put('silo', name, descriptor);
  return { name, result: 'saved', descriptor };
}

export interface DeleteSiloOptions {
  /** Erases the content (the kind's `clear`); refused while a linked network uses the silo, unless `purge`. */
  clearContent?: ((silo: SiloDescriptor) => Promise<void>) | undefined;
  /** Unlinks every network that uses it. */
  purge?: boolean | undefined;
}

/** `stillUsedBy`: links left that name the silo, as `owner/network`. */
export async function deleteSilo(
  context: DescriptorContext,
  name: string,
  options: DeleteSiloOptions = {},
): Promise<{ removed: Removed[]; stillUsedBy: string[] }> {
  const silo = await getSilo(context, name);
  const removed = options.purge ? await removeLinks(context, (link) => link.silos.includes(name)) : [];
  const links = await context.repository.list('linked-network');
  const stillUsedBy = links.filter((link) => link.descriptor.silos.includes(name)).map((link) => link.descriptor.name);
  if (options.clearContent) {
    if (stillUsedBy.length > 0)
      throw new InfinitError('conflict', `silo "${name}" is used by network "${stillUsedBy[0]}"`, {
        hint: 'unlink the network first, or add --purge',
      });
    await options.clearContent(silo);
  }
  await context.repository.delete('silo', name);
  removed.push({ kind: 'silo', name });
  return { removed, stillUsedBy };
}

function isSize(capacity: number | undefined): capacity is number {
  return Number.isSafeInteger(capacity) && Number(capacity) > 0;
}
