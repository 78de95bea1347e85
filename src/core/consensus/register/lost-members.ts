// Members given up when the owner recovered a register (docs/protocols.md 2.11) may come back after all: whoever of them looks at
// the register is told to ask what became of it.

import { equalBytes, toHex } from '../../base/bytes.ts';
import { type Address, sameMember } from '../../block/address.ts';
import type { RegisterState } from '../../block/register.ts';
import type { PeerIdentity } from '../../peer/peer.ts';
import { type InquiryParts, inquire } from './inquiry.ts';

export class LostMembers {
  private readonly parts: InquiryParts;
  /** Being told, by register and node. */
  private readonly telling = new Set<string>();

  constructor(parts: InquiryParts) {
    this.parts = parts;
  }

  /** Somebody reads the register that is held here in this state. */
  asked(address: Address, { genesis, config }: RegisterState, { id }: PeerIdentity): void {
    const lost = genesis.recovery?.lost.find(({ node }) => equalBytes(node, id));
    if (!lost || config.previous || config.current.some((member) => sameMember(member, lost))) return;
    const name = `${toHex(address)} ${toHex(id)}`;
    if (this.telling.has(name)) return;
    this.telling.add(name);
    const { generation, current } = config;
    void inquire(this.parts, lost, [{ address, message: { type: 'retire', generation, current } }]).finally(() =>
      this.telling.delete(name),
    );
  }
}
