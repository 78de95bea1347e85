import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { InfinitError } from '../../../src/core/base/errors.ts';
import { deferred } from '../../../src/core/base/lifecycle.ts';
import type { HttpClient } from '../../../src/core/runtime/runtime.ts';
import { DriveFolder, googleSignIn } from '../../../src/core/silo/objects/google/google-drive.ts';
import { Tokens } from '../../../src/core/silo/objects/oauth.ts';
import { openSilo } from '../../../src/core/silo/registry.ts';
import { signInToDropbox, signInToGoogleDrive } from '../../../src/core/silo/sign-in.ts';
import { fails, keyOf } from '../../conformance/silo.ts';
import { DriveServer } from '../../fakes/drive-server.ts';
import { siloRuntime } from './runtime.ts';

const server = new DriveServer();
before(() => server.start());
after(() => server.close());

const runtime = () => ({ ...siloRuntime(), http: server.client });
const kept = {
  dropbox: { app_key: 'app', app_secret: 'app secret', refresh_token: 'refresh-me' },
  'google-drive': { client_id: 'app', client_secret: 'app secret', refresh_token: 'refresh-me' },
};

describe('signing in', () => {
  const application = { clientId: 'app', clientSecret: 'app secret' };
  /** Time passes at once; the person enters the code after so many questions. */
  const patient = (questions: number) => {
    const slept: number[] = [];
    const clock = { ...runtime().clock };
    clock.sleep = async (timeMs) => {
      slept.push(timeMs);
      server.entered = slept.length > questions;
    };
    return { parts: { ...runtime(), clock }, slept };
  };

  it('to Google Drive shows a code and waits until it was entered, slower when asked to', async () => {
    const { parts, slept } = patient(3);
    server.pending = ['authorization_pending', 'slow_down'];
    const shown: string[] = [];
    const secret = await signInToGoogleDrive(parts, application, (...words) => shown.push(...words));
    assert.deepEqual(shown, ['https://www.google.com/device', 'ABCD-EFGH']);
    assert.deepEqual(secret, kept['google-drive']);
    assert.deepEqual(slept, [5000, 5000, 10_000, 10_000]);
  });

  it('ends when the person refuses, when the application is unknown, or when it is cancelled', async () => {
    server.pending = ['access_denied'];
    await fails(
      'denied',
      signInToGoogleDrive(patient(9).parts, application, () => {}),
    );
    await fails(
      'denied',
      signInToGoogleDrive(patient(0).parts, { ...application, clientId: 'other' }, () => {}),
    );
    server.entered = false;
    const cancelled = { signal: AbortSignal.abort() };
    await fails(
      'cancelled',
      signInToGoogleDrive(runtime(), application, () => {}, cancelled),
    );
  });

  it('to Dropbox takes the code its page shows', async () => {
    const given = { appKey: 'app', appSecret: 'app secret', code: 'pasted' };
    assert.deepEqual(await signInToDropbox(runtime(), given), kept.dropbox);
    await assert.rejects(signInToDropbox(runtime(), { ...given, code: 'old' }), (error: InfinitError) => {
      assert.equal(error.kind, 'denied');
      assert.equal(error.message, 'api.dropboxapi.com refuses to sign in (invalid_grant)');
      return true;
    });
  });
});

for (const type of ['dropbox', 'google-drive'] as const)
  describe(type, () => {
    const open = (root: string) =>
      openSilo({ type, account: 'me', root }, runtime(), { secrets: async () => kept[type] });

    it('goes on when its access token ends or is taken back', async () => {
      const silo = await open('tokens');
      await silo.put('block', keyOf(1), Buffer.alloc(100, 1));
      server.tokens.clear();
      await silo.put('block', keyOf(2), Buffer.alloc(100, 2));
      server.tokens.clear();
      await silo.verify('block', keyOf(1));
      await silo.close();
    });

    it('says what to type when the application is no longer allowed', async () => {
      const silo = await open('revoked');
      server.revoked = true;
      server.tokens.clear();
      try {
        await assert.rejects(open('revoked'), (error: InfinitError) => {
          assert.equal(error.kind, 'denied');
          assert.match(error.message, /refuses (Dropbox|Google Drive) credentials "me" \(invalid_grant\)/);
          assert.equal(error.hint, `infinit credentials add --${type} me --replace`);
          return true;
        });
      } finally {
        server.revoked = false;
        await silo.close();
      }
    });

    it('keeps more objects than a page of a list', async () => {
      const silo = await open('many');
      // Not together in one pack, and too few changes for them to be put together.
      for (let i = 0; i < 120; i++) await silo.put('block', keyOf(i), Buffer.alloc(600_000, i));
      await silo.close();
      const again = await open('many');
      for (let i = 0; i < 120; i += 7) assert.ok(Buffer.alloc(600_000, i).equals(await again.get('block', keyOf(i))));
      await again.close();
    });
  });

it('google-drive finds what was put while its folder was listed', async () => {
  const [listed, goOn] = [deferred(), deferred()];
  let holds = false;
  const http: HttpClient = {
    request: async (request, options) => {
      const answer = await server.client.request(request, options);
      if (holds && request.url.includes('in+parents')) {
        listed.resolve();
        await goOn.promise;
      }
      return answer;
    },
  };
  const parts = { ...runtime(), http };
  const { client_id: id, client_secret: secret, refresh_token: refreshToken } = kept['google-drive'];
  const { tokenUrl } = googleSignIn;
  const tokens = new Tokens({ parts, tokenUrl, client: { id, secret }, refreshToken, what: 'mine', hint: '' });
  const folder = new DriveFolder(parts, tokens, 'listed');
  await folder.put('pack-1', [Buffer.from('one')]);
  holds = true;
  const names: string[] = [];
  const listing = (async () => {
    for await (const { name } of folder.list('')) names.push(name);
  })();
  await listed.promise;
  await folder.put('pack-2', [Buffer.from('two')]);
  await folder.delete('pack-1');
  goOn.resolve();
  await listing;
  assert.deepEqual(names, ['pack-1']);
  assert.equal(String(await folder.get('pack-2')), 'two');
  await folder.put('pack-1', [Buffer.from('again')]);
  assert.equal(String(await folder.get('pack-1')), 'again');
});

it('gcs signs its requests with HMAC keys, at the address of Google', async () => {
  const asked: { url: string; authorization: string }[] = [];
  const http = {
    request: async ({ url, headers }: { url: string; headers?: Readonly<Record<string, string>> }) => {
      asked.push({ url, authorization: headers?.authorization ?? '' });
      return { status: 403, headers: {}, body: Buffer.from('<Error><Code>SignatureDoesNotMatch</Code></Error>') };
    },
  };
  const config = { type: 'gcs', account: 'work', bucket: 'my-bucket', root: 'cloud_blocks' };
  const secrets = async () => ({ access_key_id: 'GOOG1E', secret_access_key: 'x' });
  await assert.rejects(openSilo(config, { ...runtime(), http }, { secrets }), (error: InfinitError) => {
    assert.equal(error.hint, 'infinit credentials add --gcs work --replace');
    assert.match(error.message, /refuses GCS credentials "work" \(SignatureDoesNotMatch\)/);
    return true;
  });
  assert.equal(asked[0]?.url, 'https://storage.googleapis.com/my-bucket/cloud_blocks/silo.json');
  assert.match(asked[0]?.authorization ?? '', /^AWS4-HMAC-SHA256 Credential=GOOG1E\/\d{8}\/auto\/s3\/aws4_request, /);
});
