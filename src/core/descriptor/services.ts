// What can be signed in to, and how credentials of it are named to people.

/** The key is the folder in the home and the option of `credentials`. */
export const services = {
  aws: 'AWS',
  gcs: 'GCS',
  dropbox: 'Dropbox',
  'google-drive': 'Google Drive',
  crypt: 'crypt',
} as const;
export type Service = keyof typeof services;

/** A qualified name `aws/work` in two. */
export function splitCredentialsName(qualified: string): { service: Service; name: string } {
  const [service = '', name = ''] = qualified.split('/');
  return { service: service as Service, name };
}

/** `AWS credentials "work"`. */
export function describeCredentials(qualified: string): string {
  const { service, name } = splitCredentialsName(qualified);
  return `${services[service] ?? service} credentials "${name}"`;
}
