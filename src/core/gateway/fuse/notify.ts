// Tells the kernel what another client changed, so that it forgets what it cached. The kernel may take its locks for that, which
// wait for requests of its own: so notifications leave by threads, few at a time, and no change waits for them forever.

import type { Bytes } from '../../base/bytes.ts';
import { asError, InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { EntryPlace, ForeignChange } from '../../volume/files/files.ts';
import type { Serving } from './serving.ts';
import type { Transport } from './transport.ts';
import { notifyCodes, outHeaderBytes, putU64 } from './wire.ts';

const component = 'fuse';
/** So that they cannot fill the thread pool. */
const outstandingMax = 2;
const attributesOnly = -1;

interface Notification {
  message: Buffer;
  done: () => void;
}

export class Notifier {
  private readonly serving: Serving;
  private readonly transport: Transport;
  private readonly waiting: Notification[] = [];
  private outstanding = 0;
  private unsubscribe: () => void = () => {};

  constructor(serving: Serving, transport: Transport) {
    this.serving = serving;
    this.transport = transport;
  }

  start(): void {
    this.unsubscribe = this.serving.files.onForeign((change) => this.tell(change));
    // Attributes alone take no lock, so this one may be waited for by a request; it must not stand behind others that wait.
    this.serving.forgetAttributes = async (inode) => {
      await this.transport.notify(inodeMessage(inode, attributesOnly));
    };
    this.serving.changedHere = (directory, node, ...names) => this.tellOtherNodes(directory, node, names);
  }

  stop(): void {
    this.unsubscribe();
    for (const { done } of this.waiting.splice(0)) done();
  }

  /** Resolves when the kernel knows, or after a while: then it may cache nothing for as long as what it has may be believed. */
  private async tell(change: ForeignChange): Promise<void> {
    const { serving } = this;
    serving.changes++;
    for (const inode of change.inodes) serving.open.setHarmlessUntil(inode, Number.NEGATIVE_INFINITY);
    const messages = this.messagesOf(change);
    if (messages.length === 0) return;
    serving.telling++;
    const giveUp = new AbortController();
    try {
      const told = Promise.all(messages.map((message) => this.send(message)));
      const late = serving.clock.sleep(limits.fuseNotifyTimeoutMs, { signal: giveUp.signal }).then(() => {
        throw new InfinitError('unavailable', 'the kernel takes long to hear of changes');
      });
      await Promise.race([told, late]);
    } catch (error) {
      serving.distrust(limits.grantMs);
      serving.log.write('warn', component, asError(error).message, { waiting: this.waiting.length });
    } finally {
      giveUp.abort();
      serving.telling--;
    }
  }

  /** Nobody waits for it: who asked may hold the locks that the kernel takes for it. */
  private tellOtherNodes(directory: number, node: number, names: readonly Bytes[]): void {
    const { nodes } = this.serving;
    if (!nodes.hasSeveral(directory)) return;
    const others = nodes.nodesOf(directory).filter((other) => other !== node);
    const messages = others.flatMap((other) => [
      ...names.map((name) => entryMessage({ directory: other, name })),
      inodeMessage(other, attributesOnly),
    ]);
    for (const message of messages) void this.send(message).catch(() => this.serving.distrust(limits.grantMs));
  }

  /** Only of what the kernel may know. Names that went are those it has for the inodes they stood for, which changed with them. */
  private messagesOf({ inodes, entries, directories = [] }: ForeignChange): Buffer[] {
    const { nodes } = this.serving;
    const inThese = new Set(directories);
    const known = inodes.flatMap((inode) => nodes.nodesOf(inode));
    const gone = known
      .flatMap((node) => nodes.namesOf(node))
      .filter(({ directory }) => inThese.has(nodes.inodeOf(directory)));
    const named = entries.flatMap(({ directory, name }) =>
      nodes.nodesOf(directory).map((node) => ({ directory: node, name })),
    );
    return [...[...named, ...gone].map(entryMessage), ...known.map((node) => inodeMessage(node))];
  }

  private send(message: Buffer): Promise<void> {
    if (this.waiting.length >= limits.fuseNotificationsMax)
      return Promise.reject(new InfinitError('full', 'too many changes for the kernel to hear of'));
    return new Promise((done) => {
      this.waiting.push({ message, done });
      this.sendNext();
    });
  }

  private sendNext(): void {
    while (this.outstanding < outstandingMax) {
      const next = this.waiting.shift();
      if (next === undefined) return;
      this.outstanding++;
      void this.transport.notify(next.message).then((code) => {
        this.outstanding--;
        // ENOENT: the kernel knew nothing of it.
        if (code !== undefined && code !== 'ENOENT')
          this.serving.log.write('debug', component, 'the kernel refused a notification', { code });
        next.done();
        this.sendNext();
      });
    }
  }
}

/** Attributes, and all pages from the place on. */
function inodeMessage(node: number, from = 0): Buffer {
  const message = start(outHeaderBytes + 24, notifyCodes.INVAL_INODE);
  putU64(message, outHeaderBytes, node);
  putU64(message, outHeaderBytes + 8, from);
  return message;
}

function entryMessage({ directory, name }: EntryPlace): Buffer {
  const message = start(outHeaderBytes + 16 + name.length + 1, notifyCodes.INVAL_ENTRY);
  putU64(message, outHeaderBytes, directory);
  message.writeUInt32LE(name.length, outHeaderBytes + 8);
  message.set(name, outHeaderBytes + 16);
  return message;
}

/** A notification has a code where an answer has an error, and no request it answers. */
function start(bytes: number, code: number): Buffer {
  const message = Buffer.alloc(bytes);
  message.writeUInt32LE(bytes, 0);
  message.writeInt32LE(code, 4);
  return message;
}
