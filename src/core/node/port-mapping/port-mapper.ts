// Keeps one port of the router forwarded to this node: asks in the ways there are, the best first, renews, asks again when the router has
// begun anew or this machine stands elsewhere, and takes it off at the end. That it fails is nobody's fault: most routers refuse.

import type { Bytes } from '../../base/bytes.ts';
import { isError } from '../../base/errors.ts';
import type { Endpoint, Router, Runtime } from '../../runtime/runtime.ts';
import { NatPmp } from './nat-pmp.ts';
import { Pcp } from './pcp.ts';
import { isOwnRouter, type Mapping, type PortProtocol, type ProtocolParts } from './protocol.ts';
import { Upnp } from './upnp.ts';

/** What is asked for; renewed at half of it. After a crash of this node the port stays open no longer. */
const lifetimeMs = 20 * 60_000;
/** How often is looked whether the router still has it, and whether this machine stands elsewhere. */
const lookPeriodMs = 60_000;
/** After a failure; then twice as long each time. */
const pauseMs = 30_000;
const pauseMaxMs = 30 * 60_000;
const stopPatienceMs = 8000;

export interface PortMapperParts {
  runtime: Runtime;
  /** Where this node listens at that address of this machine. */
  port: (own: string) => number | undefined;
  /** The same for this node over restarts, and unknown to others. */
  nonce: Bytes;
  /** Where others dial this node by way of the router; undefined: nowhere, any more. */
  changed: (external: Endpoint | undefined) => void;
}

interface Kept {
  readonly protocol: PortProtocol;
  readonly mapping: Mapping;
  readonly renewAtMs: number;
  readonly endsAtMs: number;
}

/** The first that works is used. */
export function portProtocols(parts: ProtocolParts & { nonce: Bytes }): PortProtocol[] {
  return [new Pcp(parts), new NatPmp(parts), new Upnp(parts)];
}

export class PortMapper {
  private readonly parts: PortMapperParts;
  private readonly stopping = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private router: Router | undefined;
  private followed = false;
  private protocols: PortProtocol[] = [];
  private kept: Kept | undefined;
  private failures = 0;
  private againAtMs = 0;

  constructor(parts: PortMapperParts) {
    this.parts = parts;
  }

  start(): void {
    this.running = this.run();
    this.running.catch(() => {}); // told at the end
  }

  /** Within seconds, whatever the router does. */
  async stop(): Promise<void> {
    this.stopping.abort();
    const { clock } = this.parts.runtime;
    const ended = new AbortController();
    const patience = clock.sleep(stopPatienceMs, { signal: ended.signal }).catch(() => {});
    await Promise.race([this.end(), patience]);
    ended.abort();
  }

  private async end(): Promise<void> {
    await this.running;
    const { kept } = this;
    this.keep(undefined);
    try {
      await kept?.protocol.unmap(kept.mapping);
    } catch (error) {
      if (!isError(error)) throw error;
      this.log('info', 'a port stays forwarded for a while', { reason: error.message });
    }
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    const { clock } = this.parts.runtime;
    while (!signal.aborted) {
      const restMs = await this.turn();
      if (!signal.aborted) await clock.sleep(restMs, { signal }).catch(() => {}); // it is over
    }
  }

  /** After how long to look again. */
  private async turn(): Promise<number> {
    const { runtime, port: portAt } = this.parts;
    this.follow(await runtime.datagrams.router());
    const port = this.router && portAt(this.router.own);
    if (port === undefined) return lookPeriodMs;
    const state = await this.look();
    const now = runtime.clock.monotonic();
    if (this.kept !== undefined && now >= this.kept.endsAtMs) this.keep(undefined);
    const isWell = this.kept !== undefined && state !== 'lost' && now < this.kept.renewAtMs;
    if (!isWell && now >= this.againAtMs) await this.ask(port, state === 'lost');
    const next = Math.max(this.againAtMs, this.kept?.renewAtMs ?? 0) - runtime.clock.monotonic();
    return Math.min(Math.max(next, pauseMs), lookPeriodMs);
  }

  /** A mapping stays behind with the router and the address it was made for, and ends there by itself. */
  private follow(router: Router | undefined): void {
    const { runtime, nonce } = this.parts;
    const isSame = router?.address === this.router?.address && router?.own === this.router?.own;
    if (isSame && this.followed) return;
    this.followed = true;
    this.router = router;
    this.keep(undefined);
    this.failures = this.againAtMs = 0;
    this.protocols = router && isOwnRouter(router) ? portProtocols({ runtime, router, nonce }) : [];
    if (this.protocols.length === 0)
      this.log('info', router ? 'the router is not of a local network' : 'there is no router', {});
  }

  /** Of the mapping there is. */
  private async look(): Promise<'held' | 'lost' | 'silent'> {
    if (this.kept === undefined) return 'silent';
    try {
      return (await this.kept.protocol.holds(this.kept.mapping)) ? 'held' : 'lost';
    } catch (error) {
      if (!isError(error)) throw error;
      return 'silent'; // it may be beginning anew, or busy: its mapping counts until its time is over
    }
  }

  private async ask(port: number, lost: boolean): Promise<void> {
    const { kept } = this;
    const { clock } = this.parts.runtime;
    const reasons: string[] = [];
    const others = this.protocols.filter((one) => one !== kept?.protocol);
    for (const protocol of kept === undefined ? others : [kept.protocol, ...others]) {
      if (this.stopping.signal.aborted) return;
      try {
        const externalPort = kept?.mapping.external.port ?? port;
        const request = { port, externalPort, lifetimeMs };
        const renewed = kept?.protocol === protocol && !lost ? kept.mapping : undefined;
        this.keep({ protocol, ...timesOf(await protocol.map(request, renewed), clock.monotonic()) });
        this.failures = this.againAtMs = 0;
        return;
      } catch (error) {
        if (!isError(error)) throw error;
        reasons.push(`${protocol.name}: ${error.message}`);
      }
    }
    this.log(this.failures++ === 0 ? 'info' : 'debug', 'the router forwards no port', { reasons });
    const restMs = Math.min(pauseMs * 2 ** Math.min(this.failures - 1, 16), pauseMaxMs);
    this.againAtMs = clock.monotonic() + restMs;
    if (lost) this.keep(undefined);
  }

  private keep(kept: Kept | undefined): void {
    const before = this.kept?.mapping.external;
    this.kept = kept;
    const now = kept?.mapping.external;
    const isSame = before?.host === now?.host && before?.port === now?.port;
    if (isSame || (kept !== undefined && this.stopping.signal.aborted)) return;
    if (kept !== undefined)
      this.log('info', 'the router forwards a port', { protocol: kept.protocol.name, ...kept.mapping });
    this.parts.changed(now);
  }

  private log(level: 'info' | 'debug', message: string, facts: object): void {
    this.parts.runtime.log.write(level, 'port-mapping', message, { router: this.router?.address, ...facts });
  }
}

/** A router that gives little time is not asked all the time. */
function timesOf(mapping: Mapping, nowMs: number): Pick<Kept, 'mapping' | 'renewAtMs' | 'endsAtMs'> {
  const renewAtMs = nowMs + Math.max(Math.min(mapping.lifetimeMs, lifetimeMs) / 2, pauseMs);
  return { mapping, renewAtMs, endsAtMs: nowMs + mapping.lifetimeMs };
}
