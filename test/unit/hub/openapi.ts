// Answers held against the OpenAPI document: every answer a test gets must be one the document tells of.

import { openApiDocument } from '../../../src/core/hub/server/openapi.ts';
import { matching, routes, segmentsOf } from '../../../src/core/hub/server/routes.ts';

type Schema = Record<string, unknown>;

interface Operation {
  responses: Record<string, { content: Record<string, { schema: Schema }> }>;
}

export const document = openApiDocument(routes) as unknown as {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
};

/** Throws when the document knows no such answer to the request. */
export function checkAnswer(method: string, path: string, status: number, type: string, body: unknown): void {
  const content = contentOf(method, path, status);
  if (content === undefined) return;
  const [wanted, { schema }] = Object.entries(content)[0] as [string, { schema: Schema }];
  if (!type.startsWith(wanted.replace('*', '')))
    throw new Error(`${method} ${path}: ${status} is ${type}, not ${wanted}`);
  if (wanted !== 'application/json') return;
  const problem = mismatch(schema, body, 'body');
  if (problem !== undefined) throw new Error(`${method} ${path}: ${status}: ${problem}: ${JSON.stringify(body)}`);
}

/** Of a request that no route takes, what any refusal is. */
function contentOf(method: string, path: string, status: number): Record<string, { schema: Schema }> | undefined {
  const refused = document.paths['/']?.get?.responses.default?.content;
  let segments: string[];
  try {
    segments = segmentsOf(path).map(decodeURIComponent);
  } catch {
    return refused;
  }
  const found = matching(segments).find(({ route }) => route.method === method);
  if (found === undefined) return refused;
  const named = found.route.path.replace(/:(\w+)/g, '{$1}');
  const operation = document.paths[named]?.[method.toLowerCase()];
  if (operation === undefined) throw new Error(`${method} ${named} is not in the document`);
  const { responses } = operation;
  if (status >= 400) return responses.default?.content;
  if (responses[status] === undefined)
    throw new Error(`${method} ${found.route.path}: ${status} is not in the document`);
  return responses[status]?.content;
}

/** As much of JSON Schema as the document uses; undefined when the value fits. */
export function mismatch(schema: Schema, value: unknown, at: string): string | undefined {
  if (typeof schema.$ref === 'string') {
    const target = document.components.schemas[schema.$ref.replace('#/components/schemas/', '')];
    return target === undefined ? `${schema.$ref} is nowhere` : mismatch(target, value, at);
  }
  if (Array.isArray(schema.anyOf)) {
    const fits = (schema.anyOf as Schema[]).some((one) => mismatch(one, value, at) === undefined);
    return fits ? undefined : `${at} fits none of several`;
  }
  if ('const' in schema && schema.const !== value) return `${at} is not ${schema.const}`;
  if (Array.isArray(schema.enum) && !schema.enum.includes(value)) return `${at} is none of ${schema.enum}`;
  switch (schema.type) {
    case 'string':
      return typeof value === 'string' && within(value.length, schema.minLength, schema.maxLength)
        ? undefined
        : `${at} text`;
    case 'integer':
      return Number.isInteger(value) && within(value as number, schema.minimum, schema.maximum)
        ? undefined
        : `${at} integer`;
    case 'boolean':
    case 'null':
      return (value === null ? 'null' : typeof value) === schema.type ? undefined : `${at} is no ${schema.type}`;
    case 'array':
      return Array.isArray(value) && within(value.length, 0, schema.maxItems)
        ? first(value.map((item, i) => mismatch(schema.items as Schema, item, `${at}[${i}]`)))
        : `${at} is no list`;
    case 'object':
      return mismatchOfObject(schema, value, at);
    default:
      return undefined;
  }
}

function mismatchOfObject(schema: Schema, value: unknown, at: string): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return `${at} is no object`;
  const properties = (schema.properties ?? {}) as Record<string, Schema>;
  const missing = ((schema.required ?? []) as string[]).find((name) => !Object.hasOwn(value, name));
  if (missing !== undefined) return `${at}.${missing} is missing`;
  return first(
    Object.entries(value).map(([name, field]) => {
      if (Object.hasOwn(properties, name)) return mismatch(properties[name] as Schema, field, `${at}.${name}`);
      if (schema.additionalProperties === false) return `${at}.${name} is unknown`;
      return mismatch((schema.additionalProperties ?? {}) as Schema, field, `${at}.${name}`);
    }),
  );
}

function within(value: number, min: unknown, max: unknown): boolean {
  return value >= Number(min ?? Number.NEGATIVE_INFINITY) && value <= Number(max ?? Number.POSITIVE_INFINITY);
}

function first(problems: (string | undefined)[]): string | undefined {
  return problems.find((problem) => problem !== undefined);
}
