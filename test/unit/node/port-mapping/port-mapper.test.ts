// Ports asked of a router that loses messages, lies, refuses, forgets, or is another one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PortMapper } from '../../../../src/core/node/port-mapping/port-mapper.ts';
import { formatEndpoint } from '../../../../src/core/runtime/endpoint.ts';
import { createWorld, type World } from '../../../simulator/runtime/world.ts';
import { FakeRouter, type Language } from './fake-router.ts';

const own = '192.168.1.7';
const other = '192.168.1.8';
const languages: Language[] = ['PCP', 'NAT-PMP', 'UPnP'];

interface Options {
  loss?: number;
  speaks?: Language[];
  prepare?: (router: FakeRouter) => void;
}

async function scene({ loss = 0, speaks = languages, prepare }: Options = {}) {
  const logged: string[] = [];
  const world = createWorld({
    seed: 1,
    link: { loss },
    log: ({ level, message }) => logged.push(`${level} ${message}`),
  });
  const router = new FakeRouter(world, '192.168.1.1', ...speaks);
  await router.start();
  prepare?.(router);
  const told: (string | undefined)[] = [];
  const make = (address = own, nonce = 'a nonce here') =>
    new PortMapper({
      runtime: router.client(address),
      port: () => 4242,
      nonce: Buffer.from(nonce),
      changed: (external) => told.push(external && formatEndpoint(external)),
    });
  return { world, router, told, logged, make, mapper: make() };
}

async function until(world: World, reached: () => boolean): Promise<void> {
  await world.run(reached);
}

for (const language of languages) {
  test(`a port by ${language}: got, renewed, taken off at the end`, async () => {
    const { world, router, told, mapper } = await scene({ speaks: [language] });
    mapper.start();
    await until(world, () => told.length > 0);
    assert.deepEqual(told, ['203.0.113.9:4242']);
    assert.deepEqual(
      [...router.forwarded].map(([port, { client }]) => [port, client]),
      [[4242, own]],
    );
    assert.equal(router.forwarded.get(4242)?.leaseSeconds, 1200);
    router.asked.length = 0;
    await world.runFor(11 * 60_000);
    const renewals = router.asked.filter((what) => / map 1200| Add/.test(what));
    assert.equal(renewals.length, 1, router.asked.join());
    assert.equal(told.length, 1);
    await world.settle(mapper.stop());
    assert.equal(router.forwarded.size, 0);
    assert.deepEqual(told, ['203.0.113.9:4242', undefined]);
  });

  test(`by ${language}, with half of the messages lost`, async () => {
    const { world, router, told, mapper } = await scene({ speaks: [language], loss: 0.5 });
    mapper.start();
    await until(world, () => told.length > 0);
    assert.equal(told[0], '203.0.113.9:4242');
    await world.settle(mapper.stop());
    assert.ok(router.forwarded.size <= 1);
  });

  test(`by ${language}, a router that begins anew is asked again within minutes`, async () => {
    const { world, router, told, mapper } = await scene({ speaks: [language] });
    mapper.start();
    await until(world, () => told.length > 0);
    await world.runFor(3 * 60_000);
    router.restart();
    assert.equal(router.forwarded.size, 0);
    await world.runFor(2 * 60_000);
    assert.equal(router.forwarded.get(4242)?.client, own);
    router.restart();
    router.external = '203.0.113.77';
    await world.runFor(2 * 60_000);
    assert.equal(told.at(-1), '203.0.113.77:4242');
    await world.settle(mapper.stop());
  });

  test(`by ${language}, a port that another machine has is not taken from it`, async () => {
    for (const change of [{ version: 1 }, { version: 1, careless: true }, { version: 2 }]) {
      const prepare = (one: FakeRouter) => Object.assign(one, change);
      const { world, router, told, mapper } = await scene({ speaks: [language], prepare });
      router.forwarded.set(4242, { client: other, port: 4242, leaseSeconds: 0 });
      mapper.start();
      await until(world, () => told.length > 0);
      const [, port] = told[0]?.split(':') ?? [];
      assert.notEqual(port, '4242');
      assert.equal(router.forwarded.get(4242)?.client, other);
      assert.equal(router.forwarded.get(Number(port))?.client, own);
      await world.settle(mapper.stop());
      assert.deepEqual([...router.forwarded.keys()], [4242]);
    }
  });

  test(`by ${language}, addresses nobody can be at are not told`, async () => {
    for (const external of ['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255', '169.254.1.1', own]) {
      const { world, told, logged, mapper } = await scene({
        speaks: [language],
        prepare: (one) => (one.external = external),
      });
      mapper.start();
      await world.runFor(60_000);
      assert.deepEqual(told, [], external);
      assert.ok(logged.includes('info the router forwards no port'));
      await world.settle(mapper.stop());
    }
  });
}

