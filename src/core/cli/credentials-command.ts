// What the commands about credentials share: the options that name services, and what each service asks for.

import { Flags } from '@oclif/core';
import { InfinitError } from '../base/errors.ts';
import type { Secret } from '../descriptor/credentials.ts';
import { type Service, services } from '../descriptor/services.ts';
import type { SecretQuestion } from './secrets.ts';

/** One service of those there are. */
export const serviceFlags = {
  aws: Flags.boolean({ description: 'Amazon Web Services' }),
  s3: Flags.boolean({ description: 'any other S3-compatible server; kept among those of AWS' }),
  gcs: Flags.boolean({ description: 'Google Cloud Storage: HMAC keys of a service account' }),
  dropbox: Flags.boolean({ description: 'Dropbox: an application of yours, allowed on its web page' }),
  'google-drive': Flags.boolean({ description: 'Google Drive: an application of yours, allowed on any device' }),
  crypt: Flags.boolean({ description: 'passphrase of a crypt silo' }),
};
type ServiceFlags = { [K in keyof typeof serviceFlags]: boolean };

/** The services the options name; `s3` is kept as `aws`. */
export function namedServices(flags: ServiceFlags): Service[] {
  return (Object.keys(services) as Service[]).filter((service) => flags[service] || (service === 'aws' && flags.s3));
}

/** Throws `usage` unless the options name one. */
export function oneService(flags: ServiceFlags): Service {
  const [service, ...others] = namedServices(flags);
  if (service !== undefined && others.length === 0) return service;
  const options = Object.keys(serviceFlags).map((name) => `--${name}`);
  throw new InfinitError('usage', service === undefined ? 'missing service' : 'more than one service', {
    hint: `give one of ${options.join(', ')}`,
  });
}

interface Form {
  questions: SecretQuestion[];
  /** What the answers are named. */
  fields: string[];
  /** The answer that lists may show. */
  display?: number;
}

const forms: Record<Exclude<Service, 'aws'>, Form> = {
  crypt: { questions: [{ message: 'Passphrase', check: longEnough }], fields: ['passphrase'] },
  gcs: {
    questions: [{ message: 'HMAC access ID', shown: true }, { message: 'HMAC secret' }],
    fields: ['access_key_id', 'secret_access_key'],
    display: 0,
  },
  dropbox: {
    questions: [
      { message: 'App key', shown: true },
      { message: 'App secret' },
      {
        message: 'Code',
        shown: true,
        before: ([appKey = '']) => `Allow the application, and copy the code: ${dropboxPage(appKey)}`,
      },
    ],
    fields: ['app_key', 'app_secret', 'code'],
    display: 0,
  },
  'google-drive': {
    questions: [{ message: 'Client ID', shown: true }, { message: 'Client secret' }],
    fields: ['client_id', 'client_secret'],
    display: 0,
  },
};

/** What a person is asked for a service. */
export function formOf(service: Service, flags: ServiceFlags): Form {
  if (service !== 'aws') return forms[service];
  const id: SecretQuestion = { message: 'Access key ID', shown: true };
  const key: SecretQuestion = { message: 'Secret access key' };
  if (!flags.s3) {
    id.check = matches(/^[A-Z0-9]{20}$/, 'an AWS access key ID has 20 characters of A-Z and 0-9');
    key.check = matches(/^[A-Za-z0-9/+=]{40}$/, 'an AWS secret access key has 40 characters');
  }
  return { questions: [id, key], fields: ['access_key_id', 'secret_access_key'], display: 0 };
}

function dropboxPage(appKey: string): string {
  const search = new URLSearchParams({ client_id: appKey, response_type: 'code', token_access_type: 'offline' });
  return `https://www.dropbox.com/oauth2/authorize?${search}`;
}

export function secretOf(fields: readonly string[], answers: readonly string[]): Secret {
  return Object.fromEntries(fields.map((field, at) => [field, answers[at] as string]));
}

/** Throws `usage`. */
export function longEnough(passphrase: string): void {
  if (passphrase.length < 8) throw new InfinitError('usage', 'a passphrase has at least 8 characters');
}

function matches(pattern: RegExp, rule: string): (answer: string) => void {
  return (answer) => {
    if (!pattern.test(answer))
      throw new InfinitError('usage', rule, { hint: 'for another S3-compatible server give --s3 instead of --aws' });
  };
}
