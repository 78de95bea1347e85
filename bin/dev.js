#!/usr/bin/env node
// The command line from its sources, through tsx: for work on it, without a build.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { register } from 'tsx/esm/api';

register();
const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const { run } = await import('../src/main.ts');
await run(root, version);
