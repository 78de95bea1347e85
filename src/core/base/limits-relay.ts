// Limits of connections by way of a third node; part of `limits.ts`.

const KiB = 1024;
const second = 1000;
const minute = 60 * second;

export const relayLimits = {
  /** The relay is asked this long after dialling began; how many connected nodes are asked that nobody announced. */
  relayAfterMs: 1 * second,
  relaysAskedMax: 8,
  /** Connections a node carries: all, and those with one node at either end. */
  relayStreamsMax: 1024,
  relayStreamsPerNodeMax: 64,
  /** One piece carried, and pieces on their way in one direction of a connection. */
  relayPieceBytesMax: 32 * KiB,
  relayPiecesMax: 16,
  relayPieceTimeoutMs: 30 * second,
  /** Relays a node announces. */
  relaysMax: 2,
  /** After that long a relayed connection is tried directly, then half as often each time. */
  directRetryMs: 30 * second,
  directRetryMaxMs: 10 * minute,
  /** Nodes asked whether they reach this one; how often; probes a node makes at once; one of them. */
  reachAskedMax: 4,
  reachPeriodMs: minute,
  reachProbesMax: 16,
  reachTimeoutMs: 3 * second,
} as const;
