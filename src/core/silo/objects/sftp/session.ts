// SFTP version 3 as a client, over the streams of a program that leads to a server: requests by number, many at once. Written
// after the draft (draft-ietf-secsh-filexfer-02) and the extensions that OpenSSH documents.

import { type Bytes, concatBytes, u32Bytes, u64Bytes, utf8 } from '../../../base/bytes.ts';
import { InfinitError } from '../../../base/errors.ts';
import { type Deferred, deferred } from '../../../base/lifecycle.ts';
import { limits } from '../../../base/limits.ts';
import type { Program, ProgramEnd } from '../../../runtime/runtime.ts';

export const requests = {
  init: 1,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  fstat: 8,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rename: 18,
  extended: 200,
} as const;
const answers = { version: 2, status: 101, handle: 102, data: 103, name: 104, attributes: 105 } as const;
/** Flags of `open`. */
export const openFlags = { read: 1, write: 2, create: 8, truncate: 16 } as const;
/** Of the status of an answer. */
export const statuses = { ok: 0, end: 1, noSuchFile: 2, denied: 3, failure: 4, unsupported: 8 } as const;

/** A request that was answered with a status other than ok. */
export class SftpRefusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface ListedName {
  name: string;
  bytes: number;
  isFile: boolean;
}

interface Answer {
  type: number;
  /** Behind the number of the request. */
  body: Buffer;
}

export class SftpSession {
  readonly extensions = new Set<string>();
  private readonly program: Program;
  private readonly waiting = new Map<number, Deferred<Answer>>();
  private readonly started = deferred();
  private received: Buffer[] = [];
  private receivedBytes = 0;
  private next = 1;
  private failure: InfinitError | undefined;

  constructor(program: Program, where: string, explain: (end: ProgramEnd) => InfinitError) {
    this.program = program;
    this.started.promise.catch(() => {});
    program.onData((bytes) => {
      try {
        this.take(bytes);
      } catch {
        this.end(new InfinitError('unavailable', `${where} answers what is no SFTP`));
        program.stop();
      }
    });
    program.onEnd((end) => this.end(explain(end)));
  }

  async start(): Promise<void> {
    this.send([Buffer.of(requests.init), u32Bytes(3)]);
    await this.started.promise;
  }

  stop(): void {
    this.program.stop();
  }

  /** Handle of a file or folder. */
  async open(path: string, flags: number): Promise<Buffer> {
    return this.handleOf(await this.ask(requests.open, [text(path), u32Bytes(flags), u32Bytes(0)]));
  }

  async openFolder(path: string): Promise<Buffer> {
    return this.handleOf(await this.ask(requests.opendir, [text(path)]));
  }

  async close(handle: Buffer): Promise<void> {
    await this.done(requests.close, [bytesField(handle)]);
  }

  /** Undefined at the end of the file. */
  async read(handle: Buffer, offset: number, length: number): Promise<Buffer | undefined> {
    const { type, body } = await this.ask(requests.read, [bytesField(handle), u64Bytes(offset), u32Bytes(length)]);
    if (type === answers.data) return body.subarray(4, 4 + body.readUInt32BE(0));
    return this.endOrThrow({ type, body });
  }

  async write(handle: Buffer, offset: number, data: Bytes): Promise<void> {
    await this.done(requests.write, [bytesField(handle), u64Bytes(offset), bytesField(data)]);
  }

  /** Size of an open file. */
  async size(handle: Buffer): Promise<number> {
    const answer = await this.ask(requests.fstat, [bytesField(handle)]);
    if (answer.type !== answers.attributes) throw refusal(answer);
    return attributes(answer.body, 0).bytes;
  }

  /** Some names of an open folder; undefined when all were told. */
  async names(handle: Buffer): Promise<ListedName[] | undefined> {
    const answer = await this.ask(requests.readdir, [bytesField(handle)]);
    if (answer.type !== answers.name) return this.endOrThrow(answer);
    const { body } = answer;
    const found: ListedName[] = [];
    let at = 4;
    for (let left = body.readUInt32BE(0); left > 0; left--) {
      const name = body.toString('utf8', at + 4, at + 4 + body.readUInt32BE(at));
      at += 4 + body.readUInt32BE(at);
      at += 4 + body.readUInt32BE(at);
      const { bytes, isFile, end } = attributes(body, at);
      at = end;
      found.push({ name, bytes, isFile });
    }
    return found;
  }

  async remove(path: string): Promise<void> {
    await this.done(requests.remove, [text(path)]);
  }

