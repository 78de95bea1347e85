// Telling the kernel to mount and to let go. Root does it by mount(8), with the descriptor of the FUSE device inherited; ordinary
// users by the set-user-id helper of libfuse (fusermount.ts). Nothing here touches the mount itself: its server is this process.

import { closeSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { asError, InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { runCommand } from './command.ts';
import { devicePath, openDevice } from './device.ts';
import { fusermountProgram, helperMissing, mountByHelper } from './fusermount.ts';
import { type MountEntry, mountAt, mountType } from './mount-table.ts';

export interface MountRequest {
  path: string;
  source: string;
  words: readonly string[];
  readOnly: boolean;
  allowOther: boolean;
}

/** The descriptor of the device, mounted. */
export async function attach(request: MountRequest): Promise<number> {
  const descriptor = usableDevice();
  if (isRoot()) {
    try {
      await mountByRoot(request, descriptor);
      return descriptor;
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }
  // The helper opens the device itself.
  closeSync(descriptor);
  return mountByHelper(request.path, helperWords(request));
}

function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

function usableDevice(): number {
  try {
    return openDevice();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM')
      throw new InfinitError('denied', `${devicePath} may not be opened`, {
        cause,
        hint: `run as root, or let everybody use FUSE: chmod 0666 ${devicePath} (in a container: --device ${devicePath})`,
      });
    const hint = `load it with "modprobe fuse" (in a container: --device ${devicePath} --cap-add SYS_ADMIN)`;
    throw new InfinitError('unsupported', `this system has no FUSE: ${devicePath} cannot be opened`, { cause, hint });
  }
}

/** Why nothing can be mounted here, if so. */
export async function fuseTrouble(): Promise<InfinitError | undefined> {
  try {
    closeSync(usableDevice());
  } catch (error) {
    return asError(error);
  }
  if (isRoot()) return undefined;
  const { missing } = await runCommand(fusermountProgram, ['--version']);
  return missing ? helperMissing() : undefined;
}

async function mountByRoot(request: MountRequest, descriptor: number): Promise<void> {
  const words = ['fd=3', 'rootmode=40000', 'user_id=0', 'group_id=0', 'allow_other', ...commonWords(request)];
  const command = ['-i', '-t', mountType, '-o', words.join(','), request.source, request.path];
  const { code, missing, stderr } = await runCommand('mount', command, { descriptor });
  if (code === 0) return;
  if (missing) throw new InfinitError('unsupported', 'the program mount(8) is missing', { hint: 'install util-linux' });
  const hint = 'in a container, mounting needs --cap-add SYS_ADMIN';
  throw new InfinitError('denied', `cannot mount on ${request.path}: ${stderr}`, { hint });
}

function commonWords({ words, readOnly }: MountRequest): string[] {
  const access = readOnly ? 'ro' : 'rw';
  return ['default_permissions', `max_read=${limits.fuseDataBytesMax}`, access, ...words];
}

function helperWords(request: MountRequest): string[] {
  const source = request.source.replace(/[\\,]/g, '\\$&');
  const subtype = mountType.slice(mountType.indexOf('.') + 1);
  const others = request.allowOther ? ['allow_other'] : [];
  return [...commonWords(request), ...others, `fsname=${source}`, `subtype=${subtype}`];
}

/** Larger reads ahead than the kernel's 128 KiB; only root may set it. */
export async function raiseReadAhead({ device }: MountEntry): Promise<void> {
  const kibibytes = limits.fuseDataBytesMax / 1024;
  await writeFile(`/sys/class/bdi/${device}/read_ahead_kb`, String(kibibytes)).catch(() => {});
}

/** Throws `conflict` while files on it are in use, unless `lazy`. Fine when nothing is mounted there. */
export async function detach(path: string, lazy: boolean): Promise<void> {
  const [program, words] = isRoot()
    ? ['umount', ['-i', ...(lazy ? ['-l'] : []), path]]
    : [fusermountProgram, ['-u', ...(lazy ? ['-z'] : []), '--', path]];
  const { code, missing, stderr } = await runCommand(program as string, words as string[]);
  if (code === 0 || (await mountAt(path)) === undefined) return;
  if (missing) throw helperMissing();
  if (!/busy/i.test(stderr)) throw new InfinitError('unavailable', `cannot unmount ${path}: ${stderr}`);
  const hint = `close what uses it ("fuser -vm ${path}" lists it), or detach it lazily`;
  throw new InfinitError('conflict', `${path} is in use`, { hint, data: { reason: 'busy' } });
}
