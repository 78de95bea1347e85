// What an owner has said of who may read and write: people and groups by name, kept beside the access list that follows from it and
// signed for that list's version. Whoever leads the tree could put other words there; without the signature nobody expands them.

import { type Bytes, equalBytes, fromBase64, toBase64, u32Bytes, utf8 } from '../../base/bytes.ts';
import { bytes, decode, encode, fixed, struct, u8 } from '../../base/codec.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { labelledHash } from '../../crypto/hash.ts';
import { type KeyPair, publicKeyBytes, sign, signatureBytes, verify } from '../../crypto/keys.ts';
import { keyToJson, userHash } from '../../descriptor/keys.ts';
import type { TreeAccess } from '../../tree/access.ts';

/** Who writes reads. */
export type Mode = 'r' | 'rw';
export type WorldMode = Mode | 'none';

export interface NamedUser {
  name: string;
  /** Base64. */
  key: string;
  mode: Mode;
}

export interface NamedGroup {
  name: string;
  /** Base64 of its register's address: the name may stand for another group elsewhere. */
  register: string;
  mode: Mode;
}

export interface Statement {
  users: NamedUser[];
  groups: NamedGroup[];
  world: WorldMode;
}

const format = 1;
const label = 'access-statement';
const codec = struct({ format: u8, text: bytes(limits.accessNoteBytesMax), signature: fixed(signatureBytes) });

export function signStatement(owner: KeyPair, treeId: Bytes, version: number, said: Statement): Buffer {
  const text = utf8(JSON.stringify(said));
  return encode(codec, { format, text, signature: sign(owner, label, treeId, u32Bytes(version), text) });
}

/** What the owner said, signed for this very list. */
export function ownStatement(treeId: Bytes, access: TreeAccess): Statement | undefined {
  return signedStatement(treeId, access);
}

/** What the owner said, or, when nothing is signed for this very list, what can be seen of it. */
export function statementOf(treeId: Bytes, access: TreeAccess, admins: readonly { key: Bytes }[] = []): Statement {
  return signedStatement(treeId, access) ?? seenStatement(access, admins);
}

function signedStatement(treeId: Bytes, { note, owner, version }: TreeAccess): Statement | undefined {
  if (note === undefined) return undefined;
  try {
    const { text, signature, format: found } = decode(codec, note);
    if (found !== format || !verify(owner, signature, label, treeId, u32Bytes(version), text)) return undefined;
    return checked(JSON.parse(Buffer.from(text).toString('utf8')));
  } catch (error) {
    if (isError(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** His own words, as this version writes them: another version may have written others. */
function checked(said: Statement): Statement | undefined {
  const isMode = (mode: unknown) => mode === 'r' || mode === 'rw';
  const isNamed = ({ name, mode }: { name: unknown; mode: unknown }) => typeof name === 'string' && isMode(mode);
  if (!Array.isArray(said.users) || !Array.isArray(said.groups)) return undefined;
  if (!(isMode(said.world) || said.world === 'none')) return undefined;
  const keys = [...said.users.map(({ key }) => key), ...said.groups.map(({ register }) => register)];
  if (keys.some((key) => typeof key !== 'string' || fromBase64(key).length !== publicKeyBytes)) return undefined;
  return [...said.users, ...said.groups].every(isNamed) ? said : undefined;
}

const worldModes = { none: 'none', read: 'r', write: 'rw' } as const;

/** Admins of the network are in a list because they are. */
function seenStatement({ users, world, owner }: TreeAccess, admins: readonly { key: Bytes }[]): Statement {
  const unsaid = [owner, ...admins.map(({ key }) => key)];
  const others = users.filter(({ key }) => !unsaid.some((other) => equalBytes(other, key)));
  return {
    users: others.map(({ key, write }) => ({
      name: userHash(keyToJson(key)),
      key: toBase64(key),
      mode: write ? 'rw' : 'r',
    })),
    groups: [],
    world: worldModes[world],
  };
}

/** Of what is said, whatever the order and the names: lists with one hash are one. */
export function listHash({ users, groups, world }: Statement): Buffer {
  const ordered = (all: string[][]) => [...all].sort(([a = ''], [b = '']) => (a < b ? -1 : a > b ? 1 : 0));
  const said = [
    ordered(users.map(({ key, mode }) => [key, mode])),
    ordered(groups.map(({ register, mode }) => [register, mode])),
    world,
  ];
  return labelledHash('access-list', utf8(JSON.stringify(said)));
}

export function worldOfMode(mode: WorldMode): TreeAccess['world'] {
  return mode === 'none' ? 'none' : mode === 'r' ? 'read' : 'write';
}

/** Throws `usage`. */
export function modeFrom(text: string): WorldMode {
  if (text === 'none' || text === 'r' || text === 'rw') return text;
  if (text === 'w') return 'rw';
  throw new InfinitError('usage', `"${text}" is no mode: r, w, rw or none`);
}
