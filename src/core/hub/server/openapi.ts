// The OpenAPI 3.1 document of the hub, made from the routes and from the very checks that bodies pass.

import { limits } from '../../base/limits.ts';
import type { Check, JsonSchema } from '../../descriptor/check.ts';
import { list, object, text } from '../../descriptor/check.ts';
import { schemas as descriptors } from '../../descriptor/schema.ts';
import {
  directoryUsers,
  directoryUsersKept,
  identity,
  invitation,
  loginBody,
  nodeEndpoints,
  pairing,
  usage,
} from '../bodies.ts';
import type { Route } from './routes.ts';

const { private_key: _, ...userProperties } = propertiesOf(descriptors.user);
const user = { ...schemaOf(descriptors.user), properties: userProperties };
const refusal = object<{ error: string; reason: string; name?: string }>(
  { error: text(100), reason: text(1000) },
  { name: text(400) },
);

const schemas = {
  Any: {},
  Root: wrapped({ hub: { const: 'infinit' }, version: { const: 1 } }),
  User: user,
  UserBody: {
    ...user,
    properties: {
      ...userProperties,
      identity: schemaOf(identity),
      ldap_password: propertiesOf(loginBody).ldap_password,
    },
  },
  Login: schemaOf(loginBody),
  LdapUsers: schemaOf(directoryUsers),
  LdapUsersKept: schemaOf(directoryUsersKept),
  LoggedIn: { ...user, properties: { ...userProperties, sealed: propertiesOf(identity).sealed } },
  LoginParameters: {
    ...pick(identity, ['salt', 'scrypt_n']),
    properties: { ...(pick(identity, ['salt', 'scrypt_n']).properties as object), ldap: { const: true } },
    required: [],
  },
  Pairing: schemaOf(pairing),
  Network: schemaOf(descriptors.network),
  Passport: schemaOf(descriptors.passport),
  Volume: schemaOf(descriptors.volume),
  KeyValueStore: schemaOf(descriptors['key-value-store']),
  Networks: listed('networks', descriptors.network),
  Passports: listed('passports', descriptors.passport),
  PassportsByUser: wrapped({ passports: mapOf(schemaOf(descriptors.passport)) }),
  Volumes: listed('volumes', descriptors.volume),
  KeyValueStores: listed('key_value_stores', descriptors['key-value-store']),
  Drive: schemaOf(descriptors.drive),
  Drives: listed('drives', descriptors.drive),
  Invitation: schemaOf(invitation),
  Invitations: wrapped({ invitations: mapOf(schemaOf(invitation)) }),
  NodeEndpoints: schemaOf(nodeEndpoints),
  Endpoints: mapOf(mapOf(schemaOf(nodeEndpoints))),
  Usage: schemaOf(usage),
  Result: {
    type: 'object',
    properties: { result: { enum: ['created', 'updated', 'unchanged'] } },
    additionalProperties: false,
  },
  Picture: { type: 'string', format: 'binary', maxLength: limits.hubPictureBytesMax },
  Code: wrapped({ confirmation_code: { type: 'string', maxLength: 100 } }),
  Page: { type: 'string' },
  Form: { type: 'object', additionalProperties: { type: 'string' } },
  Style: { type: 'string' },
  WebLogin: wrapped({ code: { type: 'string' }, seconds: { type: 'integer' } }),
  Refusal: schemaOf(refusal),
} satisfies Record<string, JsonSchema>;

export type SchemaName = keyof typeof schemas;

const access = {
  open: [{}],
  signed: [{ signature: [] }],
  enrol: [{ signature: [] }],
  login: [{ signature: [] }],
  pairing: [{ signature: [] }],
  code: [{}],
  session: [{ session: [] }, {}],
} as const;

export function openApiDocument(routes: readonly Route[]): JsonSchema {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Infinit hub', version: '1', description: 'How requests are signed: docs/hub.md.' },
    paths,
    components: {
      schemas,
      securitySchemes: {
        session: { type: 'apiKey', in: 'cookie', name: 'infinit-session', description: 'of the page' },
        signature: { type: 'apiKey', in: 'header', name: 'infinit-signature', description: 'Ed25519, docs/hub.md' },
      },
    },
  };
}

function operationOf({ path, access: who, method, summary, takes, gives, redirects }: Route): JsonSchema {
  const parameters = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const done = { description: 'done', content: contentOf(gives) };
  return {
    summary,
    parameters,
    security: access[who],
    ...(takes && { requestBody: { required: takes !== 'Login', content: contentOf(takes) } }),
    responses: {
      200: done,
      ...(method === 'PUT' && { 201: done }),
      ...(redirects && { 303: { description: 'see another page' } }),
      default: { description: 'refused', content: contentOf('Refusal') },
    },
  };
}

function contentOf(name: SchemaName): JsonSchema {
  const types: Partial<Record<SchemaName, string>> = {
    Picture: 'image/*',
    Page: 'text/html',
    Style: 'text/css',
    Form: 'application/x-www-form-urlencoded',
  };
  const type = types[name] ?? 'application/json';
  return { [type]: { schema: { $ref: `#/components/schemas/${name}` } } };
}

function schemaOf(check: Check<unknown>): JsonSchema {
  return check.schema ?? {};
}

function propertiesOf(check: Check<unknown>): Record<string, JsonSchema> {
  return (schemaOf(check).properties ?? {}) as Record<string, JsonSchema>;
}

function pick(check: Check<unknown>, names: readonly string[]): JsonSchema {
  return wrapped(Object.fromEntries(names.map((name) => [name, propertiesOf(check)[name] ?? {}])));
}

function listed(field: string, item: Check<unknown>): JsonSchema {
  return wrapped({ [field]: schemaOf(list(item, limits.hubListMax)) });
}

function wrapped(properties: Record<string, JsonSchema>): JsonSchema {
  return { type: 'object', properties, required: Object.keys(properties), additionalProperties: false };
}

/** By name. */
function mapOf(value: JsonSchema): JsonSchema {
  return { type: 'object', additionalProperties: value };
}
