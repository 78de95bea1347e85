// The port of a router at which PCP and NAT-PMP are spoken. Only what comes from there is an answer.

import { ask } from './asking.ts';
import { Epoch } from './epoch.ts';
import { type ProtocolParts, refused } from './protocol.ts';

const controlPort = 5351;

interface ControlAnswer {
  result: number;
  epochSeconds: number;
}

export class ControlPort {
  /** The router may have lost its mappings since this was set to false. */
  lost = false;
  private readonly parts: ProtocolParts;
  private readonly epoch = new Epoch();

  constructor(parts: ProtocolParts) {
    this.parts = parts;
  }

  /** `read` gives undefined for an answer to something else; `results`: what the numbers of refusals mean. */
  async ask<T extends ControlAnswer>(
    bytes: Buffer,
    read: (bytes: Buffer) => T | undefined,
    results: readonly string[],
  ): Promise<T> {
    const { runtime, router } = this.parts;
    const answer = await ask(runtime, {
      messages: [{ bytes, to: { host: router.address, port: controlPort } }],
      read: (received, { host, port }) =>
        host === router.address && port === controlPort ? read(received) : undefined,
    });
    if (answer.result !== 0) throw refused(results[answer.result] ?? `result ${answer.result}`);
    if (this.epoch.hasBegunAnew(answer.epochSeconds, runtime.clock.monotonic())) this.lost = true;
    return answer;
  }
}
