// One mount's conversation with the kernel: negotiates, hands each request to its handler, answers each exactly once, lets the
// kernel's callers give up, and bounds what is under way. Nothing the kernel sends and no failure of a handler ends it.

import { asError, InfinitError } from '../../base/errors.ts';
import { deferred } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Cancel } from '../../runtime/runtime.ts';
import { lockEnd } from '../../tree/tree.ts';
import { errno, errnoOf } from '../../volume/errno.ts';
import { negotiate } from './negotiation.ts';
import { type Operation, operations } from './operations.ts';
import { ProtocolError } from './protocol-error.ts';
import { emptyReply, type Reply } from './replies.ts';
import { RequestMeter } from './request-meter.ts';
import { Body, decodeInit, decodeInterrupt } from './requests.ts';
import type { Call, Serving } from './serving.ts';
import type { Transport } from './transport.ts';
import {
  errnoOfProtocol,
  type Header,
  inHeaderBytes,
  opcodes,
  outHeaderBytes,
  putReplyHeader,
  readHeader,
} from './wire.ts';

const component = 'fuse';
/** The kernel takes 1,024 pieces in one write, the header among them. */
const piecesMax = 1023;

/** A request under way. The signal is made when somebody asks for it: most are answered before. */
class Pending implements Call {
  readonly node: number;
  readonly inode: number;
  readonly uid: number;
  readonly gid: number;
  readonly changesBefore: number;
  readonly uniqueLow: number;
  readonly uniqueHigh: number;
  readonly bytes: number;
  readonly startedAt: number;
  private controller: AbortController | undefined;
  private reason: InfinitError | undefined;

  constructor(header: Header, inode: number, changesBefore: number, startedAt: number) {
    this.node = header.node;
    this.inode = inode;
    this.uid = header.uid;
    this.gid = header.gid;
    this.uniqueLow = header.uniqueLow;
    this.uniqueHigh = header.uniqueHigh;
    this.bytes = header.length;
    this.changesBefore = changesBefore;
    this.startedAt = startedAt;
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      if (this.reason) this.controller.abort(this.reason);
    }
    return this.controller.signal;
  }

  abort(reason: InfinitError): void {
    this.reason ??= reason;
    this.controller?.abort(this.reason);
  }

  /** What to answer to a caller that gave up, or waited too long: the reason stands for any cancellation it caused. */
  errnoOf(cause: unknown): number {
    if (cause instanceof ProtocolError) return cause.number;
    const error = asError(cause);
    return errnoOf(this.reason !== undefined && error.kind === 'cancelled' ? this.reason : error);
  }
}

export class Session {
  private readonly serving: Serving;
  private readonly transport: Transport;
  private readonly timeoutMs: number | undefined;
  private readonly meter: RequestMeter | undefined;
  private readonly pending = new Map<number, Pending>();
  private readonly head = Buffer.alloc(outHeaderBytes);
  private readonly negotiated = deferred();
  private readonly over = deferred<Error | undefined>();
  private isNegotiated = false;
  private isOver = false;
  private isPaused = false;
  private bytesPending = 0;
  private cancelTimer: Cancel = () => {};

  /** Requests that take longer than the timeout fail with an I/O error. */
  constructor(serving: Serving, transport: Transport, timeoutMs?: number) {
    this.serving = serving;
    this.transport = transport;
    this.timeoutMs = timeoutMs;
    this.meter = serving.metrics && new RequestMeter(serving.metrics);
    this.negotiated.promise.catch(() => {});
  }

  /** Serves; resolves when the kernel agreed on the protocol. */
  start(): Promise<void> {
    this.transport.start(
      (frame) => this.receive(frame),
      (error) => this.finish(error),
    );
    this.watchTime();
    return this.negotiated.promise;
  }

  /** Resolves when the kernel let go, with the error if that was not in order. */
  get ended(): Promise<Error | undefined> {
    return this.over.promise;
  }

