// The log as lines, for people (text) or programs (JSON), on stderr or appended to a file. What comes from elsewhere may hold
// anything: control characters never reach a terminal. When the disk or the reader is slow, lines are dropped and counted.

import { limits } from '../../base/limits.ts';
import type { Log, LogLevel } from '../runtime.ts';
import { LogFile } from './log-file.ts';

export interface LogOptions {
  /** The least important level written; default `warn`. */
  level?: LogLevel;
  format?: 'text' | 'json';
  /** Appended to, and copied away when it is full; stderr when absent. */
  path?: string;
}

/** Where lines go: a stream, seen with what this file needs of it. */
export interface LineSink {
  readonly writableLength: number;
  write(line: string): unknown;
}

const levels: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];
const bufferedBytesMax = 1 << 20;

export function systemLog(options: LogOptions = {}, now: () => number = Date.now, sink = openSink(options.path)): Log {
  const least = levels.indexOf(options.level ?? 'warn');
  const format = options.format === 'json' ? jsonLine : textLine;
  let dropped = 0;
  return {
    write(level, component, message, facts = {}) {
      if (levels.indexOf(level) > least) return;
      if (sink.writableLength > bufferedBytesMax) {
        dropped++;
        return;
      }
      const time = new Date(now()).toISOString();
      if (dropped > 0) sink.write(format(time, 'warn', 'log', `${dropped} lines dropped`, {}));
      dropped = 0;
      sink.write(format(time, level, component, message, facts));
    },
  };
}

function openSink(path: string | undefined): LineSink {
  if (path === undefined) return process.stderr;
  return new LogFile(path, { bytesMax: limits.logFileBytesMax, kept: limits.logFilesKept });
}

type Format = (
  time: string,
  level: LogLevel,
  component: string,
  message: string,
  facts: Record<string, unknown>,
) => string;

/** Still JSON, and the same value: what is escaped stands in strings only. */
const jsonLine: Format = (time, level, component, message, facts) =>
  `${visible(JSON.stringify({ time, level, component, message, ...facts }))}\n`;

const textLine: Format = (time, level, component, message, facts) => {
  const pairs = Object.entries(facts).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
  return `${time} ${level.padEnd(5)} ${component.padEnd(9)} ${visible(message + pairs.join(''))}\n`;
};

/** Control characters as escapes, those beyond 16 bits as two. */
function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (char) =>
    [...Array(char.length).keys()].map((i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''),
  );
}
