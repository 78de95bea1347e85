// The silo `s3`: packs in a bucket of Amazon S3 or of any server that speaks its protocol.

import { InfinitError } from '../../../base/errors.ts';
import type { SiloConfig, SiloKind, SiloSurroundings } from '../../silo.ts';
import { clearPackedSilo, openPackedSilo, type PackedOpening } from '../opening.ts';
import { S3Bucket } from './bucket.ts';

export const s3Kind: SiloKind = {
  name: 's3',
  open: async (config, around) => openPackedSilo(await openingOf(config, around)),
  clear: async (config, around) => clearPackedSilo(await openingOf(config, around)),
};

async function openingOf(config: SiloConfig, around: SiloSurroundings): Promise<PackedOpening> {
  const { capacity, aws_credentials: place, storage_class: storageClass } = config;
  if (place === undefined) throw new InfinitError('usage', 'an s3 silo needs a bucket');
  const { runtime, addedBytes, folder } = around;
  const secret = await around.secrets('aws', place.account);
  const { access_key_id: accessKeyId, secret_access_key: secretAccessKey, session_token: sessionToken } = secret;
  if (accessKeyId === undefined || secretAccessKey === undefined)
    throw new InfinitError('corrupt', `AWS credentials "${place.account}" hold no keys`);
  const key = { accessKeyId, secretAccessKey, sessionToken, region: place.region };
  const store = new S3Bucket({ runtime, place, service: 'aws', key, storageClass });
  return { store, runtime, capacity, addedBytes, folder };
}
