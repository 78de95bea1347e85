// Checks of untrusted JSON, built by combination: each takes any value and gives back exactly the type it promises, made
// anew, or throws `corrupt` naming the field. Fields that are not declared are refused: what is signed is what is understood.

import { isBase64 } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';

/** JSON Schema (2020-12). */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** Gives the checked value; `field` is its path for messages. */
export interface Check<T> {
  (value: unknown, field: string): T;
  /** What JSON Schema can say of it; absent: nothing. */
  readonly schema?: JsonSchema;
}

/** A check that says of itself what it can. */
export function described<T>(schema: JsonSchema, check: (value: unknown, field: string) => T): Check<T> {
  return Object.assign(check, { schema });
}

type OptionalKeys<T> = { [K in keyof T]-?: Record<string, never> extends Pick<T, K> ? K : never }[keyof T];
type RequiredKeys<T> = Exclude<keyof T, OptionalKeys<T>>;

export function refuse(field: string, what: string): InfinitError {
  return new InfinitError('corrupt', field === '' ? what : `field "${field}" ${what}`);
}

/** Text without control characters (line breaks and tabs where `multiline`), up to so many characters. */
export function text(charsMax: number, options: { multiline?: boolean } = {}): Check<string> {
  const refused = options.multiline ? /[^\P{Cc}\n\t]/u : /\p{Cc}/u;
  return described({ type: 'string', maxLength: charsMax }, (value, field) => {
    if (typeof value !== 'string') throw refuse(field, 'is not a text');
    if (value.length > charsMax) throw refuse(field, `has more than ${charsMax} characters`);
    if (/\p{Cs}/u.test(value)) throw refuse(field, 'is not well-formed Unicode');
    if (refused.test(value)) throw refuse(field, 'holds a control character');
    return value;
  });
}

/** Text that a test accepts. */
export function matching(charsMax: number, accept: (value: string) => boolean, what: string): Check<string> {
  const inner = text(charsMax);
  return described({ ...inner.schema, description: what }, (value, field) => {
    const checked = inner(value, field);
    if (!accept(checked)) throw refuse(field, `is not ${what}`);
    return checked;
  });
}

/** The only base64 text of exactly so many bytes. */
export function base64(bytes: number): Check<string> {
  const chars = Math.ceil(bytes / 3) * 4;
  const schema = { type: 'string', minLength: chars, maxLength: chars, contentEncoding: 'base64' };
  return described(schema, (value, field) => {
    if (typeof value !== 'string' || value.length !== chars || !isBase64(value, bytes))
      throw refuse(field, `is not base64 of ${bytes} bytes`);
    return value;
  });
}

export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): Check<number> {
  return described({ type: 'integer', minimum: min, maximum: max }, (value, field) => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || Object.is(value, -0))
      throw refuse(field, 'is not an integer');
    if (value < min || value > max) throw refuse(field, `is not between ${min} and ${max}`);
    return value;
  });
}

export const boolean: Check<boolean> = described({ type: 'boolean' }, (value, field) => {
  if (typeof value !== 'boolean') throw refuse(field, 'is neither true nor false');
  return value;
});

export function oneOf<const W extends readonly (string | boolean)[]>(...words: W): Check<W[number]> {
  return described({ enum: [...words] }, (value, field) => {
    if (!words.includes(value as string)) throw refuse(field, `is not one of ${words.join(', ')}`);
    return value as W[number];
  });
}

export function list<T>(item: Check<T>, itemsMax: number): Check<T[]> {
  return described({ type: 'array', items: item.schema ?? {}, maxItems: itemsMax }, (value, field) => {
    if (!Array.isArray(value)) throw refuse(field, 'is not a list');
    if (value.length > itemsMax) throw refuse(field, `has more than ${itemsMax} items`);
    return value.map((entry, index) => item(entry, `${field}[${index}]`));
  });
}

export function nullable<T>(inner: Check<T>): Check<T | null> {
  const schema = { anyOf: [inner.schema ?? {}, { type: 'null' }] };
  return described(schema, (value, field) => (value === null ? null : inner(value, field)));
}

/** Values by names a test accepts; at least one, so that there is one way to say none. */
export function mapOf<T>(
  accept: (name: string) => boolean,
  item: Check<T>,
  entriesMax: number,
): Check<Record<string, T>> {
  const schema = {
    type: 'object',
    additionalProperties: item.schema ?? {},
    minProperties: 1,
    maxProperties: entriesMax,
  };
  return described(schema, (value, field) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse(field, 'is not an object');
    const entries = Object.entries(value);
    if (entries.length === 0) throw refuse(field, 'is empty');
    if (entries.length > entriesMax) throw refuse(field, `has more than ${entriesMax} entries`);
    const bad = entries.find(([name]) => !accept(name));
    if (bad !== undefined) throw refuse(pathOf(field, bad[0].slice(0, 64)), 'is not a name');
    // No assignment by name: one may be __proto__.
    return Object.fromEntries(entries.map(([name, one]) => [name, item(one, pathOf(field, name))]));
  });
}

/** An object of exactly these fields; the result has them in this order. */
export function object<T extends object>(
  required: { [K in RequiredKeys<T>]: Check<T[K]> },
  optional: { [K in OptionalKeys<T>]: Check<Exclude<T[K], undefined>> },
): Check<T> {
  const fields = Object.entries({ ...required, ...optional }) as [string, Check<unknown>][];
  const schema = {
    type: 'object',
    properties: Object.fromEntries(fields.map(([name, check]) => [name, check.schema ?? {}])),
    required: Object.keys(required),
    additionalProperties: false,
  };
  return described(schema, (value, field) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse(field, 'is not an object');
    const source = value as Record<string, unknown>;
    for (const key of Object.keys(source))
      if (!fields.some(([name]) => name === key)) throw refuse(pathOf(field, key.slice(0, 64)), 'is unknown');
    const result: Record<string, unknown> = {};
    for (const [name, check] of fields) {
      if (Object.hasOwn(source, name)) result[name] = check(source[name], pathOf(field, name));
      else if (Object.hasOwn(required, name)) throw refuse(pathOf(field, name), 'is missing');
    }
    return result as T;
  });
}

function pathOf(field: string, name: string): string {
  return field === '' ? name : `${field}.${name}`;
}