test('a router behind another one has a private address: those between them dial it', async () => {
  const { world, told, mapper } = await scene({ prepare: (one) => (one.external = '10.0.0.3') });
  mapper.start();
  await until(world, () => told.length > 0);
  assert.deepEqual(told, ['10.0.0.3:4242']);
  await world.settle(mapper.stop());
});

test('a router that refuses, or says nothing, is asked ever more rarely, and that is no error', async () => {
  for (const speaks of [[], languages.slice(0, 2)] as Language[][]) {
    const { world, router, told, logged, mapper } = await scene({ speaks, prepare: (one) => (one.refusal = 2) });
    mapper.start();
    await world.runFor(6 * 60 * 60_000);
    assert.deepEqual(told, []);
    const failures = logged.filter((line) => line.endsWith('the router forwards no port'));
    assert.equal(failures.filter((line) => line.startsWith('info')).length, 1);
    assert.ok(failures.length > 5 && failures.length < 25, `${failures.length}`);
    assert.ok(logged.every((line) => /^(info|debug) /.test(line)));
    router.refusal = 0;
    router.speaks.add('PCP');
    await until(world, () => told.length > 0);
    await world.settle(mapper.stop());
    assert.equal(router.forwarded.size, 0);
  }
});

test('a router that goes away: the mapping counts until its time is over', async () => {
  const { world, router, told, mapper } = await scene();
  mapper.start();
  await until(world, () => told.length > 0);
  router.speaks.clear();
  await world.runFor(10 * 60_000);
  assert.equal(told.length, 1);
  await world.runFor(15 * 60_000);
  assert.deepEqual(told, ['203.0.113.9:4242', undefined]);
  await world.settle(mapper.stop());
});

test('a router that has begun anew and refuses: the mapping is gone at once', async () => {
  const { world, router, told, mapper } = await scene({ speaks: ['PCP'] });
  mapper.start();
  await until(world, () => told.length > 0);
  await world.runFor(3 * 60_000);
  router.restart();
  router.refusal = 8;
  await world.runFor(2 * 60_000);
  assert.deepEqual(told, ['203.0.113.9:4242', undefined]);
  await world.settle(mapper.stop());
});

test('by PCP, answers about another mapping are not heard, and nobody else takes one off', async () => {
  const { world, router, told, make, mapper } = await scene({ speaks: ['PCP'] });
  mapper.start();
  await until(world, () => told.length > 0);
  told.length = 0;
  const thief = make(own, 'another here');
  thief.start();
  await world.runFor(10_000);
  await world.settle(thief.stop());
  assert.equal(told.length, 0);
  assert.equal(router.forwarded.size, 1);
  const runtime = router.client(own);
  const deaf = new PortMapper({
    runtime: { ...runtime, datagrams: { router: () => runtime.datagrams.router(), open: scrambled } },
    port: () => 4242,
    nonce: Buffer.from('a nonce here'),
    changed: (external) => told.push(external && formatEndpoint(external)),
  });
  async function scrambled() {
    const socket = await runtime.datagrams.open({ port: 0 });
    return {
      port: socket.port,
      send: (bytes: Uint8Array, to: { host: string; port: number }) => socket.send(bytes, to),
      close: () => socket.close(),
      onMessage: (receive: (bytes: Buffer, from: { host: string; port: number }) => void) =>
        socket.onMessage((bytes, from) => receive(bytes.length > 30 ? bytes.fill(1, 24, 36) : bytes, from)),
    };
  }
  deaf.start();
  await world.runFor(60_000);
  assert.equal(told.length, 0);
  await world.settle(deaf.stop());
  await world.settle(mapper.stop());
});

