// What running commands are given in transcripts: answers at once, from memory.

import { type Bytes, compareBytes, toHex } from '../../src/core/base/bytes.ts';
import { InfinitError } from '../../src/core/base/errors.ts';
import type {
  Acting,
  CollectionFacts,
  CollectOptions,
  DestroyOptions,
  DiagnoseOptions,
  DrainFacts,
  Fetched,
  FetchServicesOptions,
  InspectWhat,
  OpenKeysOptions,
  RecoveryFacts,
  RunHubOptions,
  RunKeyValueStoreOptions,
  RunNetworkOptions,
  Running,
  RunVolumeOptions,
  Section,
  ThroughputFacts,
  ThroughputOptions,
  VolumeAttributeOptions,
  VolumeStatus,
  WorkerFacts,
} from '../../src/core/cli/running.ts';
import type { RunningJournals } from '../../src/core/cli/running-journals.ts';
import type { Founding, LinkedNetworkDescriptor, NetworkDescriptor } from '../../src/core/descriptor/descriptor.ts';
import { getKeyValueStore } from '../../src/core/descriptor/key-value-stores.ts';
import { getLink } from '../../src/core/descriptor/links.ts';
import { deleteTreeDescriptor, getTreeDescriptor } from '../../src/core/descriptor/tree-descriptors.ts';
import { getVolume } from '../../src/core/descriptor/volumes.ts';
import { serveVolumeScript } from '../../src/core/node/volume-script.ts';
import type { KeyChange, KeyStore, KeyValue, ListKeysOptions, PutKeyOptions } from '../../src/core/volume/keys.ts';
import { MemoryFiles } from '../fakes/memory-files.ts';
import { fakeJournals } from './fake-journals.ts';

const ready = { endpoints: ['127.0.0.1:4242'], pid: 4711 };

export class FakeRunning implements Omit<Running, keyof RunningJournals> {
  private readonly journals = fakeJournals();
  private readonly stores = new Map<string, FakeKeys>();
  private readonly volumes = new Map<string, VolumeStatus>();
  private readonly attributes = new Map<string, string>();
  private collections: CollectionFacts[] = [];

  /** As a module gives its functions: usable one by one. */
  bound(): Running {
    const { runNetwork, inspectNetwork, networkWorkers, listServices, runKeyValueStore, found } = this;
    const {
      createVolumeRoot,
      registerService,
      fetchServices,
      publishNetwork,
      networkSeen,
      drainNetwork,
      recoverNetwork,
    } = this;
    return {
      ...this.journals,
      ...{
        runNetwork,
        inspectNetwork,
        networkWorkers,
        listServices,
        runKeyValueStore,
        found,
        createVolumeRoot,
        registerService,
        fetchServices,
        publishNetwork,
        drainNetwork,
        recoverNetwork,
        networkSeen,
        runHub: this.runHub,
      },
      diagnose: (options) => this.diagnose(options),
      measureThroughput: (options) => this.measureThroughput(options),
      serveThroughput: (options) => this.serveThroughput(options),
      openKeys: (options) => this.openKeys(options),
      runVolume: (options) => this.runVolume(options),
      collect: (options) => this.collect(options),
      destroy: (options) => this.destroy(options),
      volumeStatus: (options) => this.volumeStatus(options),
      stopVolume: (options) => this.stopVolume(options),
      volumeAttribute: (options) => this.volumeAttribute(options),
    };
  }

  async runNetwork(options: RunNetworkOptions): Promise<void> {
    await getLink(options.context, options.as, options.name);
    options.ready(ready);
    if (!options.script) return;
    for await (const request of options.script.requests) options.script.reply({ success: true, request });
  }

  async runHub({ host, port, ready: tell, url, tls, prometheus: metrics }: RunHubOptions): Promise<void> {
    tell({ url: url ?? `${tls ? 'https' : 'http'}://${host}:${port}`, pid: 4711, ...(metrics && { metrics }) });
  }

