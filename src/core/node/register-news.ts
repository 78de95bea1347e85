// Word that the network register says something new that matters everywhere (a descriptor, a destroyed tree), passed on by whoever
// learns it to all it is connected with: what is revoked then ends within seconds, not at the next look. Word is only word: each
// reads and verifies for itself.

import { empty, struct, u64 } from '../base/codec.ts';
import type { Abortable } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import type { Overlay } from '../overlay/overlay.ts';
import type { Method, Peer, Peers } from '../peer/peer.ts';
import type { Cancel, Runtime } from '../runtime/runtime.ts';

export const registerNewer: Method<{ version: number }, Record<string, never>> = {
  name: 'network.newer',
  request: struct({ version: u64 }),
  response: empty,
  right: 'member',
};

export interface RegisterNewsOptions {
  runtime: Runtime;
  peers: Peers;
  overlay: Overlay;
  /** Of the register's value looked at last. */
  version: () => number;
  /** Reads the network register before long. */
  look: () => void;
}

export class RegisterNews {
  private readonly options: RegisterNewsOptions;
  private lookedAt = Number.NEGATIVE_INFINITY;
  private cancelLook: Cancel | undefined;

  constructor(options: RegisterNewsOptions) {
    this.options = options;
    options.peers.serve(registerNewer, ({ version }) => {
      if (version > options.version()) this.heard();
      return {};
    });
  }

  stop(): void {
    this.cancelLook?.();
  }

  /** A look at a time, and one a period: false word costs little. */
  private heard(): void {
    const { runtime, look } = this.options;
    if (this.cancelLook !== undefined) return;
    const waitMs = Math.max(0, this.lookedAt + limits.registerLookPeriodMs - runtime.clock.monotonic());
    this.cancelLook = runtime.clock.after(waitMs, () => {
      this.cancelLook = undefined;
      this.lookedAt = runtime.clock.monotonic();
      look();
    });
  }

  /** Tells whoever is connected, storage nodes and clients. */
  passOn(): void {
    for (const peer of this.options.peers.connected()) this.tell(peer).catch(() => {}); // they look by themselves, later
  }

  /** Tells the storage nodes known; how many heard it. */
  async spread(options: Abortable = {}): Promise<number> {
    const { overlay, peers } = this.options;
    const others = overlay.nodes().filter(({ id }) => peers.get(id)?.identity !== peers.self);
    const told = await Promise.allSettled(
      others
        .slice(0, limits.knownContactsMax)
        .map(async ({ id }) => this.tell(await overlay.peer(id, options), options)),
    );
    options.signal?.throwIfAborted();
    return told.filter(({ status }) => status === 'fulfilled').length;
  }

  private async tell(peer: Peer, options: Abortable = {}): Promise<void> {
    await peer.call(registerNewer, { version: this.options.version() }, options);
  }
}
