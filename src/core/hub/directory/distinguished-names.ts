// Distinguished names (RFC 4514) and values in filters (RFC 4515): read, written and compared so that nothing somebody puts into an
// entry or a name means more than itself.

import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';

/** Type and value; several where one level of the tree is named by more than one. */
type Level = readonly (readonly [type: string, value: string])[];

/** A value as it may stand in a filter. */
export function escapeFilter(value: string): string {
  return value.replace(/[\\*()\0]/g, (char) => `\\${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** A value as it may stand in a name. */
export function escapeDn(value: string): string {
  return value
    .replace(/["+,;<=>\\]/g, '\\$&')
    .replace(/^[ #]/, '\\$&')
    .replace(/ $/, '\\ ')
    .replaceAll('\0', '\\00');
}

/** One text for all ways to write a name, as directories compare them: types and letters in lower case, blanks single. Throws `usage`. */
export function normalDn(dn: string): string {
  return levelsOf(dn).map(normalLevel).join(',');
}

/** The same for what a directory says, which may be no name: then itself. */
export function dnKey(dn: string): string {
  try {
    return normalDn(dn);
  } catch {
    return dn;
  }
}

/** `dn` below `domain`, unless it is there already; either may be empty. */
export function below(domain: string, dn: string): string {
  if (dn === '') return domain;
  const [all, end] = [levelsOf(dn).map(normalLevel), domain === '' ? [] : levelsOf(domain).map(normalLevel)];
  const isBelow = end.length <= all.length && end.every((level, at) => level === all[all.length - end.length + at]);
  return isBelow ? dn : `${dn},${domain}`;
}

/** `example.com` as `dc=example,dc=com`; what is a name already stays. */
export function domainDn(domain: string): string {
  if (domain === '' || domain.includes('=')) return domain;
  return domain
    .split('.')
    .map((part) => `dc=${escapeDn(part)}`)
    .join(',');
}

/** `admin` as `cn=admin`; what is a name already stays. */
export function userDn(user: string): string {
  return user.includes('=') ? user : `cn=${escapeDn(user)}`;
}

function normalLevel(level: Level): string {
  return level
    .map(([type, value]) => `${type.toLowerCase()}=${escapeDn(normalValue(value))}`)
    .sort()
    .join('+');
}

function normalValue(value: string): string {
  return value.normalize('NFKC').toLowerCase().replace(/\s+/g, ' ').trim();
}

function levelsOf(dn: string): Level[] {
  if (dn.length > limits.ldapDnCharsMax) throw refused(dn, 'is too long');
  const levels: (readonly [string, string])[][] = [[]];
  for (let at = 0; ; ) {
    const equals = dn.indexOf('=', at);
    const type = dn.slice(at, equals).trim();
    if (equals < 0 || !/^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(type)) throw refused(dn, 'is no distinguished name');
    const { value, end } = valueAt(dn, equals + 1);
    levels.at(-1)?.push([type, value]);
    if (end >= dn.length) return levels;
    if (dn[end] === ',') levels.push([]);
    at = end + 1;
  }
}

/** Up to the `,` or `+` that ends it, its escapes undone, blanks around it taken away. */
function valueAt(dn: string, from: number): { value: string; end: number } {
  const bytes: Buffer[] = [];
  let kept = 0; // length up to the last character that is not a blank, or is escaped
  let length = 0;
  let at = from;
  const push = (piece: Buffer, isBlank: boolean) => {
    if (isBlank && length === 0) return;
    bytes.push(piece);
    length += piece.length;
    if (!isBlank) kept = length;
  };
  while (at < dn.length && dn[at] !== ',' && dn[at] !== '+') {
    const hex = /^\\([0-9a-fA-F]{2})/.exec(dn.slice(at, at + 3))?.[1];
    const char = String.fromCodePoint(dn.codePointAt(dn[at] === '\\' ? at + 1 : at) ?? 0);
    if (hex !== undefined) {
      push(Buffer.from(hex, 'hex'), false);
      at += 3;
    } else if (dn[at] === '\\') {
      if (!/^[ "#+,;<=>\\]$/.test(char) || at + 1 >= dn.length) throw refused(dn, 'is no distinguished name');
      push(Buffer.from(char), false);
      at += 2;
    } else {
      if (/^[";<>\0]$/.test(char)) throw refused(dn, 'is no distinguished name');
      push(Buffer.from(char), char === ' ');
      at += char.length;
    }
  }
  const value = Buffer.concat(bytes).subarray(0, kept);
  try {
    return { value: new TextDecoder('utf-8', { fatal: true }).decode(value), end: at };
  } catch {
    throw refused(dn, 'is not UTF-8');
  }
}

function refused(dn: string, why: string): InfinitError {
  return new InfinitError('usage', `${JSON.stringify(dn.slice(0, 200))} ${why}`, {
    hint: 'such as uid=alice,ou=people,dc=example,dc=com',
  });
}