  async inspectNetwork(options: Acting & { name: string; what: InspectWhat }): Promise<Record<string, unknown>> {
    const all = {
      status: 'running',
      peers: [{ id: 'q83vASNFZ4k=', connected: true, endpoints: ['10.0.0.2:4242', '10.0.0.3:4242'] }],
      redundancy: { desired_factor: 3, type: 'replication' },
    };
    return options.what === 'all' ? all : { [options.what]: all[options.what] };
  }

  async diagnose({ groups, as, variables, server }: DiagnoseOptions): Promise<Section[]> {
    const sections: Record<string, Section> = {
      configuration: { key: 'user', title: 'User', findings: [{ name: as, sane: as === 'alice', warning: false }] },
      system: {
        key: 'environment',
        title: 'Environment',
        findings: variables.map((name) => ({ name, sane: true, warning: true, reason: 'is set' })),
      },
      connectivity: {
        key: 'nodes',
        title: 'Nodes',
        findings: [
          {
            ...{ name: 'alice/n', sane: true, warning: true, reason: '1 of its 2 other nodes cannot be reached' },
            nodes: [
              { name: 'q83v', sane: true, warning: false, endpoint: 'desk:4242' },
              { name: 'SNFZ', sane: true, warning: true, reason: 'nobody takes a connection at lap:4242' },
            ],
          },
          ...(server === undefined ? [] : [{ name: server, sane: true, warning: false }]),
        ],
      },
      redundancy: {
        key: 'redundancy',
        title: 'Copies',
        findings: [
          { name: 'alice/n', sane: true, warning: true, reason: 'it does not run', hint: 'infinit network run' },
        ],
      },
    };
    return groups.flatMap((group) => sections[group] ?? []);
  }

  async measureThroughput({ modes, packetBytes, packets }: ThroughputOptions): Promise<ThroughputFacts[]> {
    const bytes = packetBytes * packets;
    return modes.map((mode) => ({ mode, bytes, ms: 500, bytes_per_second: bytes * 2 }));
  }

  async serveThroughput({ port, ready }: { port: number; ready(port: number): void }): Promise<void> {
    ready(port === 0 ? 4242 : port);
  }

  async publishNetwork({ name }: { name: string }): Promise<{ nodes: number }> {
    if (name.endsWith('unreachable')) throw new InfinitError('unavailable', 'no storage node is reachable');
    return { nodes: 3 };
  }

  async drainNetwork(options: Parameters<Running['drainNetwork']>[0]): Promise<DrainFacts & { name: string }> {
    const { name } = await getLink(options.context, options.as, options.name);
    const facts = { name, state: 'draining' as const, registers: 2, journals: 1, blocks: 40, confirmed: 17, copies: 2 };
    if (options.cancel) return { ...facts, state: 'idle' };
    options.progress(facts);
    return { ...facts, state: 'drained', registers: 0, journals: 0, confirmed: 40 };
  }

  async recoverNetwork(options: Parameters<Running['recoverNetwork']>[0]): Promise<RecoveryFacts & { name: string }> {
    const { name } = await getLink(options.context, options.as, options.name);
    if (options.peers === undefined) return { name, checked: 3, lost: [] };
    const missing = ['ab'.repeat(32), 'cd'.repeat(32)];
    const part = { members: 3, copies: 1, missing };
    const lost: RecoveryFacts['lost'] = [
      { what: 'network', name: null, ...part, owned: true },
      { what: 'tree', name: 'alice/notes', ...part, owned: true },
      { what: 'tree', name: '#0badcafe', ...part, owned: false },
    ];
    await options.confirm({ checked: 3, lost });
    return { name, checked: 3, lost };
  }

  async networkSeen({ name }: { name: string }): Promise<{ nodes: number }> {
    return { nodes: name.endsWith('busy') ? 2 : 0 };
  }

