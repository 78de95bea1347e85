// What the seeds have reached, and what of the whole they have not: faults, messages and answers, states of the protocols. Names
// are `kind/what`; a name that is expected and was never reached is printed, so that nothing is taken for tested that is not.

export class Coverage {
  private readonly counts = new Map<string, number>();
  private readonly expected = new Set<string>();

  reach(name: string, times = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + times);
  }

  /** Something that could be reached. */
  expect(...names: readonly string[]): void {
    for (const name of names) this.expected.add(name);
  }

  count(name: string): number {
    return this.counts.get(name) ?? 0;
  }

  merge(other: Coverage): void {
    for (const [name, count] of other.counts) this.reach(name, count);
    this.expect(...other.expected);
  }

  get missing(): string[] {
    return [...this.expected].filter((name) => this.count(name) === 0).sort();
  }

  /** Lines for people: everything reached with how often, by kind; then what was not. */
  report(): string {
    const lines: string[] = [];
    const kinds = new Map<string, string[]>();
    for (const [name, count] of [...this.counts].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const [kind = '', ...rest] = name.split('/');
      const list = kinds.get(kind) ?? [];
      list.push(`${rest.join('/')} ${count}`);
      kinds.set(kind, list);
    }
    for (const [kind, list] of kinds) lines.push(`${kind}:`, ...list.map((line) => `  ${line}`));
    lines.push(
      'not reached:',
      ...(this.missing.length > 0 ? this.missing.map((name) => `  ${name}${because(name)}`) : ['  (nothing)']),
    );
    return lines.join('\n');
  }
}

function because(name: string): string {
  const reason = outOfReach[name];
  return reason === undefined ? '' : `: ${reason}`;
}

const each = (kind: string, names: readonly string[]): string[] => names.map((name) => `${kind}/${name}`);

/** Answers by the unions of docs/formats-consensus.md and 4.6; messages are added as nodes serve them. */
export const knownAnswers: readonly string[] = [
  ...each('answer', [
    'reg entry',
    'reg promise',
    'reg accepted',
    'reg noted',
    'reg refused',
    'reg unknown',
    'reg denied',
  ]),
  ...each('answer', ['reg not-member', 'reg moved']),
  ...each('answer', ['jnl ok', 'jnl gap', 'jnl fenced', 'jnl wait', 'jnl closed', 'jnl tails', 'jnl batches']),
  ...each('answer', ['tree done', 'tree failed', 'tree moved', 'tree expired']),
];

export const knownStates: readonly string[] = [
  ...each('register', [
    'joint chosen',
    'simple chosen',
    'step out of joint',
    'change to disjoint members',
    'value while joint',
  ]),
  ...each('register', ['prepare', 'prepare with evidence', 'promise from a blank new member', 'accept', 'fast write']),
  ...each('register', [
    'fast read',
    'read by writing',
    'commit marked',
    'deleted',
    'two changes at once',
    'back to old members',
  ]),
  ...each('register', ['members shrink', 'record forgotten']),
  ...each('tree', [
    'recovering chosen',
    'active chosen',
    'idle chosen',
    'ensemble change',
    'commit',
    'takeover from idle',
  ]),
  ...each('tree', [
    'takeover by force',
    'journal replayed',
    'epochs above 5',
    'retry answered',
    'leased answer',
    'two segments',
  ]),
  ...each('tree', ['deposed leader executes', 'read during takeover', 'volatile operation', 'session expired']),
  ...each('store', [
    'damaged at opening',
    'set back noticed',
    'read repair',
    'pull copied',
    'full',
    'generation raised',
  ]),
  ...each('store', ['block dropped', 'block swept', 'record mended']),
  ...each('garbage', ['cycle asked for', 'generation chosen', 'sweep ordered', 'sweep of a deposed leader']),
  ...each('lock', ['exclusive', 'shared', 'granted', 'conflict', 'waiting', 'granted after a wait']),
  ...each('lock', ['taken up by the next leader', 'refused: lost']),
  ...each('answer', ['lock begun', 'lock later', 'lock unknown', 'lock over']),
];

