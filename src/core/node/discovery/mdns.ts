// Nodes of one network find each other on the local network by multicast DNS (RFC 6762, 6763): each announces a service `_infinit._tcp`,
// whose instance is named by hashes of the network and of the node, and looks for others with the same first part. Whoever is found there
// still has to prove who he is.

import { isIPv4 } from 'node:net';
import { toHex } from '../../base/bytes.ts';
import { isError } from '../../base/errors.ts';
import { labelledHash } from '../../crypto/hash.ts';
import type { Cancel, DatagramSocket, Endpoint, Runtime } from '../../runtime/runtime.ts';
import { decodeMessage, encodeMessage, type Message, type Record, recordTypes } from './dns-message.ts';

const group = '224.0.0.251';
const port = 5353;
const service = ['_infinit', '_tcp', 'local'];
const hashDigits = 16;
const hostTtlSeconds = 120;
const serviceTtlSeconds = 4500;
const interfacesMax = 8;
/** Questions are asked again after a second, then three times as rarely each time. */
const askFirstMs = 1000;
const askFactor = 3;
const askPeriodMaxMs = 60_000;
/** Several may know the answer to one question: they do not speak at once, and rarely twice. */
const answerDelayMs = { min: 20, max: 120 };
const answerPeriodMs = 1000;
/** A place is told once in a while, and so many are remembered. */
const foundPeriodMs = 30_000;
const foundMax = 256;

export interface MdnsParts {
  runtime: Runtime;
  networkId: Uint8Array;
  nodeId: Uint8Array;
  /** Where this node is dialled; nothing is announced when it is nowhere, or for a client. */
  port: () => number | undefined;
  /** Somebody of the same network may be there. */
  found: (place: Endpoint) => void;
}

interface Interface {
  readonly address: string;
  readonly socket: DatagramSocket;
  cancelAnswer: Cancel | undefined;
  answeredAtMs: number;
}

export class Mdns {
  private readonly parts: MdnsParts;
  private readonly network: string;
  private readonly instance: readonly string[];
  private readonly host: readonly string[];
  private readonly interfaces: Interface[] = [];
  private readonly told = new Map<string, number>();
  private cancelAsking: Cancel = () => {};
  private stopped = false;

  constructor(parts: MdnsParts) {
    this.parts = parts;
    const digits = (bytes: Uint8Array) => toHex(bytes).slice(0, hashDigits);
    this.network = digits(labelledHash('mdns', parts.networkId));
    const node = digits(labelledHash('mdns', parts.nodeId));
    this.instance = [`${this.network}-${node}`, ...service];
    this.host = [`infinit-${node}`, 'local'];
  }

  /** On each interface with an IPv4 address. How many there are; the others are told of in the log. */
  async start(): Promise<number> {
    const { runtime } = this.parts;
    const addresses = runtime.transport.localAddresses().filter((address) => !address.includes(':'));
    for (const address of addresses.slice(0, interfacesMax)) {
      try {
        const socket = await runtime.datagrams.open({ port, group: { address: group, by: address } });
        const one: Interface = { address, socket, cancelAnswer: undefined, answeredAtMs: Number.NEGATIVE_INFINITY };
        socket.onMessage((bytes, from) => this.heard(one, bytes, from));
        this.interfaces.push(one);
      } catch (error) {
        if (!isError(error)) throw error;
        runtime.log.write('warn', 'mdns', 'the local network is not searched', { address, reason: error.message });
      }
    }
    this.announce();
    this.ask(askFirstMs);
    return this.interfaces.length;
  }

  /** Says goodbye. */
  stop(): void {
    this.stopped = true;
    this.cancelAsking();
    for (const one of this.interfaces.splice(0)) {
      one.cancelAnswer?.();
      this.say(one, 0);
      one.socket.close();
    }
  }

  /** Twice, a second apart: messages get lost. */
  private announce(): void {
    for (const one of this.interfaces) this.say(one, 1);
  }

