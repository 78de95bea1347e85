// infinit completion bash

import { BaseCommand } from '../../core/cli/base-command.ts';
import { completionScript } from '../../core/cli/completion.ts';
import { registry } from '../registry.ts';

export default class CompletionBash extends BaseCommand {
  static override summary = 'Print the completion script for bash';
  static override examples = [
    { description: 'Install it', command: 'infinit completion bash > /etc/bash_completion.d/infinit' },
  ];

  async run(): Promise<void> {
    await this.parse(CompletionBash);
    const text = await completionScript(registry, 'bash');
    if (this.script) this.printJson({ shell: 'bash', text });
    else this.invocation.stdout.write(text);
  }
}