export const knownFaults: readonly string[] = [
  ...each('fault', ['power cut', 'kill', 'node pause', 'cut', 'one-way cut', 'isolation', 'connections reset']),
  ...each('fault', ['client crash', 'client pause', 'pause of a leader beyond its lease', 'files client crash']),
  ...each('fault', ['loss', 'duplication', 'reordering', 'slow links', 'full disk', 'broken disk', 'bit rot']),
  ...each('fault', ['rotten header']),
  ...each('fault', ['clock step', 'disk loss', 'set-back disk', 'join', 'leave', 'ring scrambled']),
  ...each('fault', ['power cut everywhere', 'clock rate 1 %', 'clock rate 10 %', 'torn write']),
  ...each('fault', ['everything suspended for long', 'drain', 'drained', 'join of one that was drained']),
  ...each('course', ['zones', 'absence of seconds counts', 'quiet for long']),
];

/** What is expected and no schedule can reach, with the reason. */
export const outOfReach: Readonly<Record<string, string>> = {
  'message/block.have': 'served for others; this program asks by touching, which says the same and marks',
};

/**
 * docs/protocols.md 7.13, and what 8 lists as not checked by the models: done by names reached, or by tests of their own where no
 * schedule of whole nodes can do it.
 */
export const duties: readonly { duty: string; when: readonly string[]; elsewhere?: string }[] = [
  { duty: '7.13 stale replies', when: ['fault/reordering', 'fault/duplication'] },
  { duty: '7.13 one-way partitions', when: ['fault/one-way cut'] },
  { duty: '7.13 store loss with the same node id', when: ['fault/disk loss'] },
  { duty: '7.13 leader pause > L', when: ['fault/pause of a leader beyond its lease'] },
  { duty: '7.13 clock rate error 1 %', when: ['fault/clock rate 1 %'] },
  { duty: '7.13 clock rate error 10 %', when: ['fault/clock rate 10 %'] },
  { duty: '7.13 sweeps finished by a deposed leader', when: ['garbage/sweep of a deposed leader'] },
  { duty: '7.13 ring broken on purpose under live registers', when: ['fault/ring scrambled'] },
  { duty: '8 takeover time and back-off', when: ['tree/takeover by force', 'register/two changes at once'] },
  { duty: '8 fast path mixed with changes', when: ['register/fast write', 'register/value while joint'] },
  { duty: '8 two different changes at once', when: ['register/two changes at once'] },
  {
    duty: '8 more than one change and forgetting',
    when: ['register/back to old members', 'register/record forgotten'],
  },
  { duty: '8 skip forward', when: ['message/jnl.skip'] },
  { duty: '8 trim', when: ['message/jnl.trim'] },
  { duty: '8 volatile operations', when: ['tree/volatile operation'] },
  { duty: '8 session expiry', when: ['tree/session expired'] },
  { duty: '8 surplus copies dropped, with generations', when: ['store/block dropped', 'store/generation raised'] },
  { duty: '8 follower leases', when: ['tree/leased answer', 'message/tree.invalidate'] },
  { duty: '8 locks', when: ['lock/taken up by the next leader', 'lock/granted after a wait', 'lock/refused: lost'] },
  {
    duty: '8 kernel wait graph',
    when: [],
    elsewhere: 'no kernel is simulated: test/unit/gateway/fuse, test/end-to-end/mount-*.test.ts',
  },
  {
    duty: '8 malicious parties',
    when: [],
    elsewhere: 'test/simulator/lying-nodes.test.ts, test/unit/security, npm run fuzz',
  },
  { duty: '8 healing under continuing churn', when: ['fault/join', 'fault/leave', 'fault/drain', 'fault/power cut'] },
  {
    duty: '8 heal at R = 8 beyond 24 nodes',
    when: [],
    elsewhere: 'test/simulator/ring-scale.test.ts: rings of 10,000 nodes and more',
  },
  { duty: '8 several ensemble changes an epoch', when: ['tree/ensemble change', 'tree/two segments'] },
  { duty: '8 the root register not atomic', when: ['register/joint chosen', 'tree/takeover by force'] },
];

/** Which duties are not done. */
export function openDuties(coverage: Coverage): string[] {
  return duties
    .filter(({ when }) => when.some((name) => coverage.count(name) === 0))
    .map(({ duty, when }) => `${duty}: ${when.filter((name) => coverage.count(name) === 0).join(', ')}`);
}

/** Every duty, with how often or where it was done. */
export function dutyReport(coverage: Coverage): string {
  const line = ({ duty, when, elsewhere }: (typeof duties)[number]) =>
    `  ${duty}: ${elsewhere ?? when.map((name) => `${name} ${coverage.count(name)}`).join(', ')}`;
  return ['duties of docs/protocols.md 7.13 and 8:', ...duties.map(line)].join('\n');
}
