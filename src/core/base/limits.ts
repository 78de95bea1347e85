// Every limit of the core, in one place. Reaching one is a clear error, never a crash. Sources: docs/protocols.md 6.

import { asyncLimits } from './limits-async.ts';
import { hubLimits } from './limits-hub.ts';
import { relayLimits } from './limits-relay.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const second = 1000;
const minute = 60 * second;

export const limits = {
  // Frames and calls between peers.
  frameBytesMax: 4 * MiB + 64 * KiB,
  callsInFlightMax: 4096,
  sendQueueBytesMax: 16 * MiB,
  callTimeoutMs: 10 * second,
  heartbeatPeriodMs: 2 * second,
  heartbeatTimeoutMs: 8 * second,
  handshakeTimeoutMs: 10 * second,
  firstFrameBytesMax: 64 * KiB,
  callsWaitingMax: 65_536,
  callBytesInFlightMax: 32 * MiB,
  handlersMax: 1024,
  /** Of one user, begun in one turn of the event loop. */
  callsPerTurnMax: 16,
  callBytesPerTurnMax: 32 * KiB,
  /** Fewer where those take longer. */
  callsTurnMs: 4,
  methodsMax: 1024,
  greetingsMax: 64,
  /** Connections of one node key, replaced ones included, and of all. */
  sessionsPerPeerMax: 4,
  sessionsOpenMax: 8192,
  dialsMax: 64,
  dialEndpointsMax: 16,
  dialTimeoutMs: 5 * second,
  dialRetryMs: 1 * second,
  dialFailuresMax: 1024,

  /** To one server, by HTTP. */
  httpConnectionsMax: 32,

  // Ring (protocols 1.1).
  successorNodes: 8,
  listPositionsMax: 64,
  knownContactsMax: 256,
  /** Chord: positions of a node of mean capacity, and of any. */
  chordPositions: 32,
  chordPositionsMin: 4,
  chordPositionsMax: 128,
  lookupHopsMax: 64,
  locationCacheEntriesMax: 65_536,
  nodeRecordsMax: 4096,
  recordEndpointsMax: 8,
  /** Places heard of on the local network that are dialled at once. */
  nearbyMeetingsMax: 4,
  /** Kouncil: positions of a node of mean capacity, and of any. */
  kouncilPositions: 256,
  kouncilPositionsMin: 16,
  kouncilPositionsMax: 1024,
  /** Branches compared, records told, and records asked for in one call; calls of one comparison. */
  compareBranchesMax: 64,
  recordsToldMax: 64,
  compareCallsMax: 128,
  /** A certificate and a passport. */
  recordCredentialsBytesMax: 5 * KiB,

  // Registers (protocols 2).
  membersMax: 9,
  /** Between the configuration that was lost and the one its owner begins anew with. */
  recoveryGenerations: 1000,
  // Room for 1,000 trees in the network register (decision 005).
  registerPayloadBytesMax: 192 * KiB,
  registerBatchMax: 256,
  prepareRetriesMax: 16,
  lineageMax: 16,
  ballotHorizonMs: 24 * 60 * minute,
  /** Bytes of messages, replies or records one register batch may carry; what does not fit is asked again. */
  registerBatchBytesMax: 2 * MiB,
  registerBatchesInFlightMax: 2,
  registerQueueMax: 65_536,
  registerRecordsCachedMax: 4096,
  registerCallTimeoutMs: 2 * second,
  registerOperationTimeoutMs: 20 * second,
  registerCommitDelayMs: 50,
  verifiedCacheEntriesMax: 8192,
  /** Of each kind. */
  networkAdminsMax: 32,
  /** Users an access list names, its owner included. */
  accessUsersMax: 256,
  /** What their owner keeps beside a list: names of people and groups. */
  accessNoteBytesMax: 32 * KiB,
  /** Of a group; groups directly in one; groups looked at to know who is in one. */
  groupMembersMax: 256,
  groupGroupsMax: 64,
  groupsWalkedMax: 256,
  treesInNetworkMax: 1000,
  /** The descriptor of a volume or store that its network keeps. */
  serviceBytesMax: 16 * KiB,
  /** Of one user who does not own the network. */
  treesPerUserMax: 250,
  /** Destroyed trees the network register remembers; of one user who does not own the network. What nodes remember they were rid of. */
  destroyedTreesMax: 200,
  destroyedTreesPerUserMax: 50,
  destroyedTreesKnownMax: 1024,
  /** How far a value of the network register may be ahead of the one held. */
  networkVersionsAheadMax: 65_536,
  /** Entries said to be chosen that a store still has to ask about, and when it asks. */
  commitClaimsMax: 4096,
  commitClaimDelayMs: 1 * second,
  /** Registers about which a store asks what may be agreed on, and how often it asks about one. */
  settlementsMax: 16,
  settlementPeriodMs: 1 * second,
  /** How long a store that a register left says where it went; and how long a deleted register stays after its last ballot. */
  registerStubMs: 30 * 24 * 60 * minute,
  registerTombstoneMs: 2 * 24 * 60 * minute,
  /** Registers a store was told to have moved, and still has to ask about; answers `moved` followed in one attempt. */
  retirementsMax: 4096,
  movesFollowedMax: 8,

  // Blocks and silos.
  blockBytesMax: 4 * MiB,
  siloCapacityMinBytes: 64 * MiB,
  siloBatchRecordsMax: 512,
  siloBatchBytesMax: 4 * MiB,
  siloBatchEntriesMax: 4096,
  /** What a silo does between two turns of the event loop: some milliseconds at most, on a cold start too. */
  siloTurnRecordsMax: 128,
  siloTurnBytesMax: 2 * MiB,
  siloValueBytesMax: 4 * MiB + 64 * KiB,
  siloSegmentBytes: 256 * MiB,
  siloSegmentsMax: 65_535,
  siloOpenSegmentsMax: 256,
  siloQueueBytesMax: 256 * MiB,
  siloQueueChangesMax: 65_536,
  siloCheckpointEveryBytes: 64 * MiB,
  siloCheckpointEveryMs: minute,
  /** How often a silo asks its device what is free there, when nothing else makes it. */
  siloDeviceLookMs: 10 * second,
  /** Filters around filters, and silos one of them wraps. */
  siloLevelsMax: 4,
  siloBackendsMax: 16,
  /** What all filters around a silo together add to a value. */
  siloFilterBytesMax: 128,
  /** How often a mirror tries to bring up to date who is behind, and values it gives again at once beside that. */
  siloMirrorRetryMs: minute,
  siloMirrorMendsMax: 64,
  siloLatencyMsMax: minute,
  siloCorruptEveryMax: 1_000_000_000,
  // Silos of packs in object stores.
  packBytes: 4 * MiB,
  packBytesMin: 256 * KiB,
  /** What a silo without a capacity says it has room for, where nobody can tell. */
  unboundedSiloBytes: 2 ** 40,
  packRowsMax: 8192,
  /** Rows after which a pack takes no further change; a batch may go beyond. */
  packRowsFull: 1024,
  packsInFlightMax: 4,
  /** Packs below an eighth of the size, before they are put together. */
  packsSmallMax: 64,
  packCheckpointEvery: 512,
  packCheckpointEveryBytes: 64 * MiB,
  packCacheBytes: 32 * MiB,
  /** Requests of one silo at once beside its changes. */
  objectRequestsMax: 16,
  objectRequestTimeoutMs: minute,
  /** How long an object store may be away before a silo gives up. */
  objectOutageMs: 10 * minute,
  objectsListedMax: 10_000_000,
  objectBytesMax: 64 * MiB,
  sftpPacketBytesMax: 512 * KiB,
  /** How often a silo whose store cannot refuse looks whether it is still its own. */
  objectOwnerLookMs: 30 * second,
  blockHaveMax: 256,
  /** Copies known to be bad that wait for good ones; further ones are found again. */
  badCopiesMax: 4096,
  /** Ranges of addresses compared in one call, and entries of a range told instead of digests of its parts. */
  indexRangesMax: 64,
  indexEntriesMax: 24,
  /** Ranges still to be compared with one node. */
  rangesWaitingMax: 65_536,
  /** Blocks somebody missed here that wait to be fetched, and blocks known to lack copies. */
  blocksWantedMax: 4096,
  blocksShortMax: 65_536,
  /** Blocks one transfer makes sure of. */
  transferBlocksMax: 1024,
  /** Answers to background work of other nodes given at once; others wait. */
  backgroundServesMax: 4,

  // Garbage (protocols 5).
  /** A filter of a sweep: what a message has room for. */
  sweepFilterBytesMax: 4 * MiB,
  /** Sweeps that wait at a node, and their filters; of one user. */
  sweepsWaitingMax: 4096,
  sweepsWaitingBytesMax: 64 * MiB,
  sweepsPerUserBytesMax: 32 * MiB,
  /** Filters of sweeps that ended, kept for a while. */
  sweepsRememberedBytesMax: 64 * MiB,
  sweepsRememberedMax: 4096,
  /** Trees of which a node remembers what became of their sweeps. */
  sweepsToldMax: 1024,
  /** Marks of one walk, 12 bytes each; with more blocks the ring is marked in parts. */
  garbageMarksMax: 4 * MiB,
  /** Marks of chunks after which a cycle keeps how far it is: a MiB of them. */
  checkpointMarksMax: 64 * KiB,
  /** Chunks of which a leader knows how much of them it has counted as unused. */
  deadChunksSeenMax: 64 * KiB,
  /** Chunks counted in one cycle, 24 bytes each, and written anew. */
  censusChunksMax: MiB,
  sparseChunksMax: 16_384,
  /** Readers of what is not in the tree any more have so long. */
  readerGraceMs: 60 * minute,
  garbagePeriodMs: 24 * 60 * minute,

  // Journals and trees (protocols 4, tree-schema).
  segmentsMax: 4,
  journalBatchBytesMax: 1 * MiB,
  journalBatchOperationsMax: 4096,
  journalBatchesInFlightMax: 8,
  journalBytesMax: 256 * MiB,
  /** Journals a member keeps, segments of one, and bytes of batches in one answer. */
  journalsPerMemberMax: 4096,
  /** Of them opened by one user. */
  journalsPerUserMax: 1024,
  journalSegmentsKeptMax: 16,
  journalReadBytesMax: 2 * MiB,
  /** Batches a writer keeps for members that lag. */
  journalRetainedBytesMax: 64 * MiB,
  journalCallTimeoutMs: 2 * second,
  journalTroubleMs: 5 * second,
  journalRecoveryTimeoutMs: 30 * second,
  memtableBytesMax: 128 * MiB,
  packBytesMax: 1 * MiB,
  cellBytesMax: 64 * KiB,
  inlineBytesMax: 256,
  grantMs: 4 * second,
  /** Leases of followers on what they were answered; what the leader notes of each, and what a follower keeps. */
  readLeaseMs: 2 * second,
  leaseHoldersMax: 1024,
  leaseKeysMax: 16_384,
  leaseRangesMax: 256,
  leaseMissedMax: 1024,
  leasedAnswersMax: 65_536,
  leasedAnswerBytesMax: 256 * KiB,
  leasedAnswersBytesMax: 32 * MiB,
  sessionWindowMax: 64,
  sessionsMax: 65_536,
  /** Clients of one user at one leader within an hour. */
  sessionsPerUserMax: 4096,
  nodeCacheBytesMax: 256 * MiB,
  cellCacheBytesMax: 256 * MiB,
  treeKeyBytesMax: 1200,
  treeLeafValueBytesMax: 512 * KiB,
  treePutsInFlightMax: 32,
  treeLoadsAheadMax: 16,
  chunkPutsInFlightMax: 4,
  chunkCellsMax: 4096,
  /** An operation and what it changes fit in one journal batch; the answer, kept until its client confirms it, in a leaf. */
  operationBytesMax: 512 * KiB,
  replyBytesMax: 64 * KiB,
  answerBytesMax: 4 * MiB,
  operationChunksMax: 256,
  operationDeadlineMs: 60 * second,
  unappendedBytesMax: 8 * MiB,
  changesKeptMax: 4096,
  changesKeptBytesMax: 4 * MiB,

  // Locks (protocols 4.10).
  /** A lock session not heard of for so long has ended, with all it held; a new leader waits so long for those it knows of. */
  lockLeaseMs: 20 * second,
  lockPollMs: 2 * second,
  /** A client without locks lets its session end. */
  lockIdleMs: minute,
  lockSessionsMax: 4096,
  lockSessionsPerUserMax: 1024,
  lockRangesMax: 262_144,
  lockRangesPerClientMax: 4096,
  /** Of one owner in one file. */
  lockRangesPerPlaceMax: 512,
  lockWaitersMax: 16_384,
  lockWaitersPerClientMax: 1024,
  /** Calls of one session answered and perhaps said again; the client has fewer under way. */
  lockAnswersKeptMax: 4096,
  lockCallsInFlightMax: 1024,
  lockGrantsPerAnswerMax: 256,
  /** Owners looked through for a ring of waits. */
  lockRingMax: 1024,

  // Keys view.
  keyBytesMax: 1024,
  valueBytesMax: 16 * MiB,
  listKeysMax: 1000,
  watchesMax: 1024,
  watchWaitMs: 5 * second,

  // Files view (docs/tree-schema.md).
  fileNameBytesMax: 255,
  fileBytesMax: 2 ** 48 - 1,
  /** Numbers are below; a name's hash is remembered; parents are walked so far up. */
  inodesMax: 2 ** 47,
  /** Of one tree those of its files are below; what names another tree stands above. */
  domainInodesMax: 2 ** 37,
  /** Trees of other lists that a tree names; those a process has open at once; notes told in one answer. */
  domainsOfTreeMax: 1023,
  domainsOpenMax: 256,
  choresPerAnswerMax: 1024,
  /** Names of one directory that goes to another list. */
  movedEntriesMax: 262_144,
  nameHashesMax: 16_384,
  directoryDepthMax: 16_384,
  fileLinksMax: 65_000,
  symlinkBytesMax: 4095,
  extendedValueBytesMax: 64 * KiB,
  extendedPerInodeMax: 1024,
  listEntriesMax: 1024,
  /** Their attributes fit in one answer. */
  writtenFilesMax: 800,
  writtenPiecesMax: 4096,
  extentsPerStepMax: 1000,
  extentsPerAnswerMax: 4096,
  heldInodesMax: 4096,
  orphanHoldersMax: 1024,
  dirtyBytesMax: 64 * MiB,

  // Journals of clients' own.
  ...asyncLimits,

  // FUSE gateway.
  /** Data of one read or write. */
  fuseDataBytesMax: 1 * MiB,
  fuseBackgroundMax: 32,
  /** Requests, and their bytes, under way at once; the kernel keeps the others. */
  fuseRequestsMax: 4096,
  fuseRequestBytesMax: 128 * MiB,
  fuseNotificationsMax: 4096,
  fuseNotifyTimeoutMs: 3 * second,
  fuseStartTimeoutMs: 10 * second,
  fuseEndTimeoutMs: 10 * second,

  // Sockets of a home that are asked by lines.
  lineBytesMax: 1 * MiB,
  lineConnectionsMax: 128,

  // Daemon.
  unitsMax: 256,
  unitWordsMax: 256,
  unitBookBytesMax: 1 * MiB,

  // Metrics: values of a metric's labels, all others count as one.
  metricValuesMax: 1024,
  metricConnectionsMax: 32,

  // Doctor.
  doctorNodesMax: 64,
  throughputCallersMax: 4,
  throughputPacketBytesMax: 16 * MiB,
  throughputBytesMax: 16 * 1024 * MiB,

  // Log files: a full one is kept under a number, the oldest goes.
  logFileBytesMax: 4 * MiB,
  logFilesKept: 15,

  // Descriptors and names.
  nameCharsMax: 128,
  descriptionCharsMax: 2048,
  descriptorBytesMax: 256 * KiB,
  descriptorPeersMax: 64,
  linkSilosMax: 64,
  /** Named in a network's descriptor, which fits the network register with them. */
  revokedUsersMax: 200,
  /** A node tells the hub where it is, and asks where others are, this often unless told otherwise. */
  hubPeriodMs: 300 * second,
  /** Hearing of a newer network register makes a node look at most this often. */
  registerLookPeriodMs: 1 * second,
  fuseOptionsMax: 64,
  driveUsersMax: 500,
  volumeBlockBytesMin: 512,
  volumeBlockBytesMax: 4 * MiB,
  keyFileBytesMax: 64 * KiB,
  bcryptRoundsMax: 1024,

  // Hub (docs/hub.md).
  ...hubLimits,
  ...relayLimits,

  // Credentials (admission).
  presentedBytesMax: 16 * KiB,
  /** Passports a node keeps of others, and of those one delegate signed. */
  passportsKeptMax: 4096,
  passportsPerDelegateMax: 1024,
  /** Messages of one sender that wait, bad passports he may tell, and how long nothing of him is looked at then. */
  passportTellsWaitingMax: 4,
  passportsRefusedMax: 16,
  passportTellMuteMs: minute,
  passportBytesMax: 4 * KiB,
  clockSkewMs: 5 * minute,
  clientCertificateMs: 24 * 60 * minute,
  storageCertificateMs: 30 * 24 * 60 * minute,
} as const;
