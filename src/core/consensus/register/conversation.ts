// Runs a proposer's attempt, or a read, over the courier: sends what the pure cores ask for, feeds them what comes back, and
// counts as silent who does not answer in time or shows states that do not verify.

import { type Bytes, equalBytes, fromHex, toHex } from '../../base/bytes.ts';
import { asError, InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Address, Member } from '../../block/address.ts';
import type { StateImage, StateVerifier } from '../../block/register-validity.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Courier } from './courier.ts';
import type { Entry, Message, Reply } from './messages.ts';
import { type Attempt, onReply, onSilence, type ProposerStep, type Send } from './proposer.ts';
import { isQuorum, nodesOf } from './quorum.ts';
import { agreedEntry, newestEntry, type Report, reportedNodes } from './reader.ts';
import { messageToWire, replyFromWire } from './wire.ts';

/** After a quorum answered a read and did not agree, the others get this long to decide it. */
const undecidedMs = 30;

export interface ReadRound {
  agreed: Entry | undefined;
  reports: Report[];
}

export class Conversation {
  private readonly runtime: Runtime;
  private readonly courier: Courier;
  private readonly verifier: StateVerifier;

  constructor(runtime: Runtime, courier: Courier, verifier: StateVerifier) {
    this.runtime = runtime;
    this.courier = courier;
    this.verifier = verifier;
  }

  /** Resolves when the attempt is ready, chosen or failed. */
  attempt(address: Address, first: ProposerStep, known: StateImage | undefined): Promise<Attempt> {
    return new Promise((resolve) => {
      let attempt = first.attempt;
      let open = true;
      const images = new Map<string, StateImage>();
      if (known) images.set(toHex(known.hash), known);
      const apply = (step: ProposerStep) => {
        if (!open) return;
        attempt = step.attempt;
        if (attempt.top) images.set(toHex(attempt.top.image.hash), attempt.top.image);
        for (const send of step.send) ask(send);
        if (attempt.phase === 'preparing' || attempt.phase === 'accepting') return;
        open = false;
        stop();
        resolve(attempt);
      };
      const ask = ({ node, message }: Send) => {
        const held = 'known' in message && message.known ? images.get(toHex(message.known)) : undefined;
        this.ask(node, address, message, held).then(
          ({ store, reply }) => apply(onReply(attempt, { node, store }, message.type, reply)),
          () => apply(onSilence(attempt, node, message.type)),
        );
      };
      const stop = this.runtime.clock.after(limits.registerCallTimeoutMs, () => {
        const kind = attempt.phase === 'preparing' ? 'prepare' : 'accept';
        for (const name of attempt.asked.keys())
          if (!attempt.answers.has(name)) apply(onSilence(attempt, fromHex(name), kind));
      });
      apply(first);
    });
  }

  /** Asks the nodes, and those they name, until the reports prove a state or nobody else can. */
  read(address: Address, nodes: readonly Bytes[], known: StateImage | undefined): Promise<ReadRound> {
    return new Promise((resolve) => {
      const reports: Report[] = [];
      const asked = new Set<string>();
      let waiting = 0;
      let moves = 0;
      let open = true;
      const timers = [this.runtime.clock.after(limits.registerCallTimeoutMs, () => end())];
      const end = (agreed?: Entry) => {
        open = false;
        for (const cancel of timers) cancel();
        resolve({ agreed, reports });
      };
      const heard = (report?: Report) => {
        waiting--;
        if (!open) return;
        if (report) {
          reports.push(report);
          const agreed = agreedEntry(reports);
          if (agreed) return end(agreed);
          for (const node of reportedNodes(reports)) ask(node);
          if (timers.length === 1 && isHeardByQuorum(reports))
            timers.push(this.runtime.clock.after(undecidedMs, () => end()));
        }
        if (waiting === 0) end();
      };
      const ask = (node: Bytes) => {
        if (asked.has(toHex(node))) return;
        asked.add(toHex(node));
        waiting++;
        this.ask(node, address, { type: 'read', known: known?.hash }, known).then(
          ({ store, reply }) => {
            if (open && reply.type === 'moved' && moves++ < limits.movesFollowedMax)
              for (const next of nodesOf(reply.current)) ask(next);
            heard(reply.type === 'entry' ? { member: { node, store }, ...reply } : undefined);
          },
          () => heard(),
        );
      };
      for (const node of nodes) ask(node);
      if (waiting === 0) end();
    });
  }

  /** What a member holds; undefined: nothing. Throws when it does not say. */
  async held(address: Address, { node, store }: Member, known: StateImage | undefined): Promise<Entry | undefined> {
    const { store: now, reply } = await this.ask(node, address, { type: 'read', known: known?.hash }, known);
    if (!equalBytes(now, store)) throw new InfinitError('unavailable', 'the node has another store now');
    return reply.type === 'entry' ? reply.entry : undefined;
  }

  private async ask(
    node: Bytes,
    address: Address,
    message: Message,
    known: StateImage | undefined,
  ): Promise<{ store: Bytes; reply: Reply }> {
    const answered = await this.courier.ask(node, address, messageToWire(message));
    try {
      const reply = replyFromWire(address, answered.reply, known, (bytes) => this.verifier.read(bytes));
      return { store: answered.store, reply };
    } catch (error) {
      const facts = { node: toHex(node), register: toHex(address), reason: asError(error).message };
      this.runtime.log.write('warn', 'register', 'a node shows a state that does not verify', facts);
      throw error;
    }
  }
}

function isHeardByQuorum(reports: readonly Report[]): boolean {
  const newest = newestEntry(reports);
  if (!newest) return false;
  const names = new Set(reports.map(({ member }) => toHex(member.node) + toHex(member.store)));
  return isQuorum(newest.image.state.config, ({ node, store }) => names.has(toHex(node) + toHex(store)));
}
