// infinit credentials add

import { Flags } from '@oclif/core';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { formOf, oneService, secretOf, serviceFlags } from '../../core/cli/credentials-command.ts';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { saved } from '../../core/cli/texts.ts';
import type { Secret } from '../../core/descriptor/credentials.ts';
import type { Service } from '../../core/descriptor/services.ts';

export default class CredentialsAdd extends BaseCommand {
  static override summary =
    'Keep credentials on this device, sealed to the acting user; they are asked, or read a line each';
  static override examples = [
    { description: 'Of Amazon', command: 'infinit credentials add work --aws' },
    { description: 'Of another S3 server, from a file', command: 'infinit credentials add minio --s3 < keys.txt' },
  ];
  static override args = nameArg('account');
  static override flags = {
    ...nameFlag('account'),
    ...serviceFlags,
    replace: Flags.boolean({ description: 'take the place of those there are' }),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(CredentialsAdd);
    const { flags } = parsed;
    const account = this.nameOf(parsed);
    const service = oneService(flags);
    const { questions, fields, display } = formOf(service, flags);
    const [core, { askSecrets }, { addCredentials }] = await Promise.all([
      this.core(),
      import('../../core/cli/secrets.ts'),
      import('../../core/descriptor/credentials.ts'),
    ]);
    const answers = await askSecrets(this.invocation, questions);
    const { name } = await addCredentials(core, {
      service,
      account,
      as: this.user,
      secret: await this.signedIn(service, secretOf(fields, answers)),
      display: display === undefined ? undefined : answers[display],
      replace: flags.replace,
    });
    this.render({ service, name: account }, saved('credentials', name));
  }

  /** What is kept: for some services what comes of signing in with what was typed. */
  private async signedIn(service: Service, typed: Secret): Promise<Secret> {
    if (service !== 'dropbox' && service !== 'google-drive') return typed;
    const [{ runtime }, { signInToDropbox, signInToGoogleDrive }] = await Promise.all([
      this.core(),
      import('../../core/silo/sign-in.ts'),
    ]);
    const text = (name: string) => typed[name] ?? '';
    if (service === 'dropbox') {
      const application = { appKey: text('app_key'), appSecret: text('app_secret'), code: text('code') };
      return signInToDropbox(runtime, application);
    }
    const application = { clientId: text('client_id'), clientSecret: text('client_secret') };
    const show = (url: string, code: string) => this.tell(`Open ${url} on any device and enter ${code}`);
    return signInToGoogleDrive(runtime, application, show, { signal: this.invocation.stopRequested() });
  }
}
