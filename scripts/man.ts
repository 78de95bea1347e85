// Writes `man/*.1` from the command classes: infinit(1), and infinit-OBJECT(1) for each object. The date is fixed, so that
// equal commands give equal pages; a test compares them with what is committed. Also writes the overview in the README.

import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { registry } from '../src/commands/registry.ts';
import { manPages } from '../src/core/cli/man-pages.ts';
import { withOverview } from '../src/core/cli/overview.ts';

const folder = fileURLToPath(new URL('../man/', import.meta.url));
await mkdir(folder, { recursive: true });
const pages = await manPages(registry);
for (const name of await readdir(folder)) if (!pages.has(name)) await rm(join(folder, name));
for (const [name, text] of pages) await writeFile(join(folder, name), text);

const readme = fileURLToPath(new URL('../README.md', import.meta.url));
await writeFile(readme, await withOverview(await readFile(readme, 'utf8'), registry));
