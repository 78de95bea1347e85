// A real S3 server on loopback, in this process: s3rver over a temporary folder, with one bucket.

import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface S3Server {
  readonly endpoint: string;
  readonly bucket: string;
  /** Where the server keeps its objects. */
  readonly folder: string;
  close(): Promise<void>;
}

/** What the server takes as credentials. */
export const s3Keys = { access_key_id: 'S3RVER', secret_access_key: 'S3RVER' };

export async function startS3Server(port = 0, kept?: string): Promise<S3Server> {
  const folder = kept ?? (await mkdtemp(join(tmpdir(), 'infinit-s3-')));
  const Server = createRequire(import.meta.url)('s3rver') as new (
    options: object,
  ) => {
    run(): Promise<{ port: number }>;
    close(): Promise<void>;
  };
  const bucket = 'trial-bucket';
  const options = { address: '127.0.0.1', port, silent: true, directory: folder, vhostBuckets: false };
  const server = new Server({ ...options, configureBuckets: [{ name: bucket, configs: [] }] });
  const address = await server.run();
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    bucket,
    folder,
    close: async () => {
      await server.close();
      if (kept === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}
