// infinit hub open

import { HubCommand } from '../../core/cli/hub-command.ts';

export default class HubOpen extends HubCommand {
  static override summary = 'Show a link to your page on the hub: networks, nodes, volumes, drives';
  static override description =
    'Whoever opens the link within five minutes, once, sees on the hub’s page what the hub knows of you, for twelve hours; he can ' +
    'change nothing there. Neither your key nor a password leaves this device.';
  static override examples = [{ description: 'A link for your browser', command: 'infinit hub open' }];

  async run(): Promise<void> {
    await this.parse(HubOpen);
    const [{ openPage }, { parseHubUrl }] = await Promise.all([
      import('../../core/hub/client/page.ts'),
      import('../../core/hub/client/http.ts'),
    ]);
    const { code, seconds } = await openPage(await this.sharing());
    const url = `${parseHubUrl(this.hubAddress()).origin}/web/login?code=${code}`;
    this.render({ url, seconds }, `Open this link within ${Math.floor(seconds / 60)} minutes:\n${url}`);
  }
}