  private receive(frame: Buffer): boolean {
    if (frame.length < inHeaderBytes) {
      this.warn('a request is too short', { bytes: frame.length });
      return false;
    }
    const header = readHeader(frame);
    try {
      return this.handle(header, frame);
    } catch (cause) {
      const error = asError(cause);
      const level = error.kind === 'internal' ? 'error' : 'warn';
      this.log(level, 'a request could not be handled', { opcode: header.opcode, error: error.message });
      this.refuse(header, errnoOf(error));
      return false;
    }
  }

  private handle(header: Header, frame: Buffer): boolean {
    const end = frame.length - header.extensionBytes;
    if (header.length !== frame.length || end < inHeaderBytes) {
      this.refuse(header, errnoOfProtocol.EPROTO);
      return false;
    }
    const body = new Body(frame.subarray(inHeaderBytes, end), frame.buffer.byteLength);
    if (header.opcode === opcodes.INIT) this.init(header, body);
    else if (!this.isNegotiated) this.refuse(header, errno.EIO);
    else if (header.opcode === opcodes.INTERRUPT) this.interrupt(header, body);
    else if (header.opcode === opcodes.DESTROY) this.refuse(header, 0);
    else {
      const operation = operations.get(header.opcode);
      if (operation === undefined) this.refuse(header, errno.ENOSYS);
      else if (operation.changes && this.serving.readOnly) this.refuse(header, errno.EROFS);
      else this.run(operation, header, body);
    }
    return body.kept;
  }

  private run(operation: Operation, header: Header, body: Body): void {
    const isTimed = this.timeoutMs !== undefined && operation.waits !== true;
    const began = isTimed || this.meter !== undefined ? this.serving.clock.monotonic() : 0;
    const startedAt = isTimed ? began : Number.POSITIVE_INFINITY;
    const { nodes, changes } = this.serving;
    const call = new Pending(header, nodes.inodeOf(header.node), changes, startedAt);
    let outcome: Promise<Reply> | Reply | undefined;
    try {
      outcome = operation.start(this.serving, call, body);
    } catch (error) {
      if (isSilent(header.opcode)) this.warn('a request is malformed', { opcode: header.opcode });
      else this.fail(call, header.opcode, error);
      return;
    }
    if (outcome === undefined) return;
    if (!(outcome instanceof Promise)) {
      this.answer(call, 0, outcome);
      this.measure(header, began, outcome);
      return;
    }
    this.begin(call);
    outcome.then(
      (reply) => {
        this.settle(call);
        this.answer(call, 0, reply);
        this.measure(header, began, reply);
      },
      (error: unknown) => {
        this.settle(call);
        this.fail(call, header.opcode, error);
        this.measure(header, began, emptyReply);
      },
    );
  }

  private measure(header: Header, began: number, reply: Reply): void {
    this.meter?.ended(header, this.serving.clock.monotonic() - began, reply);
  }

  private begin(call: Pending): void {
    this.pending.set(numberOf(call.uniqueLow, call.uniqueHigh), call);
    this.bytesPending += call.bytes;
    if (this.isPaused || !this.isFull(1)) return;
    this.isPaused = true;
    this.transport.pause();
  }

  private settle(call: Pending): void {
    this.pending.delete(numberOf(call.uniqueLow, call.uniqueHigh));
    this.bytesPending -= call.bytes;
    if (this.isOver) this.closeFiles();
    if (!this.isPaused || this.isFull(0.75)) return;
    this.isPaused = false;
    this.transport.resume();
  }

  private isFull(share: number): boolean {
    return (
      this.pending.size >= limits.fuseRequestsMax * share || this.bytesPending >= limits.fuseRequestBytesMax * share
    );
  }

  private fail(call: Pending, opcode: number, cause: unknown): void {
    const number = call.errnoOf(cause);
    const error = asError(cause);
    if (error.kind === 'internal' && !(cause instanceof ProtocolError))
      this.log('error', 'a request failed unexpectedly', { opcode, error: error.message, stack: stackOf(error) });
    else if (number === errno.EIO) this.warn('a request failed', { opcode, error: error.message });
    this.answer(call, number, emptyReply);
  }

