// Options that several commands share, each made once so that texts and checks are the same everywhere.

import { Args, Flags } from '@oclif/core';
import { parsing } from './arguments.ts';
import { parseBytes, parseDuration, parseInteger } from './quantities.ts';

/** The name, as argument or option. */
export function nameArg(object: string) {
  return { name: Args.string({ description: `name of the ${object}`, ignoreStdin: true }) };
}
export function nameFlag(object: string) {
  return { name: Flags.string({ char: 'n', description: `name of the ${object}`, helpValue: 'NAME' }) };
}

export const descriptionFlag = {
  description: Flags.string({ description: 'a line that says what it is for', helpValue: 'TEXT' }),
};
export const outputFlag = {
  output: Flags.string({ char: 'o', description: 'write to this file instead of standard output', helpValue: 'FILE' }),
};
/** For commands that make or change something and keep it here. */
export const copyFlag = {
  output: Flags.string({ char: 'o', description: 'write its descriptor to this file as well', helpValue: 'FILE' }),
};
/** `--push`, and its long name for the object. */
export function pushFlag(object: string) {
  return {
    push: Flags.boolean({ char: 'p', aliases: [`push-${object}`], description: 'put it on the hub as well' }),
  };
}
export const pullFlag = {
  pull: Flags.boolean({ description: 'take it off the hub as well' }),
};
export const inputFlag = {
  input: Flags.string({ char: 'i', description: 'read from this file instead of standard input', helpValue: 'FILE' }),
};
export const networkFlag = {
  network: Flags.string({ char: 'N', description: 'name of the network', helpValue: 'NETWORK' }),
};
export const requiredNetworkFlag = {
  network: Flags.string({ char: 'N', description: 'name of the network', helpValue: 'NETWORK', required: true }),
};
const operation = {
  char: 'O',
  description: 'operation of a journal, or its number alone',
  helpValue: 'VOLUME:NUMBER',
} as const;
export const operationFlag = { operation: Flags.string(operation) };
export const requiredOperationFlag = { operation: Flags.string({ ...operation, required: true }) };
export const requiredUserFlag = {
  user: Flags.string({ char: 'u', description: 'user the passport is for', helpValue: 'USER', required: true }),
};
export const siloFlag = {
  silo: Flags.string({
    char: 'S',
    description: 'silo to contribute; repeatable',
    helpValue: 'SILO',
    multiple: true,
    multipleNonGreedy: true,
  }),
};
/** Its owner only; the root comes into being with it. */
export function registerServiceFlag(object: string) {
  return {
    'register-service': Flags.boolean({
      char: 'r',
      description: `keep the ${object} in its network, for those in it to fetch by --service`,
    }),
  };
}
/** Of lists and registrations. */
export const fetchUsersFlag = {
  fetch: Flags.boolean({ char: 'f', description: 'take users who are not known here from the hub' }),
};
/** For `fetch`. */
export const serviceFlag = {
  service: Flags.boolean({ description: 'from the networks this device is linked to (or --network), without a hub' }),
};
export const peerFlag = {
  peer: Flags.string({
    description: 'node to try first, or a file with one a line; repeatable',
    helpValue: 'HOST:PORT|FILE',
    multiple: true,
    multipleNonGreedy: true,
  }),
};
export const portFlag = {
  port: Flags.custom<number>({
    description: 'port to listen on (0: any free one)',
    helpValue: 'PORT',
    parse: parsing(parseInteger('port', 0, 65_535)),
  })(),
};
export const prometheusFlag = {
  prometheus: Flags.string({
    description: 'tell metrics at http://HOST:PORT/metrics (default: $INFINIT_PROMETHEUS_ENDPOINT, else not)',
    helpValue: 'HOST:PORT',
  }),
};
export const capacityFlag = {
  capacity: Flags.custom<number>({
    char: 'c',
    description: 'most bytes to keep, such as 500MB or 2TiB (default: as the device allows)',
    helpValue: 'SIZE',
    parse: parsing(parseBytes),
  })(),
};

/** A size in bytes under the given name. */
export function bytesFlag(description: string, defaultText: string) {
  return Flags.custom<number>({
    description: `${description} (default: ${defaultText})`,
    helpValue: 'SIZE',
    parse: parsing(parseBytes),
  })();
}

/** A duration, in milliseconds. */
export function durationFlag(description: string, options: { char?: 'e' } = {}) {
  return Flags.custom<number>({ ...options, description, helpValue: 'DURATION', parse: parsing(parseDuration) })();
}

export function integerFlag(name: string, description: string, min: number, max: number, options: { char?: 'r' } = {}) {
  return Flags.custom<number>({
    ...options,
    description,
    helpValue: 'NUMBER',
    parse: parsing(parseInteger(name, min, max)),
  })();
}
