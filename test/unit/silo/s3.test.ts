import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { systemHttp } from '../../../src/core/runtime/system/http.ts';
import { S3Bucket } from '../../../src/core/silo/objects/s3/bucket.ts';
import { openSilo } from '../../../src/core/silo/registry.ts';
import { fails, keyOf } from '../../conformance/silo.ts';
import { type S3Server, s3Keys, startS3Server } from '../../fakes/s3-server.ts';
import { siloRuntime } from './runtime.ts';

let server: S3Server;
before(async () => {
  server = await startS3Server();
});
after(() => server.close());

const runtime = () => ({ ...siloRuntime(), http: systemHttp() });
const place = (folder: string) => ({
  account: 'trial',
  bucket: server.bucket,
  folder,
  region: 'us-east-1',
  endpoint: server.endpoint,
});
const key = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER', region: 'us-east-1' };
const optionsOf = (folder: string) => ({
  runtime: runtime(),
  place: place(folder),
  service: 'aws' as const,
  key,
  storageClass: undefined,
});
const bucket = (folder: string) => new S3Bucket(optionsOf(folder));
const config = (folder: string) => ({ type: 's3', aws_credentials: place(folder) });

describe('a bucket', () => {
  it('keeps objects and reads parts of them', async () => {
    const store = bucket('parts/in depth');
    await store.put('pack-1', [Buffer.from('one '), Buffer.from('two')]);
    assert.equal((await store.get('pack-1')).toString(), 'one two');
    assert.equal((await store.get('pack-1', { offset: 4, length: 100 })).toString(), 'two');
    assert.equal((await store.get('pack-1', { offset: 100, length: 1 })).length, 0);
    await store.delete('pack-1');
    await store.delete('pack-1');
    await fails('not-found', store.get('pack-1'));
  });

  it('lists its folder only', async () => {
    const store = bucket('many');
    await bucket('many2').put('pack-other', [Buffer.of(1)]);
    await Promise.all(['pack-1', 'pack-2', 'checkpoint-1'].map((name) => store.put(name, [Buffer.from(name)])));
    assert.deepEqual((await listed(store, 'pack-')).sort(), ['pack-1 6', 'pack-2 6']);
  });

  it('lists page after page, each from the last name of the one before', async () => {
    const keys = Array.from({ length: 2500 }, (_, i) => `f/pack-${String(i).padStart(13, '0')}`);
    const request = async ({ url }: { url: string }) => {
      const after = new URL(url).searchParams.get('start-after') ?? '';
      const rest = keys.filter((key) => key > after);
      const page = rest.slice(0, 1000).map((key) => `<Contents><Key>${key}</Key><Size>7</Size></Contents>`);
      const more = `<IsTruncated>${rest.length > 1000}</IsTruncated>`;
      const body = Buffer.from(`<ListBucketResult>${more}${page.join('')}</ListBucketResult>`);
      return { status: 200, headers: {}, body };
    };
    const store = new S3Bucket({ ...optionsOf('f'), runtime: { ...runtime(), http: { request } } });
    assert.deepEqual(
      await listed(store, 'pack-'),
      keys.map((key) => `${key.slice(2)} 7`),
    );
  });
});

async function listed(store: S3Bucket, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, bytes } of store.list(prefix)) found.push(`${name} ${bytes}`);
  return found;
}

describe('what goes wrong has a name and a next step', () => {
  const opening = (change: object, secret: Record<string, string> = s3Keys) =>
    openSilo({ type: 's3', aws_credentials: { ...place('wrong'), ...change } }, runtime(), {
      secrets: async () => secret,
    });

  it('wrong credentials', async () => {
    const refused = (error: InfinitError) => {
      assert.equal(error.kind, 'denied');
      assert.match(error.message, /refuses AWS credentials "trial" \(/);
      assert.equal(error.hint, 'infinit credentials add --aws trial --replace');
      assert.ok(!`${error.stack}${JSON.stringify(error)}`.includes('S3RVER'));
      return true;
    };
    await assert.rejects(opening({}, { ...s3Keys, access_key_id: 'NOBODY' }), refused);
    // The server of these tests does not check signatures; others answer so.
    const body = Buffer.from('<Error><Code>SignatureDoesNotMatch</Code></Error>');
    const http = { request: async () => ({ status: 403, headers: {}, body }) };
    await assert.rejects(openSilo(config('wrong'), { ...runtime(), http }, { secrets: async () => s3Keys }), refused);
  });

  it('a bucket in another region, and a clock that is wrong', async () => {
    const answering = (status: number, body: string, headers = {}) => {
      const http = { request: async () => ({ status, headers, body: Buffer.from(body) }) };
      return openSilo(config('wrong'), { ...runtime(), http }, { secrets: async () => s3Keys });
    };
    await assert.rejects(
      answering(301, '', { 'x-amz-bucket-region': 'eu-west-3' }),
      /is in region eu-west-3, not us-east-1/,
    );
    await assert.rejects(answering(403, '<Error><Code>RequestTimeTooSkewed</Code></Error>'), /check the system clock/);
  });

  it('no such bucket', async () => {
    await assert.rejects(opening({ bucket: 'nowhere' }), (error: InfinitError) => {
      assert.equal(error.kind, 'usage');
      assert.match(error.message, /bucket "nowhere" does not exist at http:/);
      return true;
    });
  });

  it('a folder that holds something else', async () => {
    await bucket('taken').put('holiday.jpg', [Buffer.from('x')]);
    await fails('corrupt', opening({ folder: 'taken' }));
  });
});

describe('a server that comes and goes', () => {
  it('is tried again while it is busy or away, and nothing is lost or done twice', async () => {
    const { request } = systemHttp();
    let calls = 0;
    const flaky = async (...given: Parameters<typeof request>) => {
      calls++;
      if (calls % 4 === 1) throw new InfinitError('unavailable', 'no answer');
      const answer = await request(...given);
      if (calls % 4 === 2) return { status: 503, headers: {}, body: Buffer.alloc(0) };
      return answer;
    };
    const surroundings = { secrets: async () => s3Keys };
    const silo = await openSilo(config('flaky'), { ...runtime(), http: { request: flaky } }, surroundings);
    for (let i = 0; i < 20; i++) await silo.put('block', keyOf(i), Buffer.from(`value ${i}`));
    assert.equal(silo.sequence(), 20);
    await silo.close();
    const again = await openSilo(config('flaky'), runtime(), surroundings);
    assert.equal(again.sequence(), 20);
    for (let i = 0; i < 20; i++) assert.equal((await again.get('block', keyOf(i))).toString(), `value ${i}`);
    await again.close();
  });

  it('is given up after the time that is stated, and then refuses', async () => {
    let now = 0;
    const clock = { ...runtime().clock, monotonic: () => now, sleep: async (ms: number) => void (now += ms) };
    const { request } = systemHttp();
    let away = false;
    const http = {
      request: async (...given: Parameters<typeof request>) => {
        if (away) throw new InfinitError('unavailable', 'no answer');
        return request(...given);
      },
    };
    const silo = await openSilo(config('away'), { ...runtime(), clock, http }, { secrets: async () => s3Keys });
    away = true;
    await fails('unavailable', silo.put('block', keyOf(1), Buffer.from('x')));
    assert.ok(now > limits.objectOutageMs * 0.9 && now < limits.objectOutageMs * 1.1, `${now} ms`);
    away = false;
    await fails('unavailable', silo.put('block', keyOf(2), Buffer.from('x')));
    await silo.close();
  });
});
