// The journals commands are given in transcripts: two operations wait, one was refused.

import { InfinitError } from '../../src/core/base/errors.ts';
import type { JournalOperation, RunningJournals } from '../../src/core/cli/running-journals.ts';
import { getLink } from '../../src/core/descriptor/links.ts';

const content = Buffer.from('words').toString('base64');

export function fakeJournals(): RunningJournals {
  let operations: JournalOperation[] = [
    { operation: 'alice/shared:12', type: 'make', paths: ['/notes/day'] },
    { operation: 'alice/shared:13', type: 'write', paths: ['/notes/day'], bytes: 5 },
    { operation: 'alice/shared:9', type: 'write', paths: ['/old'], bytes: 5, refused: 'others have deleted it' },
  ];
  const find = (operation: string) => {
    const found = operations.find((one) => one.operation === operation || one.operation.endsWith(`:${operation}`));
    if (found === undefined) throw new InfinitError('not-found', `no operation ${operation} waits`);
    return found;
  };
  return {
    journalStat: async ({ context, as, network = 'cluster' }) => {
      const { name } = await getLink(context, as, network);
      const refused = operations.filter((one) => one.refused !== undefined).length;
      return [{ name, operations: operations.length - refused, size: 71_000_000, refused }];
    },
    journalOperations: async ({ context, as, network, operation }) => {
      await getLink(context, as, network);
      return operation === undefined ? operations : [find(operation)];
    },
    journalOperation: async ({ operation, network }) => {
      const { paths, type, ...found } = find(operation);
      const files = paths.map((path) => ({ path, inode: 17, pieces: [{ offset: 0, content }] }));
      return { ...found, network: `alice/${network}`, type, files };
    },
    forgetRefused: async ({ operation }) => {
      const found = find(operation);
      if (found.refused === undefined)
        throw new InfinitError('usage', `operation ${operation} waits to be sent: only refused ones are removed`);
      operations = operations.filter((one) => one !== found);
    },
  };
}
