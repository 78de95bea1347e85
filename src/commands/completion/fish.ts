// infinit completion fish

import { BaseCommand } from '../../core/cli/base-command.ts';
import { completionScript } from '../../core/cli/completion.ts';
import { registry } from '../registry.ts';

export default class CompletionFish extends BaseCommand {
  static override summary = 'Print the completion script for fish';
  static override examples = [
    { description: 'Install it', command: 'infinit completion fish > ~/.config/fish/completions/infinit.fish' },
  ];

  async run(): Promise<void> {
    await this.parse(CompletionFish);
    const text = await completionScript(registry, 'fish');
    if (this.script) this.printJson({ shell: 'fish', text });
    else this.invocation.stdout.write(text);
  }
}
