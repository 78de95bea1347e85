// The limits of the hub (docs/hub.md): a part of `limits.ts`, by which they are read.

const KiB = 1024;
const MiB = 1024 * KiB;
const second = 1000;
const minute = 60 * second;

export const hubLimits = {
  hubBodyBytesMax: 2_500_000,
  hubAnswerBytesMax: 64 * MiB,
  hubPictureBytesMax: 1 * MiB,
  /** Either way, as in the original. */
  hubClockSkewMs: 5 * minute,
  hubListMax: 10_000,
  /** Networks, volumes, key-value stores of one user, each. */
  hubOwnedMax: 1000,
  hubPassportsPerNetworkMax: 10_000,
  hubPassportsPerUserMax: 1000,
  /** Of one user in one network. */
  hubNodesPerUserMax: 256,
  hubAddressesMax: 16,
  /** A node that says nothing for so long is forgotten. */
  hubNodeMemoryMs: 24 * 60 * minute,
  hubSweepPeriodMs: minute,
  /** Clients whose rates are remembered. */
  hubClientsMax: 65_536,
  hubAddressRate: { burst: 4000, perSecond: 1000 },
  hubUserRate: { burst: 400, perSecond: 50 },
  /** Requests of an address that are not well signed, and new users from one. */
  hubRefusedRate: { burst: 100, perSecond: 1 },
  hubEnrolRate: { burst: 200, perSecond: 1 },
  /** Tries to log in as one user. */
  hubLoginRate: { burst: 10, perSecond: 0.1 },
  /** How long a key waits for another device, and for how long it is known after that it did. */
  hubPairingMs: 5 * minute,
  hubPairingMemoryMs: 60 * minute,
  /** Tries to take one user's: 15 in its time. */
  hubPairingRate: { burst: 5, perSecond: 1 / 30 },
  /** Between two mails to one user, and how long a code is good. */
  hubMailPeriodMs: minute,
  hubCodeMs: 24 * 60 * minute,
  /** Of a link that signs in on the page, and what it gives. */
  hubWebCodeMs: 5 * minute,
  hubWebSessionMs: 12 * 60 * minute,
  hubWebSessionsMax: 10,
  /** Networks, nodes of one, volumes, drives that a page shows. */
  hubPageItemsMax: 200,
  /** Mails on behalf of one user, and to one address. */
  hubMailUserRate: { burst: 200, perSecond: 0.01 },
  hubMailAddressRate: { burst: 10, perSecond: 0.001 },
  smtpTimeoutMs: 20 * second,
  smtpLineBytesMax: 8 * KiB,
  smtpLinesMax: 100,
  ldapTimeoutMs: 20 * second,
  ldapPageEntries: 500,
  /** Of one search, and what a server may say on one connection. */
  ldapEntriesMax: 100_000,
  ldapBytesMax: 512 * MiB,
  ldapDnCharsMax: 2048,
  ldapPasswordCharsMax: 1024,
  /** Names of members asked for at once. */
  ldapNamesPerSearch: 50,
  /** Groups in groups. */
  ldapGroupsMax: 10_000,
  /** People put on a hub by one request, and tries to find a name for one that nobody has. */
  ldapUsersPerRequest: 500,
  ldapNameTriesMax: 100,
  /** Tries of one person's password of the directory, by all clients of a hub. */
  hubDirectoryRate: { burst: 5, perSecond: 0.05 },
  /** Passwords a hub has the directory check at once. */
  hubDirectoryAskingMax: 64,
  hubConnectionsMax: 4096,
  hubRequestTimeoutMs: 30 * second,
  hubIdleTimeoutMs: 60 * second,
  hubCallTimeoutMs: 20 * second,
  /** Of a client that has much to tell: after an answer that it asks too often. */
  hubPatienceMs: 2 * second,
  hubPatienceTriesMax: 100,
} as const;
