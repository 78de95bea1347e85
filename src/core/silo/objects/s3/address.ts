// Where a bucket is: its own host name below the server's, or a path on the server.

import { InfinitError } from '../../../base/errors.ts';
import type { S3Json } from '../../../descriptor/descriptor.ts';

const amazon = 'amazonaws.com';

/** Throws `usage` for an endpoint that is no address. */
export function bucketUrl({ bucket, region, endpoint, virtual_host: virtualHost }: S3Json): URL {
  let url: URL;
  try {
    url = new URL(endpoint === amazon ? `https://s3.${region}.amazonaws.com` : withProtocol(endpoint));
  } catch {
    throw new InfinitError('usage', `not the address of a server: ${endpoint}`);
  }
  if (virtualHost ?? endpoint === amazon) url.hostname = `${bucket}.${url.hostname}`;
  else url.pathname = `/${bucket}`;
  return url;
}

/** Without one it is TLS: nothing travels in the clear unless the address says so. */
function withProtocol(endpoint: string): string {
  return /^https?:\/\//.test(endpoint) ? endpoint : `https://${endpoint}`;
}
