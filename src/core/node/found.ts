// Founding a network on this device: formats its silo and writes the genesis of the network register there, with this node as
// the only member (docs/protocols.md 2.10).

import { toBase64 } from '../base/bytes.ts';
import { type Member, registerAddress } from '../block/address.ts';
import { accessInClear } from '../block/register.ts';
import type { Founding, LinkedNetworkDescriptor, NetworkDescriptor } from '../descriptor/descriptor.ts';
import { initialNetworkState } from '../store/network-register.ts';
import { descriptorBytes } from './descriptor-sync.ts';
import { type Context, openLinkedNode } from './link.ts';

const saltBytes = 32;

/** Throws `exists` when a silo is in use. Nothing is left behind that a later founding would trip over. */
export async function foundNetwork(
  context: Context,
  as: string,
  link: LinkedNetworkDescriptor,
  seal: (founding: Founding) => NetworkDescriptor,
): Promise<Founding> {
  const opened = await openLinkedNode({ context, as, network: link.name, role: 'storage', alone: true, link });
  try {
    const { node, user } = opened;
    await node.start([]);
    const member = node.self() as Member;
    const salt = context.runtime.random.bytes(saltBytes);
    const founding = {
      register: toBase64(registerAddress(user.publicKey, salt)),
      node: toBase64(member.node),
      store: toBase64(member.store),
    };
    const access = accessInClear(user.publicKey, true);
    const payload = initialNetworkState(descriptorBytes(seal(founding)));
    await node.registers.create({ owner: user, salt, members: [member], access, payload });
    return founding;
  } finally {
    await opened.close();
  }
}
