// The silo `s3`: packs in a bucket of Amazon S3 or of any server that speaks its protocol.

import { InfinitError } from '../../../base/errors.ts';
import { needTexts } from '../accounts.ts';
import { packedKind } from '../opening.ts';
import { S3Bucket } from './bucket.ts';

export const s3Kind = packedKind('s3', async (config, around) => {
  const { aws_credentials: place, storage_class: storageClass } = config;
  if (place === undefined) throw new InfinitError('usage', 'an s3 silo needs a bucket');
  const secret = await around.secrets('aws', place.account);
  const keys = needTexts(secret, ['access_key_id', 'secret_access_key']);
  const key = {
    accessKeyId: keys.access_key_id,
    secretAccessKey: keys.secret_access_key,
    sessionToken: secret.session_token,
    region: place.region,
  };
  return new S3Bucket({ runtime: around.runtime, place, service: 'aws', key, storageClass });
});
