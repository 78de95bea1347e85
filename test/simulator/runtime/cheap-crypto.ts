// Many simulated nodes verify the same signature. The real verification runs once for each in a process, its answer is
// remembered: what a node is told is the same, only sooner.

import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';

const answersMax = 100_000;
let installed = false;

/** For the whole process, once. */
export function rememberVerifications(): void {
  if (installed) return;
  installed = true;
  const real = crypto.verify;
  const answers = new Map<string, boolean>();
  const names = new WeakMap<object, string>();
  let keys = 0;
  const remembered = (algorithm: null, data: Buffer, key: crypto.KeyObject, signature: Buffer): boolean => {
    const keyName = names.get(key) ?? String(keys++);
    names.set(key, keyName);
    const name = `${keyName} ${data.toString('latin1')} ${signature.toString('latin1')}`;
    const known = answers.get(name);
    if (known !== undefined) return known;
    const answer = real(algorithm, data, key, signature);
    if (answers.size >= answersMax) answers.clear();
    answers.set(name, answer);
    return answer;
  };
  crypto.verify = ((algorithm: null, data: Buffer, key: crypto.KeyObject, signature: Buffer) =>
    algorithm === null && key instanceof crypto.KeyObject && Buffer.isBuffer(data)
      ? remembered(algorithm, data, key, Buffer.from(signature))
      : real(algorithm, data, key, signature)) as typeof crypto.verify;
  syncBuiltinESMExports();
}
