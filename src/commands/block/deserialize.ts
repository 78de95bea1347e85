// infinit block deserialize

import { Args, Flags } from '@oclif/core';
import { InfinitError } from '../../core/base/errors.ts';
import { limits } from '../../core/base/limits.ts';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { readDocument } from '../../core/cli/documents.ts';
import { outputFlag } from '../../core/cli/flags.ts';

export default class BlockDeserialize extends BaseCommand {
  static override summary = 'Show what a stored block says without its key';
  static override description =
    'Prints JSON. The payload is sealed: only its length and the tree it belongs to are to be seen.';
  static override examples = [
    { description: 'One block', command: 'infinit block deserialize --path block.bin' },
    { description: 'Several, to a file', command: 'infinit block deserialize -p a.bin -p b.bin -o blocks.json' },
  ];
  static override args = { path: Args.string({ description: 'file that holds a block' }) };
  static override flags = {
    path: Flags.string({
      char: 'p',
      description: 'file that holds a block; repeatable',
      helpValue: 'FILE',
      multiple: true,
      multipleNonGreedy: true,
    }),
    ...outputFlag,
  };

  async run(): Promise<void> {
    const { flags, args } = await this.parse(BlockDeserialize);
    const paths = [...(args.path === undefined ? [] : [args.path]), ...(flags.path ?? [])];
    if (paths.length === 0) throw new InfinitError('usage', 'missing argument: path');
    const { describeBlock } = await import('../../core/cli/block-facts.ts');
    const blocks: unknown[] = [];
    for (const path of paths) {
      blocks.push(describeBlock(await readDocument(this.invocation, path, limits.blockBytesMax)));
    }
    await this.exportTo(flags.output, blocks.length === 1 ? blocks[0] : blocks, 'block');
  }
}
