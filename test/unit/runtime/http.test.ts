import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { after, test } from 'node:test';
import { isError } from '../../../src/core/base/errors.ts';
import { systemHttp } from '../../../src/core/runtime/system/http.ts';

const silent = createServer();
after(() => silent.close());

test('a request is given up at once, also while the client is being loaded', async () => {
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const given = new AbortController();
  const request = { method: 'GET', url: `http://127.0.0.1:${port}/`, timeoutMs: 2000, responseBytesMax: 100 };
  const asked = systemHttp().request(request, { signal: given.signal });
  given.abort();
  await assert.rejects(asked, (error) => isError(error, 'cancelled'));
});
