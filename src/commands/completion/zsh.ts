// infinit completion zsh

import { BaseCommand } from '../../core/cli/base-command.ts';
import { completionScript } from '../../core/cli/completion.ts';
import { registry } from '../registry.ts';

export default class CompletionZsh extends BaseCommand {
  static override summary = 'Print the completion script for zsh';
  static override examples = [
    {
      description: 'Install it',
      command: 'infinit completion zsh > ~/.zsh/infinit && echo "source ~/.zsh/infinit" >> ~/.zshrc',
    },
  ];

  async run(): Promise<void> {
    await this.parse(CompletionZsh);
    const text = await completionScript(registry, 'zsh');
    if (this.script) this.printJson({ shell: 'zsh', text });
    else this.invocation.stdout.write(text);
  }
}
