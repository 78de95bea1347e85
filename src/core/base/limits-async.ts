// Limits of a journal of a client's own, and of what is replayed of it (decision 029); part of `limits`.

const MiB = 1024 * 1024;
const second = 1000;

export const asyncLimits = {
  /** What a client's own journal may take on its disk; writers wait then. Its files; one record. */
  asyncBytesMax: 1024 * MiB,
  asyncSegmentBytes: 8 * MiB,
  asyncRecordBytesMax: 8 * MiB,
  asyncSegmentsMax: 65_536,
  /** What is done here is on the disk after so long, though nobody asks for that. */
  asyncSyncMs: 1 * second,
  /** Numbers of operations and inodes left out where the log is torn: more than one file of it can have given away. */
  asyncTornSkip: MiB / 4,
  /** Operations that wait, and what they changed, in memory. */
  asyncQueueMax: 262_144,
  asyncOverlayBytesMax: 128 * MiB,
  /** Records of the network known here, and for how long they are not asked for again while it is reached. */
  asyncKnownBytesMax: 32 * MiB,
  asyncKnownMs: 1 * second,
  /** Operations looked at together for what need not be sent, and how old they are then. */
  asyncWindowMax: 2048,
  asyncWindowBytesMax: 16 * MiB,
  asyncDelayMs: 1 * second,
  /** An answer of the network is waited for so long. */
  asyncPatienceMs: 5 * second,
  /** Files whose places of data are looked up again once it was sent. */
  asyncLookAgainMax: 1024,
  /** At its end a mount sends what waits for so long at most. */
  asyncFarewellMs: 5 * second,
  /** What others have come before with, kept until a person has seen to it. */
  asyncRefusedMax: 1000,
  /** Operations replayed at once, and files they rely on. */
  asyncBatchMax: 128,
  asyncSeenMax: 4096,
  asyncLabelCharsMax: 160,
  /** Inode numbers one client may have reserved at once. */
  asyncInodesMax: MiB,
  /** Journals of clients that a tree remembers. */
  asyncJournalsMax: 1024,
  recordsPerAnswerMax: 512,
  recordsBytesPerAnswerMax: MiB,
} as const;
