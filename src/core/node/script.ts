// `network run --script`: one JSON request a line on the three primitives of a network, one answer a request.
// Blocks here are not part of any tree: nothing refers to them but their address.

import { fromBase64, toBase64, utf8 } from '../base/bytes.ts';
import { asError, InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { type Address, addressBytes, registerAddress } from '../block/address.ts';
import { decodeImmutable, encodeImmutable, treeTagBytes } from '../block/immutable.ts';
import { accessInClear } from '../block/register.ts';
import type { RegisterSnapshot } from '../consensus/consensus.ts';
import { labelledHash } from '../crypto/hash.ts';
import type { LinkedNode } from './link.ts';
import { placementOf } from './trees.ts';

type Request = Record<string, unknown>;
type Answer = Record<string, unknown>;

/** Answers requests until they end; a bad one gets an answer that says so. */
export async function serveScript(
  linked: LinkedNode,
  script: { requests: AsyncIterable<unknown>; reply(value: unknown): void },
): Promise<void> {
  const session = new ScriptSession(linked);
  for await (const request of script.requests) {
    try {
      script.reply({ success: true, ...(await session.answer(request)) });
    } catch (cause) {
      const error = asError(cause);
      script.reply({ success: false, message: error.message, kind: error.kind, ...error.data });
    }
  }
}

class ScriptSession {
  private readonly linked: LinkedNode;

  constructor(linked: LinkedNode) {
    this.linked = linked;
  }

  async answer(request: unknown): Promise<Answer> {
    if (typeof request !== 'object' || request === null) throw new InfinitError('usage', 'a request is a JSON object');
    const fields = request as Request;
    const operations: Record<string, () => Promise<Answer>> = {
      fetch: () => this.fetch(fields),
      insert: () => this.writeImmutable(fields),
      write_immutable: () => this.writeImmutable(fields),
      create_mutable: () => this.createMutable(fields),
      read: () => this.read(fields),
      update: () => this.updateMutable(fields),
      update_mutable: () => this.updateMutable(fields),
      resolve_named: () => this.resolveNamed(fields),
      remove: () => this.remove(fields),
    };
    const name = fields.operation;
    const operation = typeof name === 'string' && Object.hasOwn(operations, name) ? operations[name] : undefined;
    if (operation === undefined) {
      throw new InfinitError('usage', `unknown operation: ${String(name)}`, {
        data: { known: Object.keys(operations) },
      });
    }
    return { operation: name, ...(await operation()) };
  }

  private async writeImmutable(fields: Request): Promise<Answer> {
    const { node } = this.linked;
    const data = dataOf(fields);
    const block = encodeImmutable(Buffer.alloc(treeTagBytes), 'clear', [data]);
    const replicas = node.network().consensus['replication-factor'];
    const available = Math.min(replicas, node.overlay.nodes().length);
    const quorum = Math.floor(available / 2) + 1;
    return { address: toBase64(await node.store.blocks.put(block, { generation: 0, quorum })) };
  }

  private async fetch(fields: Request): Promise<Answer> {
    const block = await this.linked.node.store.blocks.get(addressOf(fields));
    return { data: toBase64(decodeImmutable(block).payload) };
  }

  private async createMutable(fields: Request): Promise<Answer> {
    return shown(await this.create(this.linked.node.runtime.random.bytes(32), dataOf(fields)));
  }

  private async create(salt: Buffer, payload: Buffer): Promise<RegisterSnapshot> {
    const { node, user } = this.linked;
    const address = registerAddress(user.publicKey, salt);
    const members = await placementOf(node, address);
    const access = accessInClear(user.publicKey);
    return node.registers.create({ owner: user, salt, members, access, payload });
  }

  private async read(fields: Request): Promise<Answer> {
    const snapshot = await this.linked.node.registers.read(addressOf(fields));
    if (snapshot.deleted) throw new InfinitError('not-found', 'the block was removed');
    return shown(snapshot);
  }

  /** Only on the version named, so that nobody's change is overwritten unseen. */
  private async updateMutable(fields: Request): Promise<Answer> {
    const { node, user } = this.linked;
    const expected = fields.version;
    if (typeof expected !== 'number') throw new InfinitError('usage', 'version: expected a number');
    const payload = dataOf(fields);
    const written = await node.registers.write(addressOf(fields), user, (current) => {
      if (current.version !== expected) {
        const data = { version: current.version, data: toBase64(current.payload) };
        throw new InfinitError('conflict', `the block has version ${current.version}, not ${expected}`, { data });
      }
      return payload;
    });
    return shown(written);
  }

  private async resolveNamed(fields: Request): Promise<Answer> {
    const { node, user } = this.linked;
    const name = fields.name;
    if (typeof name !== 'string' || name === '') throw new InfinitError('usage', 'name: expected a text');
    const register = node.networkRegister;
    if (register === undefined) throw new InfinitError('not-found', 'the network is not founded yet');
    const id = labelledHash('named', user.publicKey, utf8(name)).subarray(0, 16);
    const known = await register.findTree(id, user.publicKey);
    if (known !== undefined) return { address: toBase64(known) };
    if (fields.create_if_missing !== true) throw new InfinitError('not-found', `nothing is named "${name}"`);
    const made = await this.create(node.runtime.random.bytes(32), Buffer.alloc(0));
    return { address: toBase64(await register.addTree(user, id, made.address)) };
  }

  /** A register is deleted; a block is left to the garbage collector. */
  private async remove(fields: Request): Promise<Answer> {
    const { node, user } = this.linked;
    const address = addressOf(fields);
    const isRegister = await node.registers.read(address, { timeoutMs: 2000 }).then(
      () => true,
      () => false,
    );
    if (isRegister) await node.registers.delete(address, user);
    return { address: toBase64(address) };
  }
}

function shown(snapshot: RegisterSnapshot): Answer {
  const { address, version, payload } = snapshot;
  return { address: toBase64(address), version, data: toBase64(payload) };
}

function addressOf(fields: Request): Address {
  const value = fields.address;
  const decoded = typeof value === 'string' ? fromBase64(value) : undefined;
  if (decoded?.length !== addressBytes) throw new InfinitError('usage', 'address: expected the base64 of 32 bytes');
  return decoded;
}

function dataOf(fields: Request): Buffer {
  const value = fields.data;
  if (typeof value !== 'string') throw new InfinitError('usage', 'data: expected base64');
  const decoded = fromBase64(value);
  if (decoded.length > limits.blockBytesMax - 64)
    throw new InfinitError('full', `data has more than ${limits.blockBytesMax - 64} bytes`);
  return decoded;
}
