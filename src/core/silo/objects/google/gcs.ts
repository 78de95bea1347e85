// The silo `gcs`: packs in a bucket of Google Cloud Storage, by the protocol of S3 that it speaks too, with HMAC keys of a service
// account: its own sign-in does not grant this service to devices.

import { InfinitError } from '../../../base/errors.ts';
import { needAccount, needTexts } from '../accounts.ts';
import { packedKind } from '../opening.ts';
import { S3Bucket } from '../s3/bucket.ts';

const endpoint = 'https://storage.googleapis.com';

export const gcsKind = packedKind('gcs', async (config, around) => {
  const { account, root } = needAccount(config);
  if (config.bucket === undefined) throw new InfinitError('usage', 'a gcs silo needs a bucket');
  const secret = needTexts(await around.secrets('gcs', account), ['access_key_id', 'secret_access_key']);
  const region = 'auto';
  return new S3Bucket({
    runtime: around.runtime,
    place: { account, bucket: config.bucket, folder: root, region, endpoint },
    service: 'gcs',
    key: {
      accessKeyId: secret.access_key_id,
      secretAccessKey: secret.secret_access_key,
      region,
    },
    storageClass: undefined,
  });
});
