// What the kinds of silos that sign in share: the account and folder of a descriptor, and the texts of credentials.

import { InfinitError } from '../../base/errors.ts';
import type { SiloConfig } from '../silo.ts';

/** Throws `usage` when the descriptor lacks them. */
export function needAccount({ type, account, root }: SiloConfig): { account: string; root: string } {
  if (account === undefined || root === undefined)
    throw new InfinitError('usage', `a ${type} silo needs an account and a root`);
  return { account, root };
}

/** Throws `corrupt` when one is missing. */
export function needTexts<Name extends string>(
  secret: Readonly<Record<string, string>>,
  names: readonly Name[],
): Readonly<Record<Name, string>> {
  const missing = names.find((name) => secret[name] === undefined);
  if (missing !== undefined) throw new InfinitError('corrupt', `credentials lack "${missing}"`);
  return secret as Readonly<Record<Name, string>>;
}
