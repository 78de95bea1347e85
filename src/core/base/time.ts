// Points in time as text, for layers whose only clock is that of the runtime.

/** `2015-08-30T12:36:00.000Z`, of milliseconds since 1970. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
