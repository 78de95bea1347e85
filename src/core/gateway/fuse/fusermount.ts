// Mounting as an ordinary user: fusermount3 mounts with root's rights and sends the descriptor of its device over a socket. Node
// cannot receive descriptors, so recvmsg(2) is called through koffi, an optional dependency loaded only here.

import { closeSync } from 'node:fs';
import { InfinitError } from '../../base/errors.ts';
import { runCommand } from './command.ts';

export const fusermountProgram = 'fusermount3';

/** Of the system's headers, on Linux. */
const addressFamilyUnix = 1;
const socketStream = 1;
const socketCloseOnExec = 0o2000000;
const receiveDontWait = 0x40;
const receiveCloseOnExec = 0x40000000;
const controlRights = 1;
const controlHeaderBytes = 16;

/** Mounts, and returns the descriptor of the mounted device. */
export async function mountByHelper(path: string, words: readonly string[]): Promise<number> {
  const system = await loadSystem();
  const [ours, theirs] = system.socketPair();
  try {
    const command = ['-o', words.join(','), '--', path];
    const options = { descriptor: theirs, environment: { _FUSE_COMMFD: '3' } };
    const { code, missing, stderr } = await runCommand(fusermountProgram, command, options);
    if (missing) throw helperMissing();
    if (code !== 0) throw refused(path, stderr);
    return system.receiveDescriptor(ours);
  } finally {
    closeSync(ours);
    closeSync(theirs);
  }
}

export function helperMissing(): InfinitError {
  return new InfinitError('unsupported', `the program ${fusermountProgram} is missing: ordinary users mount by it`, {
    hint: 'install it, for example with "apt install fuse3", or mount as root',
  });
}

function refused(path: string, stderr: string): InfinitError {
  const hint = stderr.includes('allow_other')
    ? 'allow it by a line "user_allow_other" in /etc/fuse.conf'
    : 'the mountpoint must belong to you';
  return new InfinitError('denied', `cannot mount on ${path}: ${stderr}`, { hint });
}

interface System {
  socketPair(): [number, number];
  receiveDescriptor(socket: number): number;
}

async function loadSystem(): Promise<System> {
  const { default: koffi } = await import('koffi').catch((cause: unknown) => {
    throw new InfinitError('unsupported', 'mounting as an ordinary user needs the package koffi', {
      cause,
      hint: 'install it beside this program with "npm install koffi", or mount as root',
    });
  });
  const library = koffi.load(null);
  const socketpair = library.func('int socketpair(int family, int type, int protocol, void *pair)');
  const recvmsg = library.func('intptr_t recvmsg(int socket, void *message, int flags)');
  return {
    socketPair() {
      const pair = Buffer.alloc(8);
      if (socketpair(addressFamilyUnix, socketStream | socketCloseOnExec, 0, pair) !== 0)
        throw new InfinitError('unavailable', 'no socket pair can be made');
      return [pair.readInt32LE(0), pair.readInt32LE(4)];
    },
    receiveDescriptor(socket) {
      const message = new Message((memory) => koffi.address(memory));
      const received: number | bigint = recvmsg(socket, message.header, receiveDontWait | receiveCloseOnExec);
      const descriptor = Number(received) > 0 ? message.descriptor() : undefined;
      if (descriptor === undefined) throw new InfinitError('unavailable', `${fusermountProgram} sent no descriptor`);
      return descriptor;
    },
  };
}

/** A `struct msghdr` of 64-bit Linux with room for one byte and one descriptor. */
class Message {
  readonly header = Buffer.alloc(56);
  private readonly vector = Buffer.alloc(16);
  private readonly data = Buffer.alloc(1);
  private readonly control = Buffer.alloc(24);

  constructor(address: (memory: Buffer) => bigint) {
    this.vector.writeBigUInt64LE(address(this.data), 0);
    this.vector.writeBigUInt64LE(1n, 8);
    this.header.writeBigUInt64LE(address(this.vector), 16);
    this.header.writeBigUInt64LE(1n, 24);
    this.header.writeBigUInt64LE(address(this.control), 32);
    this.header.writeBigUInt64LE(BigInt(this.control.length), 40);
  }

  descriptor(): number | undefined {
    const isRights = this.control.readInt32LE(12) === controlRights;
    return isRights ? this.control.readInt32LE(controlHeaderBytes) : undefined;
  }
}
