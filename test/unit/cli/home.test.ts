// Folders and acting user from the environment.

import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { environmentOf } from '../../../src/core/cli/home.ts';
import type { Invocation } from '../../../src/core/cli/invocation.ts';

const silent = { write: () => true };

function environment(env: Record<string, string>) {
  const missing = async (): Promise<never> => Promise.reject(new Error('not here'));
  const invocation: Invocation = {
    parts: { runtime: missing, running: missing, supervising: missing, hub: missing },
    program: 'infinit',
    argv: [],
    env,
    login: 'login',
    isRoot: false,
    homeDirectory: '/users/login',
    temporaryDirectory: '/tmp',
    workingDirectory: '/elsewhere',
    root: '/',
    version: '1.0.0',
    stdin: Readable.from([]),
    stdout: silent,
    stderr: silent,
    stopRequested: () => new AbortController().signal,
    forceRequested: () => new AbortController().signal,
  };
  return environmentOf(invocation);
}

test('without variables everything is below the home folder, sockets below the temporary one', () => {
  assert.deepEqual(environment({}), {
    home: {
      data: '/users/login/.local/share/infinit/filesystem',
      cache: '/users/login/.cache/infinit/filesystem',
      state: '/users/login/.local/state/infinit/filesystem',
      config: '/users/login/.config/infinit/filesystem',
      runtime: '/tmp/infinit/login',
    },
    user: 'login',
    log: {},
    hub: undefined,
    prometheus: undefined,
    unknown: [],
  });
  assert.equal(environment({ INFINIT_BEYOND: 'https://hub.example.org' }).hub, 'https://hub.example.org');
  assert.equal(environment({ HOME: '/h' }).home.data, '/h/.local/share/infinit/filesystem');
});

test('INFINIT_HOME moves everything, XDG or not, and two homes share no sockets', () => {
  const one = environment({ INFINIT_HOME: '/a', XDG_DATA_HOME: '/xdg', XDG_RUNTIME_DIR: '/run/1' }).home;
  assert.equal(one.data, '/a/.local/share/infinit/filesystem');
  assert.match(one.runtime, /^\/tmp\/infinit\/login\/[0-9a-f]{8}$/);
  assert.notEqual(one.runtime, environment({ INFINIT_HOME: '/b' }).home.runtime);
  assert.equal(environment({ INFINIT_HOME: 'here' }).home.cache, '/elsewhere/here/.cache/infinit/filesystem');
});

test('XDG variables count when they are absolute', () => {
  const { home } = environment({ XDG_STATE_HOME: '/s', XDG_CACHE_HOME: 'relative', XDG_RUNTIME_DIR: '/run/1' });
  assert.equal(home.state, '/s/infinit/filesystem');
  assert.equal(home.cache, '/users/login/.cache/infinit/filesystem');
  assert.equal(home.runtime, '/run/1/infinit');
});

test('own variables of single folders win over all', () => {
  const env = { INFINIT_HOME: '/a', INFINIT_DATA_HOME: '/d', INFINIT_RUNTIME_DIR: '/r', INFINIT_CONFIG_HOME: '/c' };
  const { data, runtime, config, cache } = environment(env).home;
  assert.deepEqual([data, runtime, config, cache], ['/d', '/r', '/c', '/a/.cache/infinit/filesystem']);
});

test('INFINIT_USER acts, and variables nobody reads are told', () => {
  const { user, unknown } = environment({ INFINIT_USER: 'bob', INFINIT_USR: 'x', INFINIT_RDV: '', OTHER: '1' });
  assert.deepEqual({ user, unknown }, { user: 'bob', unknown: ['INFINIT_USR'] });
});

test('the log has its own variables; what is no level is the default', () => {
  const { log } = environment({ INFINIT_LOG_LEVEL: 'TRACE', INFINIT_LOG_FILE: 'a.log' });
  assert.deepEqual(log, { level: 'debug', path: '/elsewhere/a.log' });
  assert.deepEqual(environment({ INFINIT_LOG_LEVEL: 'loud' }).log, {});
});
