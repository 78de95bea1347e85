// Time. `monotonic` must count time the machine was suspended, because leases are measured with it, while Node's own
// monotonic clock stands still then. The uptime of the machine counts it; it is read (some microseconds) ten times a second,
// and at once when the wall clock has moved against the monotonic one, as it does on waking.

import { uptime } from 'node:os';
import { InfinitError } from '../../base/errors.ts';
import { type Abortable, cancelled } from '../../base/lifecycle.ts';
import type { Cancel, Clock } from '../runtime.ts';

export interface ClockSources {
  /** Milliseconds that stand still while the machine is suspended. */
  steadyMs(): number;
  wallMs(): number;
  /** Seconds, suspended time included; coarse. */
  uptimeSeconds(): number;
}

const uptimePeriodMs = 100;
const wallDriftMs = 20;
/** Uptime is told in hundredths of a second at best, in whole ones at worst. */
const noiseMs = Number.isInteger(uptime()) ? 1100 : 50;
const longestTimerMs = 0x7fff_ffff;

export function systemClock(
  sources: ClockSources = { steadyMs: () => performance.now(), wallMs: Date.now, uptimeSeconds: uptime },
): Clock {
  const monotonic = suspensionAware(sources);
  return {
    now: () => sources.wallMs(),
    monotonic,
    sleep: (timeMs, options = {}) => sleep(timeMs, options, after),
    after,
  };

  function after(timeMs: number, task: () => void): Cancel {
    if (Number.isNaN(timeMs)) throw new InfinitError('internal', 'a timer needs a time');
    if (timeMs <= 0) {
      const immediate = setImmediate(task);
      return () => clearImmediate(immediate);
    }
    const deadlineMs = monotonic() + timeMs;
    let timer: NodeJS.Timeout;
    // Timers of Node may fire a little early, and take no long times.
    const arm = (leftMs: number) => {
      timer = setTimeout(
        () => {
          const left = deadlineMs - monotonic();
          if (left > 0) arm(left);
          else task();
        },
        Math.min(Math.ceil(leftMs), longestTimerMs),
      );
    };
    arm(timeMs);
    return () => clearTimeout(timer);
  }
}

function suspensionAware(sources: ClockSources): () => number {
  const startSteadyMs = sources.steadyMs();
  const startUptimeMs = sources.uptimeSeconds() * 1000;
  let suspendedMs = 0;
  let wallOffsetMs = sources.wallMs() - startSteadyMs;
  let lookedAtMs = startSteadyMs;
  return () => {
    const steadyMs = sources.steadyMs();
    const offsetMs = sources.wallMs() - steadyMs;
    if (steadyMs - lookedAtMs >= uptimePeriodMs || Math.abs(offsetMs - wallOffsetMs) > wallDriftMs) {
      lookedAtMs = steadyMs;
      wallOffsetMs = offsetMs;
      const missingMs = sources.uptimeSeconds() * 1000 - startUptimeMs - (steadyMs - startSteadyMs) - suspendedMs;
      if (missingMs > noiseMs) suspendedMs += missingMs;
    }
    return steadyMs + suspendedMs;
  };
}

function sleep(timeMs: number, options: Abortable, after: Clock['after']): Promise<void> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(cancelled(signal));
      return;
    }
    const give = () => {
      stop();
      reject(cancelled(signal));
    };
    const stop = after(timeMs, () => {
      signal?.removeEventListener('abort', give);
      resolve();
    });
    signal?.addEventListener('abort', give, { once: true });
  });
}