  private answer(to: Identified, error: number, reply: Reply): void {
    try {
      if (Buffer.isBuffer(reply)) {
        putReplyHeader(reply, reply.length, error, to.uniqueLow, to.uniqueHigh);
        this.transport.reply([reply]);
        return;
      }
      const pieces = reply.length > piecesMax ? [Buffer.concat(reply)] : reply;
      const length = pieces.reduce((sum, piece) => sum + piece.length, outHeaderBytes);
      putReplyHeader(this.head, length, error, to.uniqueLow, to.uniqueHigh);
      this.transport.reply([this.head, ...pieces]);
    } catch (failure) {
      this.log('error', 'the kernel refused an answer', { error: String(failure) });
    }
  }

  /** Answers with a number alone; 0 is success. */
  private refuse(header: Header, error: number): void {
    if (!isSilent(header.opcode)) this.answer(header, error, emptyReply);
  }

  private init(header: Header, body: Body): void {
    const agreed = negotiate(decodeInit(body), !this.serving.readOnly);
    if (agreed === undefined) {
      this.refuse(header, errnoOfProtocol.EPROTO);
      this.negotiated.reject(new InfinitError('unsupported', 'this kernel speaks too old a version of FUSE'));
      return;
    }
    this.answer(header, 0, agreed.reply);
    if (!agreed.done) return;
    this.isNegotiated = true;
    this.negotiated.resolve();
  }

  /** The target answers itself, once it has noticed. One not known is answered already, or not yet read: then it is told again. */
  private interrupt(header: Header, body: Body): void {
    const { low, high } = decodeInterrupt(body);
    const call = this.pending.get(numberOf(low, high));
    if (call) call.abort(new InfinitError('cancelled', 'interrupted'));
    else this.answer(header, errno.EAGAIN, emptyReply);
  }

  private watchTime(): void {
    const { timeoutMs } = this;
    if (timeoutMs === undefined) return;
    const check = () => {
      const before = this.serving.clock.monotonic() - timeoutMs;
      for (const call of this.pending.values())
        if (call.startedAt <= before) call.abort(new InfinitError('unavailable', 'no answer in time'));
      this.cancelTimer = this.serving.clock.after(Math.min(1000, timeoutMs), check);
    };
    check();
  }

  private finish(error: Error | undefined): void {
    this.isOver = true;
    this.cancelTimer();
    this.negotiated.reject(new InfinitError('unavailable', 'the kernel let go of the mount', { cause: error }));
    for (const call of this.pending.values()) call.abort(new InfinitError('cancelled', 'the mount ended'));
    this.closeFiles();
    this.over.resolve(error);
  }

  /** What the kernel could not close any more. */
  private closeFiles(): void {
    for (const { inode, by } of this.serving.owners.drain())
      this.serving.files.unlock(inode, by, { from: 0n, to: lockEnd }).catch((error: unknown) => {
        this.warn('a file was not unlocked', { error: asError(error).message });
      });
    for (const inode of this.serving.open.drain()) {
      this.serving.files.close(inode).catch((error: unknown) => {
        this.warn('a file was not closed', { error: asError(error).message });
      });
    }
  }

  private warn(message: string, facts: Record<string, unknown>): void {
    this.log('warn', message, facts);
  }

  private log(level: 'error' | 'warn', message: string, facts: Record<string, unknown>): void {
    this.serving.log.write(level, component, message, facts);
  }
}

interface Identified {
  uniqueLow: number;
  uniqueHigh: number;
}

function numberOf(low: number, high: number): number {
  return low + high * 0x1_0000_0000;
}

/** Requests nobody waits for. */
function isSilent(opcode: number): boolean {
  return opcode === opcodes.FORGET || opcode === opcodes.BATCH_FORGET || opcode === opcodes.INTERRUPT;
}

function stackOf(error: InfinitError): string | undefined {
  return error.cause instanceof Error ? error.cause.stack : error.stack;
}
