// A node and the hub: it says there where it is and how full, and looks there for others, every so often. A hub that does not answer
// is no reason to stop: nodes know each other.

import { fromBase64, toBase64 } from '../base/bytes.ts';
import { asError, isError } from '../base/errors.ts';
import { checkSignal } from '../base/lifecycle.ts';
import type { HubPresence } from '../cli/running.ts';
import { deleteEndpoints, endpointsOf, putEndpoints, putUsage } from '../hub/client/nodes.ts';
import type { Cancel, Endpoint } from '../runtime/runtime.ts';
import type { LinkedNode } from './link.ts';
import type { Node } from './node.ts';

/** Looks again this soon while nobody else is known, then half as often each time. */
const lonelyPeriodMs = 1000;
/** Others met in one look. */
const meetingsMax = 16;

/** Where the hub says others are; empty, and a line for the person, when it does not answer. */
export async function seedsFromHub(
  hub: HubPresence | undefined,
  { link, node }: LinkedNode,
  warn: (text: string) => void,
): Promise<Endpoint[]> {
  if (!hub?.fetch) return [];
  try {
    const found = await endpointsOf(hub.client, link.name);
    found.delete(toBase64(node.peers.self.id));
    return [...found.values()].flat().slice(0, meetingsMax);
  } catch (error) {
    if (isError(error, 'internal')) throw error;
    warn(`the hub does not tell where others are: ${asError(error).message}`);
    return [];
  }
}

/** Keeps the hub told and looks for others until what it gives is called. Only storage nodes can be met. */
export function keepOnHub(
  hub: HubPresence | undefined,
  linked: LinkedNode,
  warn: (text: string) => void,
): () => Promise<void> {
  if (hub === undefined || !(hub.fetch || (hub.push && linked.isStorage))) return async () => {};
  const keeper = new HubKeeper(hub, linked, warn);
  return () => keeper.stop();
}

class HubKeeper {
  private readonly hub: HubPresence;
  private readonly node: Node;
  private readonly network: string;
  private readonly isStorage: boolean;
  private readonly warn: (text: string) => void;
  private readonly stopping = new AbortController();
  private cancel: Cancel = () => {};
  private round: Promise<void>;
  private lonelyMs = lonelyPeriodMs;
  /** What could not be told or asked last time; said once. */
  private trouble = '';

  constructor(hub: HubPresence, { node, link, isStorage }: LinkedNode, warn: (text: string) => void) {
    this.hub = hub;
    this.node = node;
    this.network = link.name;
    this.isStorage = isStorage;
    this.warn = warn;
    this.round = this.go();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.cancel();
    await this.round;
    if (!this.hub.push || !this.isStorage) return;
    // It may be forgotten already, or the hub away: the entry ends by itself.
    await deleteEndpoints(this.hub.client, this.network, this.self).catch(() => {});
  }

  private get self(): string {
    return toBase64(this.node.peers.self.id);
  }

  /** One round, and the next after a while; never throws. */
  private async go(): Promise<void> {
    try {
      if (this.hub.push && this.isStorage) await this.tell();
      if (this.hub.fetch) await this.look();
      this.trouble = '';
    } catch (error) {
      const { message } = asError(error);
      if (message !== this.trouble && !this.stopping.signal.aborted) this.warn(message);
      this.trouble = message;
    }
    if (this.stopping.signal.aborted) return;
    this.cancel = this.node.runtime.clock.after(this.pauseMs(), () => {
      this.round = this.go();
    });
  }

  private pauseMs(): number {
    const others = this.node.overlay.nodes().length - (this.isStorage ? 1 : 0);
    if (!this.hub.fetch || others > 0) return this.hub.intervalMs;
    this.lonelyMs *= 2;
    return Math.min(this.lonelyMs, this.hub.intervalMs);
  }

  private async tell(): Promise<void> {
    const { client } = this.hub;
    await putEndpoints(client, this.network, this.self, this.node.place.dialled());
    const usage = this.node.options.silo?.usage();
    if (usage === undefined) return;
    const { usedBytes, freeBytes, capacityBytes } = usage;
    const room = Number.isFinite(freeBytes) ? usedBytes + freeBytes : usedBytes;
    await putUsage(client, this.network, this.self, { usage: usedBytes, capacity: capacityBytes ?? room });
  }

  /** Meets those who are not known to be alive. */
  private async look(): Promise<void> {
    const { overlay } = this.node;
    const found = await endpointsOf(this.hub.client, this.network);
    found.delete(this.self);
    const missing = [...found].filter(([id]) => overlay.liveness(fromBase64(id)) !== 'alive');
    for (const [, endpoints] of missing.slice(0, meetingsMax)) {
      checkSignal(this.stopping.signal);
      await overlay.meet(endpoints, { signal: this.stopping.signal }).catch(() => {}); // it is away, or no node any more
    }
  }
}