  async makeFolder(path: string): Promise<void> {
    await this.done(requests.mkdir, [text(path), u32Bytes(0)]);
  }

  /** Refused when the new name is taken. */
  async rename(from: string, to: string): Promise<void> {
    await this.done(requests.rename, [text(from), text(to)]);
  }

  /** One of OpenSSH's; the server must have named it. */
  async extended(name: string, fields: readonly Bytes[]): Promise<void> {
    await this.done(requests.extended, [text(name), ...fields]);
  }

  private async done(type: number, fields: readonly Bytes[]): Promise<void> {
    const answer = await this.ask(type, fields);
    if (answer.type !== answers.status || answer.body.readUInt32BE(0) !== statuses.ok) throw refusal(answer);
  }

  private handleOf(answer: Answer): Buffer {
    if (answer.type !== answers.handle) throw refusal(answer);
    return Buffer.from(answer.body.subarray(4, 4 + answer.body.readUInt32BE(0)));
  }

  private endOrThrow(answer: Answer): undefined {
    if (answer.type === answers.status && answer.body.readUInt32BE(0) === statuses.end) return undefined;
    throw refusal(answer);
  }

  private ask(type: number, fields: readonly Bytes[]): Promise<Answer> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const number = this.next;
    this.next = (this.next + 1) >>> 0;
    const answer = deferred<Answer>();
    this.waiting.set(number, answer);
    this.send([Buffer.of(type), u32Bytes(number), ...fields]);
    return answer.promise;
  }

  private send(parts: readonly Bytes[]): void {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    this.program.write([u32Bytes(length), ...parts]);
  }

  private take(bytes: Buffer): void {
    this.received.push(bytes);
    this.receivedBytes += bytes.length;
    while (this.receivedBytes >= 4) {
      let all = this.received.length === 1 ? (this.received[0] as Buffer) : concatBytes(this.received);
      const length = all.readUInt32BE(0);
      if (length < 5 || length > limits.sftpPacketBytesMax) throw new InfinitError('corrupt', 'not a packet');
      this.received = [all];
      if (all.length < 4 + length) return;
      const packet = all.subarray(4, 4 + length);
      all = all.subarray(4 + length);
      this.received = all.length > 0 ? [all] : [];
      this.receivedBytes = all.length;
      this.packet(packet);
    }
  }

  private packet(packet: Buffer): void {
    const type = packet[0] as number;
    if (type === answers.version) {
      for (let at = 5; at + 4 <= packet.length; ) {
        const name = packet.toString('utf8', at + 4, at + 4 + packet.readUInt32BE(at));
        at += 4 + packet.readUInt32BE(at);
        at += 4 + packet.readUInt32BE(at);
        this.extensions.add(name);
      }
      this.started.resolve();
      return;
    }
    const number = packet.readUInt32BE(1);
    const answer = this.waiting.get(number);
    this.waiting.delete(number);
    answer?.resolve({ type, body: packet.subarray(5) });
  }

  private end(error: InfinitError): void {
    this.failure ??= error;
    this.started.reject(this.failure);
    for (const answer of this.waiting.values()) answer.reject(this.failure);
    this.waiting.clear();
  }
}

function attributes(body: Buffer, from: number): { bytes: number; isFile: boolean; end: number } {
  const flags = body.readUInt32BE(from);
  let at = from + 4;
  let [bytes, mode] = [0, 0];
  if (flags & 1) {
    bytes = body.readUInt32BE(at) * 2 ** 32 + body.readUInt32BE(at + 4);
    at += 8;
  }
  if (flags & 2) at += 8;
  if (flags & 4) {
    mode = body.readUInt32BE(at);
    at += 4;
  }
  if (flags & 8) at += 8;
  if (flags & 0x8000_0000) {
    let left = body.readUInt32BE(at) * 2;
    for (at += 4; left > 0; left--) at += 4 + body.readUInt32BE(at);
  }
  return { bytes, isFile: (mode & 0o170_000) === 0o100_000, end: at };
}

function refusal({ type, body }: Answer): SftpRefusal {
  if (type !== answers.status) return new SftpRefusal(statuses.failure, `an answer of type ${type}`);
  const length = body.length >= 8 ? body.readUInt32BE(4) : 0;
  return new SftpRefusal(body.readUInt32BE(0), body.toString('utf8', 8, 8 + Math.min(length, 200)));
}

export function bytesField(bytes: Bytes): Buffer {
  return concatBytes([u32Bytes(bytes.length), bytes]);
}

export function text(value: string): Buffer {
  return bytesField(utf8(value));
}
