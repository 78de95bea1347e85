// Programs a test needs from outside. Where one is missing the test is skipped with a line that says so; with
// TESTS_NOTHING_MISSING set it fails instead.

import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/** Options of a test that needs these programs on the PATH. */
export function needs(...programs: readonly string[]): { skip: string | false } {
  const missing = programs.filter((program) => !isThere(program));
  if (missing.length === 0) return { skip: false };
  if (process.env.TESTS_NOTHING_MISSING) throw new Error(`missing: ${missing.join(', ')}`);
  return { skip: `not installed: ${missing.join(', ')}` };
}

function isThere(program: string): boolean {
  return (process.env.PATH ?? '').split(':').some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
