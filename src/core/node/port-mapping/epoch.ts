// The time a router says it remembers its mappings for: when it does not go with our clock, the router has begun anew (RFC 6887 8.5).

export class Epoch {
  private last: { seconds: number; atMs: number } | undefined;

  /** Whether the router may have lost its mappings since it was heard before. `nowMs`: of a clock that never goes back. */
  hasBegunAnew(seconds: number, nowMs: number): boolean {
    const { last } = this;
    this.last = { seconds, atMs: nowMs };
    if (last === undefined) return false;
    const there = seconds - last.seconds;
    const here = (nowMs - last.atMs) / 1000;
    const slower = (time: number) => time - time / 16;
    return there < -1 || here + 2 < slower(there) || there + 2 < slower(here);
  }
}
