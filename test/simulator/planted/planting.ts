// Runs the simulator with a planted bug in a process of its own, and tells whether it was found by the rule that should.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Rule } from '../watch/rules.ts';
import type { Plant } from './plants.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** The file with the bug in it. Throws when the text to be replaced is not there exactly once. */
export function plantedText({ file, find, replace, also, name }: Plant): string {
  let text = readFileSync(join(root, file), 'utf8');
  for (const [before, after] of [[find, replace] as const, ...(also ? [also] : [])]) {
    if (text.split(before).length !== 2) throw new Error(`plant "${name}" does not fit ${file} any more`);
    text = text.replace(before, () => after);
  }
  const base = pathToFileURL(join(root, file));
  return text.replace(
    /(from|import\()(\s*)'(\.[^']+)'/g,
    (_, word, space, path) => `${word}${space}'${new URL(path, base)}'`,
  );
}

export interface Found {
  plant: string;
  caught: boolean;
  /** Rules reported, in the order found. */
  rules: Rule[];
  seeds: number;
  output: string;
}

/** Seed after seed until something is broken. */
export async function runPlanted(plant: Plant): Promise<Found> {
  const folder = mkdtempSync(join(tmpdir(), 'planted-'));
  try {
    const copy = join(folder, `${plant.name}.mts`);
    writeFileSync(copy, plantedText(plant));
    const from = pathToFileURL(join(root, plant.file)).href;
    const output = await simulate(plant, JSON.stringify({ from, to: pathToFileURL(copy).href }));
    const rules = [...output.matchAll(/^ {2}(\w+) at \d+ ms:/gm)].map(([, rule]) => rule as Rule);
    const seeds = output.match(/^seed /gm)?.length ?? 0;
    return { plant: plant.name, caught: rules.some((rule) => plant.rules.includes(rule)), rules, seeds, output };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function simulate({ seeds, from = 1, minutes, faults, overlay }: Plant, planted: string): Promise<string> {
  const words = ['--import', 'tsx', '--import', './test/simulator/planted/hook.mjs', 'scripts/simulate.ts'];
  words.push('--seeds', `${from}..${from + seeds - 1}`, '--until-broken');
  if (minutes !== undefined) words.push('--minutes', String(minutes));
  if (faults !== undefined) words.push('--faults', faults.join(','));
  if (overlay !== undefined) words.push('--overlay', overlay);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, words, { cwd: root, env: { ...process.env, INFINIT_PLANT: planted } });
    const parts: Buffer[] = [];
    child.stdout.on('data', (part: Buffer) => parts.push(part));
    child.stderr.on('data', (part: Buffer) => parts.push(part));
    child.on('error', reject);
    child.on('close', () => resolve(Buffer.concat(parts).toString()));
  });
}