  async networkWorkers(): Promise<WorkerFacts[]> {
    return [
      { name: 'repair', state: 'working', backlog: 12, counters: { compared: 40, copied: 7 } },
      { name: 'scrub', state: 'idle', counters: { read: 1200, bad: 0 }, last_error: 'no answer from 10.0.0.2:4242' },
    ];
  }

  async listServices(): Promise<{ volumes: string[] | null; kvs: string[] | null }> {
    return { volumes: null, kvs: ['alice/settings'] };
  }

  async registerService({ context, as, kind, name }: Parameters<Running['registerService']>[0]): Promise<void> {
    const { network } = await getTreeDescriptor(context, kind, as, name);
    if (network.endsWith('/unreachable')) throw new InfinitError('unavailable', `network "${network}" is unreachable`);
  }

  async fetchServices({ kind, name, network }: FetchServicesOptions): Promise<Fetched[]> {
    if (name === 'alice/nowhere') throw new InfinitError('not-found', `volume "${name}" is not registered`);
    const failed = { kind: 'network', name: 'alice/away', result: 'failed' } as const;
    const error = new InfinitError('unavailable', 'no storage node is reachable');
    const found = { kind, name: name ?? 'alice/registered', result: 'saved' } as const;
    return network === undefined && name === undefined ? [found, { ...failed, error }] : [found];
  }

  async runKeyValueStore(options: RunKeyValueStoreOptions): Promise<void> {
    options.ready(ready);
  }

  async runVolume(options: RunVolumeOptions): Promise<void> {
    const { name, mount_options } = await getVolume(options.context, options.as, options.name);
    const mountpoint = options.mount.mountpoint ?? mount_options.mountpoint ?? null;
    if (options.mustMount && mountpoint === null) throw new InfinitError('usage', 'missing option: --mountpoint');
    const status: VolumeStatus = { name, status: 'running', mountpoint, role: 'leader', epoch: 1, dirty_bytes: 0 };
    if (options.daemon) this.volumes.set(name, status);
    options.ready({ name, mountpoint, ...ready });
    if (!options.script) return;
    const files = new MemoryFiles();
    await serveVolumeScript({ files, uid: 0, gid: 0, blockBytes: 4096 }, options.script);
  }

  async createVolumeRoot(options: Acting & { name: string }): Promise<void> {
    const { network } = await getVolume(options.context, options.as, options.name);
    if (network.endsWith('/unreachable')) throw new InfinitError('unavailable', `network "${network}" is unreachable`);
  }

  async volumeStatus(options: Acting & { name: string }): Promise<VolumeStatus> {
    const { name } = await getVolume(options.context, options.as, options.name);
    return this.volumes.get(name) ?? { name, status: 'stopped' };
  }

  /** Each answer shows the cycle a little further. */
  /** Two of three nodes are rid of it, the third one is away. */
  async destroy({ context, as, kind, name: given, force, progress }: DestroyOptions) {
    const get = kind === 'volume' ? getVolume : getKeyValueStore;
    const { name } = await get(context, as, given);
    const running = this.volumes.get(name)?.status === 'running';
    if (running && !force) throw new InfinitError('conflict', `volume "${name}" is running on this device`);
    await deleteTreeDescriptor(context, kind, as, name);
    progress({ nodes: 1, of: 3, missed: 0, copies: 4, bytes: 4000 });
    const facts = { nodes: 2, of: 3, missed: 1, copies: 9, bytes: 9_000_000 };
    progress(facts);
    return { name, ...facts };
  }