  private ask(nextMs: number): void {
    if (this.stopped) return;
    const question = { name: service, type: recordTypes.ptr, unicast: false };
    const message = encodeMessage({ id: 0, isAnswer: false, questions: [question], records: [] });
    for (const { socket } of this.interfaces) socket.send(message, { host: group, port });
    this.cancelAsking = this.parts.runtime.clock.after(nextMs, () => {
      if (nextMs === askFirstMs) this.announce();
      this.ask(Math.min(nextMs * askFactor, askPeriodMaxMs));
    });
  }

  /** `life`: 0 for a goodbye, else 1. */
  private say({ address, socket }: Interface, life: 0 | 1, to: Endpoint = { host: group, port }, id = 0): void {
    const at = this.parts.port();
    if (at === undefined) return;
    const hostTtl = life * hostTtlSeconds;
    const records: Record[] = [
      {
        name: service,
        ttlSeconds: life * serviceTtlSeconds,
        unique: false,
        data: { type: 'ptr', target: this.instance },
      },
      { name: this.instance, ttlSeconds: hostTtl, unique: true, data: { type: 'srv', port: at, target: this.host } },
      { name: this.instance, ttlSeconds: life * serviceTtlSeconds, unique: true, data: { type: 'txt' } },
    ];
    if (isIPv4(address))
      records.push({ name: this.host, ttlSeconds: hostTtl, unique: true, data: { type: 'a', address } });
    socket.send(encodeMessage({ id, isAnswer: true, questions: [], records }), to);
  }

  private heard(by: Interface, bytes: Buffer, from: Endpoint): void {
    if (this.stopped) return;
    let message: Message;
    try {
      message = decodeMessage(bytes);
    } catch (error) {
      if (!isError(error, 'corrupt')) throw error;
      return; // anybody may send anything there
    }
    if (message.isAnswer) this.learn(message, from);
    else this.answer(by, message, from);
  }

  private answer(by: Interface, { id, questions, records }: Message, from: Endpoint): void {
    const asked = questions.find(({ name, type }) => this.isAsked(name, type));
    if (asked === undefined) return;
    // One who does not speak from the port of the protocol knows no more than plain DNS: he is answered alone, at once.
    if (from.port !== port) {
      this.say(by, 1, from, id);
      return;
    }
    const knows = records.some(
      ({ data, ttlSeconds }) =>
        data.type === 'ptr' && same(data.target, this.instance) && ttlSeconds > serviceTtlSeconds / 2,
    );
    const { clock, random } = this.parts.runtime;
    if (knows || by.cancelAnswer || clock.monotonic() - by.answeredAtMs < answerPeriodMs) return;
    by.cancelAnswer = clock.after(answerDelayMs.min + random.below(answerDelayMs.max - answerDelayMs.min), () => {
      by.cancelAnswer = undefined;
      by.answeredAtMs = clock.monotonic();
      this.say(by, 1);
    });
  }

  private isAsked(name: readonly string[], type: number): boolean {
    const isType = (...types: number[]) => type === recordTypes.any || types.includes(type);
    if (same(name, service)) return isType(recordTypes.ptr);
    if (same(name, this.instance)) return isType(recordTypes.srv, recordTypes.txt);
    return same(name, this.host) && isType(recordTypes.a);
  }

  /**
   * The port is told, the address is where the message came from: nobody sends this node to dial strangers elsewhere.
   */
  private learn({ records }: Message, from: Endpoint): void {
    for (const { name, ttlSeconds, data } of records) {
      const [instance = '', ...rest] = name;
      if (data.type !== 'srv' || ttlSeconds === 0 || data.port === 0 || !same(rest, service)) continue;
      if (!instance.startsWith(`${this.network}-`) || same(name, this.instance)) continue;
      this.tell({ host: from.host, port: data.port });
    }
  }

  private tell(place: Endpoint): void {
    const name = `${place.host} ${place.port}`;
    const now = this.parts.runtime.clock.monotonic();
    if (now - (this.told.get(name) ?? Number.NEGATIVE_INFINITY) < foundPeriodMs) return;
    this.told.delete(name);
    if (this.told.size >= foundMax) {
      const oldest = this.told.keys().next();
      if (!oldest.done) this.told.delete(oldest.value);
    }
    this.told.set(name, now);
    this.parts.found(place);
  }
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((label, i) => label === b[i]);
}
