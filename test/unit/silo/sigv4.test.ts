import assert from 'node:assert/strict';
import { it } from 'node:test';
import { bucketUrl } from '../../../src/core/silo/objects/s3/address.ts';
import { parseList } from '../../../src/core/silo/objects/s3/bucket.ts';
import { signedHeaders, timestamp } from '../../../src/core/silo/objects/s3/sigv4.ts';
import { fails } from '../../conformance/silo.ts';

const key = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  region: 'us-east-1',
};
const empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
/** 2013-05-24, midnight: the day of the examples in Amazon's documentation of S3. */
const now = 1_369_353_600_000;

it('signs the documented examples as documented', () => {
  const get = {
    method: 'GET',
    url: new URL('https://examplebucket.s3.amazonaws.com/test.txt'),
    headers: { range: 'bytes=0-9' },
    bodyHash: empty,
  };
  assert.match(
    signedHeaders(get, key, now).authorization,
    /Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41$/,
  );
  const list = {
    method: 'GET',
    url: new URL('https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J'),
    headers: {},
    bodyHash: empty,
  };
  assert.match(
    signedHeaders(list, key, now).authorization,
    /Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7$/,
  );
});

it('writes times as the calendar has them', () => {
  for (const text of ['1970-01-01T00:00:00Z', '2000-02-29T23:59:59Z', '2024-12-31T12:00:01Z', '2100-03-01T05:06:07Z'])
    assert.equal(timestamp(Date.parse(text)), text.replace(/[-:]/g, ''));
});

it('finds a bucket by path or by host', () => {
  const place = { account: 'a', bucket: 'data', folder: 'f', region: 'eu-west-1', endpoint: 'amazonaws.com' };
  assert.equal(bucketUrl(place).href, 'https://data.s3.eu-west-1.amazonaws.com/');
  assert.equal(bucketUrl({ ...place, virtual_host: false }).href, 'https://s3.eu-west-1.amazonaws.com/data');
  assert.equal(bucketUrl({ ...place, endpoint: 'nas:9000' }).href, 'https://nas:9000/data');
  assert.equal(bucketUrl({ ...place, endpoint: 'http://nas:9000', virtual_host: true }).href, 'http://data.nas:9000/');
});

it('reads lists, and refuses what is none', async () => {
  const xml =
    '<?xml version="1.0"?><ListBucketResult xmlns="x"><IsTruncated>true</IsTruncated>' +
    '<Contents><Key>a&amp;b</Key><Size>12</Size></Contents><Contents><Key>c</Key><Size>0</Size></Contents></ListBucketResult>';
  assert.deepEqual(parseList(xml), {
    objects: [
      { key: 'a&b', bytes: 12 },
      { key: 'c', bytes: 0 },
    ],
    more: true,
  });
  for (const bad of ['', '<html/>', '<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>'])
    await fails('corrupt', (async () => parseList(bad))());
});