  async collect({
    context,
    as,
    kind,
    name: given,
    begin,
    graceMs,
    progress,
  }: CollectOptions): Promise<CollectionFacts> {
    const { name } = await (kind === 'volume' ? getVolume(context, as, given) : getKeyValueStore(context, as, given));
    if (kind === 'volume' && !this.volumes.has(name))
      throw new InfinitError('unavailable', `volume "${name}" is not running on this device`);
    if (begin) {
      const ended = '2026-01-01T00:00:00.000Z';
      const last = { generation: 2, nodes: 2, missed: 1, bytes: 4_200_000, copies: 12, ended };
      this.collections = [
        { name, state: 'idle', generation: 1, asked: true },
        { name, state: 'waiting', generation: 2, asked: false, wait_ms: graceMs ?? 3_600_000 },
        { name, state: 'idle', generation: 2, asked: false, last },
      ];
    }
    while (progress !== undefined && this.collections.length > 1) progress(this.collections.shift() as CollectionFacts);
    const [next, ...rest] = this.collections;
    if (rest.length > 0) this.collections = rest;
    return next ?? { name, state: 'idle', generation: 0, asked: false };
  }

  async stopVolume(options: Acting & { name: string }): Promise<VolumeStatus> {
    const { name, status } = await this.volumeStatus(options);
    if (status === 'stopped') throw new InfinitError('unavailable', `volume "${name}" is not running on this device`);
    this.volumes.delete(name);
    return { name, status: 'stopped' };
  }

  async volumeAttribute({ path, attribute, value }: VolumeAttributeOptions): Promise<string> {
    const key = `${path} ${attribute}`;
    if (value !== undefined) this.attributes.set(key, value);
    const found = this.attributes.get(key);
    if (found === undefined) throw new InfinitError('not-found', `${path} has no attribute "${attribute}"`);
    return found;
  }

  async openKeys(options: OpenKeysOptions): Promise<{ keys: KeyStore; close(): Promise<void> }> {
    const { name } = await getKeyValueStore(options.context, options.as, options.name);
    const keys = this.stores.get(name) ?? new FakeKeys();
    this.stores.set(name, keys);
    return { keys, close: async () => {} };
  }

  async found(
    _acting: Acting,
    link: LinkedNetworkDescriptor,
    seal: (founding: Founding) => NetworkDescriptor,
  ): Promise<Founding> {
    const founding = {
      register: Buffer.alloc(32, 1).toString('base64'),
      node: link.node_id,
      store: Buffer.alloc(8, 2).toString('base64'),
    };
    seal(founding);
    return founding;
  }
}

class FakeKeys implements KeyStore {
  private readonly values = new Map<string, KeyValue>();
  private version = 0;

  async get(key: Bytes): Promise<KeyValue> {
    const found = this.values.get(toHex(key));
    if (!found) throw new InfinitError('not-found', `key "${Buffer.from(key).toString()}" does not exist`);
    return found;
  }

  async put(key: Bytes, value: Bytes, options: PutKeyOptions = {}): Promise<number> {
    const known = this.values.get(toHex(key));
    if (options.ifAbsent && known) throw new InfinitError('exists', 'the key exists');
    if (options.ifVersion !== undefined && known?.version !== options.ifVersion) {
      throw new InfinitError('conflict', 'the key has another version');
    }
    const version = ++this.version;
    this.values.set(toHex(key), { key, value, version });
    return version;
  }

  async delete(key: Bytes): Promise<boolean> {
    return this.values.delete(toHex(key));
  }

  async list(options: ListKeysOptions = {}) {
    const { prefix = Buffer.alloc(0), startAfter, limit = 1000 } = options;
    const all = [...this.values.values()]
      .filter(({ key }) => Buffer.from(key).subarray(0, prefix.length).equals(prefix))
      .filter(({ key }) => startAfter === undefined || compareBytes(key, startAfter) > 0)
      .sort((a, b) => compareBytes(a.key, b.key));
    const entries = all.slice(0, limit).map(({ key, value, version }) => ({ key, version, size: value.length }));
    return { entries, truncated: all.length > limit };
  }

  async *watch(prefix: Bytes): AsyncIterable<KeyChange> {
    yield { type: 'put', key: Buffer.concat([prefix, Buffer.from('a')]), version: 7 };
    yield { type: 'delete', key: Buffer.concat([prefix, Buffer.from('b')]), version: 8 };
  }
}
