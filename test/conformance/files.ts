// What every files view must do, whatever it is made of. `files.test.ts` runs it over the model in memory and over trees.

import { describe } from 'node:test';
import { contents } from './files-contents.ts';
import { extendedAttributes, heldFiles, manyAtOnce, severalClients } from './files-holding.ts';
import { lists } from './files-listing.ts';
import { locks } from './files-locks.ts';
import { names } from './files-names.ts';
import { renames } from './files-renames.ts';
import { type FilesMaker, Trial, type Using } from './files-support.ts';
import { times } from './files-times.ts';

export function filesConformance(name: string, maker: FilesMaker): void {
  const using: Using = (test) => async () => {
    const setting = await maker.make();
    try {
      await test(new Trial(setting));
    } finally {
      await setting.close();
    }
  };
  describe(`files conformance: ${name}`, () => {
    names(using, maker.fast);
    renames(using);
    lists(using);
    contents(using);
    times(using);
    extendedAttributes(using);
    heldFiles(using);
    locks(using);
    severalClients(using);
    manyAtOnce(using);
  });
}
