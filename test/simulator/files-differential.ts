// Two clients of one tree of files against the model, for as long as one likes:
// `node --import tsx test/simulator/files-differential.ts --seed 7 --seeds 10 --operations 20000`. Beside the test runner, whose
// watching of promises makes long runs several times slower.

import { pathToFileURL } from 'node:url';
import { FilesWorld } from '../fakes/files-world.ts';
import { FilesExecutor } from './files-executor.ts';
import { checkSeed, type LoadResult, type Opened } from './files-load.ts';

/** Of the load, so that thousands of steps take seconds. */
export const small = { clients: 2, fileBytesMax: 300_000 };

export function checkTwoClients(seed: number, operations: number): Promise<LoadResult> {
  const command = (steps: number) =>
    `node --import tsx test/simulator/files-differential.ts --seed ${seed} --operations ${steps}`;
  return checkSeed(() => openWorld(seed), { seed, operations, command, ...small });
}

/** A leader and a follower; between walks data is committed. */
async function openWorld(seed: number): Promise<Opened> {
  const world = new FilesWorld({ seed });
  await world.found();
  const clients = [await world.open('leader'), await world.open('follower')];
  const leader = clients[0]?.opened.tree;
  return {
    subject: new FilesExecutor(clients.map(({ driven }) => driven)),
    between: async () => {
      if (leader) await world.trees.world.until(leader.commit());
      await world.pass(7000);
    },
    close: () => world.close(),
  };
}

async function main(words: readonly string[]): Promise<void> {
  const option = (name: string, otherwise: number) => {
    const at = words.indexOf(`--${name}`);
    return at < 0 ? otherwise : Number(words[at + 1]);
  };
  const [first, seeds, operations] = [option('seed', 1), option('seeds', 1), option('operations', 20_000)];
  for (let seed = first; seed < first + seeds; seed++)
    try {
      process.stdout.write(`seed ${seed}: ${JSON.stringify(await checkTwoClients(seed, operations))}\n`);
    } catch (error) {
      process.exitCode = 1;
      process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
    }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main(process.argv.slice(2));
