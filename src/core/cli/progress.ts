// How far long work is: a bar that is drawn over itself on a terminal, a line for each change elsewhere, nothing for scripts.

import type { Output } from './invocation.ts';

const barChars = 24;
const redrawMs = 100;
const eraseLine = '\r\u001b[2K';

export class Progress {
  private readonly output: Output;
  private readonly isQuiet: boolean;
  private readonly now: () => number;
  private last = '';
  private drawnAtMs = Number.NEGATIVE_INFINITY;

  constructor(output: Output, options: { quiet: boolean; now?: () => number }) {
    this.output = output;
    this.isQuiet = options.quiet;
    this.now = options.now ?? (() => performance.now());
  }

  /** `share` of all that is to be done, 0 to 1; undefined when nobody knows. */
  tell(text: string, share?: number): void {
    if (this.isQuiet) return;
    if (!this.output.isTTY) {
      if (text !== this.last) this.output.write(`${text}\n`);
      this.last = text;
      return;
    }
    const now = this.now();
    if (now - this.drawnAtMs < redrawMs) return;
    this.drawnAtMs = now;
    this.last = share === undefined ? text : `${bar(share)} ${text}`;
    // A terminal without a size says 0.
    this.output.write(`${eraseLine}${this.last.slice(0, (this.output.columns || 80) - 1)}`);
  }

  /** What comes next begins on a clean line. */
  done(): void {
    if (!this.isQuiet && this.output.isTTY && this.last !== '') this.output.write(eraseLine);
    this.last = '';
  }
}

/** `[############............]  50 %` */
export function bar(share: number): string {
  const within = Math.min(1, Math.max(0, share));
  const filled = Math.round(within * barChars);
  const percent = String(Math.floor(within * 100)).padStart(3);
  return `[${'#'.repeat(filled)}${'.'.repeat(barChars - filled)}] ${percent} %`;
}
