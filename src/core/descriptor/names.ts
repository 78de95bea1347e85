// Names (the rule of the command line), and names qualified by their owner.

import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';

const rule = /^[-a-z0-9_][-a-z0-9._]*$/;

/** Whether a text is a name: lower case letters, digits, `-`, `_`, `.` (not first), at most 128 characters. */
export function isName(text: string): boolean {
  return text.length <= limits.nameCharsMax && rule.test(text);
}

/** The name; throws `usage` naming the object when it is none. */
export function checkName(object: string, name: string): string {
  if (isName(name)) return name;
  throw new InfinitError('usage', `invalid ${object} name ${JSON.stringify(name.slice(0, 200))}`, {
    hint: `names have 1 to ${limits.nameCharsMax} characters of a-z 0-9 - _ . and do not begin with a dot`,
  });
}

/** Whether a text is an e-mail address as people are invited by it: lower case, and nothing in it that ends words or lines elsewhere. */
export function isAddress(text: string): boolean {
  return /^[^\s<>@,;:\\"[\]\p{Cc}\p{Lu}]{1,64}@[0-9a-z-]+(\.[0-9a-z-]+)+$/u.test(text) && text.length <= 320;
}

/** The address in lower case; throws `usage` when it is none. */
export function checkAddress(text: string): string {
  const address = text.toLowerCase();
  if (isAddress(address)) return address;
  throw new InfinitError('usage', `invalid email address ${JSON.stringify(text.slice(0, 200))}`);
}

export interface QualifiedName {
  owner: string;
  name: string;
}

export function isQualifiedName(text: string): boolean {
  const parts = text.split('/');
  return parts.length === 2 && parts.every(isName);
}

/** `owner/name` in two; throws `usage` when it is not that. */
export function splitQualified(object: string, qualified: string): QualifiedName {
  const [owner = '', name = '', ...rest] = qualified.split('/');
  if (rest.length > 0)
    throw new InfinitError('usage', `invalid ${object} name ${JSON.stringify(qualified.slice(0, 300))}`);
  return { owner: checkName(`${object} owner`, owner), name: checkName(object, name) };
}

/** A bare name belongs to the acting user: `cluster` of alice is `alice/cluster`. */
export function qualify(object: string, name: string, as: string): string {
  if (!name.includes('/')) return `${checkName('user', as)}/${checkName(object, name)}`;
  const split = splitQualified(object, name);
  return `${split.owner}/${split.name}`;
}