test('what is not from the router is not heard', async () => {
  const { world, router, told, mapper } = await scene({ speaks: ['NAT-PMP'] });
  const liar = await world.settle(world.host('192.168.1.66').runtime.datagrams.open({ port: 5351 }));
  const lie = Buffer.from([0, 0x80, 0, 0, 0, 0, 0, 9, 198, 51, 100, 1]);
  const other = Buffer.from([0, 0x82, 0, 0, 0, 0, 0, 9, 0x10, 0x92, 0, 80, 0, 0, 4, 0]);
  const spray = () => {
    for (let port = 50_000; port < 50_010; port++)
      for (const bytes of [lie, other]) liar.send(bytes, { host: own, port });
    world.host('192.168.1.66').runtime.clock.after(1, spray);
  };
  spray();
  mapper.start();
  await until(world, () => told.length > 0);
  assert.deepEqual(told, ['203.0.113.9:4242']);
  await world.settle(mapper.stop());
  router.stop();
});

test('a router that describes itself, or is called, elsewhere is not followed', async () => {
  const places: ((router: FakeRouter) => void)[] = [
    (router) => (router.location = 'http://192.168.1.66:5000/root.xml'),
    (router) => (router.location = 'https://192.168.1.1:5000/root.xml'),
    (router) => (router.location = 'http://router.example:5000/root.xml'),
    (router) => (router.location = 'file:///etc/passwd'),
    (router) => (router.location = 'nonsense'),
    (router) => (router.controlUrl = 'http://192.168.1.66:5000/ctl'),
    (router) => (router.controlUrl = '//192.168.1.66/ctl'),
  ];
  for (const prepare of places) {
    // The fake router throws what is no refusal when anybody else is called.
    const { world, told, mapper } = await scene({ speaks: ['UPnP'], prepare });
    mapper.start();
    await world.runFor(60_000);
    assert.deepEqual(told, []);
    await world.settle(mapper.stop());
  }
});

test('a router that only makes mappings that last makes one', async () => {
  for (const version of [1, 2]) {
    const prepare = (router: FakeRouter) => Object.assign(router, { permanentOnly: true, version });
    const { world, router, told, mapper } = await scene({ speaks: ['UPnP'], prepare });
    mapper.start();
    await until(world, () => told.length > 0);
    assert.equal(router.forwarded.get(4242)?.leaseSeconds, 0);
    await world.settle(mapper.stop());
    assert.equal(router.forwarded.size, 0);
  }
});

test('a mapping made before a crash is taken up again', async () => {
  for (const language of languages) {
    const { world, router, told, make, mapper } = await scene({ speaks: [language] });
    mapper.start();
    await until(world, () => told.length > 0);
    world.host(own).restart();
    told.length = 0;
    const next = make();
    next.start();
    await until(world, () => told.length > 0);
    assert.deepEqual(told, ['203.0.113.9:4242'], language);
    await world.settle(next.stop());
    assert.equal(router.forwarded.size, 0);
  }
});

test('this machine at another address, behind another router, or behind none', async () => {
  const { world, router, told, mapper } = await scene();
  const second = new FakeRouter(world, '192.168.2.1', 'PCP');
  await second.start();
  second.external = '198.51.100.5';
  mapper.start();
  await until(world, () => told.length > 0);
  world.network.ways.set(own, { address: second.address, own: '192.168.2.7' });
  await world.runFor(2 * 60_000);
  assert.deepEqual(told.slice(1), [undefined, '198.51.100.5:4242']);
  world.network.ways.delete(own);
  await world.runFor(2 * 60_000);
  assert.equal(told.at(-1), undefined);
  const before = router.asked.length + second.asked.length;
  world.network.ways.set(own, { address: '192.0.2.1', own: '192.0.2.2' });
  await world.runFor(10 * 60_000);
  assert.equal(router.asked.length + second.asked.length, before);
  await world.settle(mapper.stop());
});

test('a router that gives seconds only is not asked all the time', async () => {
  const { world, router, told, mapper } = await scene({ speaks: ['PCP'], prepare: (one) => (one.leaseMaxSeconds = 1) });
  mapper.start();
  await until(world, () => told.length > 0);
  await world.runFor(10 * 60_000);
  assert.ok(router.asked.length < 60, `${router.asked.length}`);
  await world.settle(mapper.stop());
});

test('stopping ends within seconds, although the router says nothing', async () => {
  const { world, router, told, mapper } = await scene();
  mapper.start();
  await until(world, () => told.length > 0);
  router.speaks.clear();
  const before = world.nowMs;
  await world.settle(mapper.stop());
  assert.ok(world.nowMs - before < 10_000);
});
