// Makes the failure detector's probes over peers and answers those of others. For overlays that watch everybody they know;
// Chord's machine drives its detector itself, together with the ring.

import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { CallContext } from '../peer/peer.ts';
import type { Detector, DetectorEffect } from './detector.ts';
import type { Directory } from './directory.ts';
import { type GossipAnswer, type GossipRequest, ringGossip } from './messages.ts';
import type { OverlayContext } from './overlay.ts';
import type { NodeName } from './ring.ts';

export type Change = Extract<DetectorEffect, { type: 'changed' }>;

/** A helper has to probe before it answers. */
const viaTimeoutMs = 1500;
const farewellTimeoutMs = 1000;

export class Prober {
  readonly detector: Detector;
  /** Called when what is believed of a node changes. */
  onChange: (change: Change) => void = () => {};
  private readonly context: OverlayContext;
  private readonly directory: Directory;
  private stopped = false;

  constructor(context: OverlayContext, directory: Directory, detector: Detector) {
    this.context = context;
    this.directory = directory;
    this.detector = detector;
  }

  /** Answers `ring.gossip` from now on. */
  serve(): void {
    this.context.peers.serve(ringGossip, (request, context) => this.answer(request, context));
  }

  stop(): void {
    this.stopped = true;
  }

  /** Tells the detector something, then does what it wants done. */
  input(task: (detector: Detector, now: number) => void): void {
    if (this.stopped) return;
    task(this.detector, this.now);
    while (this.detector.effects.length > 0) {
      const effects = this.detector.effects;
      this.detector.effects = [];
      for (const effect of effects) {
        if (effect.type === 'changed') this.onChange(effect);
        else if (effect.type === 'ping') void this.ping(effect.to);
        else void this.pingVia(effect.via, effect.about);
      }
    }
  }

  probe(node: NodeName): void {
    this.input((detector) => detector.probe(node));
  }

  /** Tells these nodes that this one leaves. */
  async farewell(nodes: readonly NodeName[]): Promise<void> {
    const { self, incarnation } = this.detector;
    const news = [{ node: self, state: 'left' as const, incarnation, by: undefined }];
    const told = nodes.map((node) => this.gossip(node, { news }, farewellTimeoutMs));
    await Promise.allSettled(told);
  }

  private get now(): number {
    return this.context.runtime.clock.monotonic();
  }

  private get serial(): number {
    return this.context.self()?.serial ?? 0;
  }

  private async gossip(
    to: NodeName,
    what: { about?: NodeName; news?: GossipRequest['news'] },
    timeoutMs: number,
    outer?: AbortSignal,
  ): Promise<GossipAnswer> {
    return await this.directory.within(timeoutMs, outer, async (signal) => {
      const peer = await this.directory.peer(to, { signal });
      const { incarnation } = this.detector;
      const news = what.news ?? this.detector.takeNews(to);
      const request = { about: what.about, incarnation, serial: this.serial, news };
      const answer = await peer.call(ringGossip, request, { signal, timeoutMs });
      this.directory.compareSerial(peer, answer.serial);
      return answer;
    });
  }

  private async ping(to: NodeName): Promise<void> {
    const began = this.now;
    try {
      const answer = await this.gossip(to, {}, this.detector.pingTimeoutMs);
      this.input((detector, now) => {
        detector.reached(to, answer.incarnation, now);
        for (const news of answer.news) detector.heard(news, now);
      });
    } catch {
      await this.directory.failing(began);
      this.input((detector, now) => detector.pingFailed(to, now));
    }
  }

  private async pingVia(via: NodeName, about: NodeName): Promise<void> {
    const began = this.now;
    try {
      const timeoutMs = Math.max(viaTimeoutMs, this.detector.pingTimeoutMs);
      const answer = await this.gossip(via, { about }, timeoutMs);
      this.input((detector, now) => {
        detector.reached(via, answer.incarnation, now);
        detector.helperAnswered(about, answer.reached, now);
        for (const news of answer.news) detector.heard(news, now);
      });
    } catch {
      await this.directory.failing(began);
      this.input((detector, now) => detector.helperAnswered(about, undefined, now));
    }
  }

  private async answer(request: GossipRequest, { from, peer, signal }: CallContext): Promise<GossipAnswer> {
    const node = await this.directory.caller(from.kind, peer);
    this.directory.compareSerial(peer, request.serial);
    if (this.stopped) throw new InfinitError('unavailable', 'the node stops');
    this.input((detector, now) => {
      detector.seen(node, request.incarnation, now);
      for (const news of request.news) detector.heard(news, now);
    });
    await this.directory.fetchMissing(
      request.news.filter(({ state }) => state === 'alive').map((news) => news.node),
      peer,
    );
    const reached = request.about === undefined || (await this.reaches(request.about, signal));
    const { incarnation } = this.detector;
    return { reached, incarnation, serial: this.serial, news: this.detector.takeNews(node) };
  }

  /** A probe on behalf of somebody else. */
  private async reaches(node: NodeName, signal: AbortSignal): Promise<boolean> {
    try {
      await this.gossip(node, { news: [] }, Math.min(this.detector.pingTimeoutMs, limits.callTimeoutMs), signal);
      return true;
    } catch {
      return false;
    }
  }
}
