// google.protobuf.Timestamp and Duration as JSON has them: RFC 3339 in UTC, and seconds with an "s".
import Long from 'long';

export interface SecondsAndNanos {
  seconds: Long;
  nanos: number;
}

const TIMESTAMP = /^(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})$/;
const DURATION = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/;
// As google.protobuf.Duration has it: about 10,000 years.
const MAX_DURATION_S = 315_576_000_000;
const MIN_TIMESTAMP_MS = Date.parse('0001-01-01T00:00:00Z');
const MAX_TIMESTAMP_MS = Date.parse('9999-12-31T23:59:59Z');

const toNanos = (digits: string | undefined) => Number((digits ?? '').padEnd(9, '0'));

// null: it is none.
export function parseTimestamp(text: string): SecondsAndNanos | null {
  const match = TIMESTAMP.exec(text);
  if (!match) return null;
  const [, date = '', time = '', fraction, zone = ''] = match;
  // Dates such as February 30 would silently become others.
  const atUtc = Date.parse(`${date}T${time}Z`);
  if (Number.isNaN(atUtc) || new Date(atUtc).toISOString().slice(0, 19) !== `${date}T${time}`) return null;
  const ms = Date.parse(`${date}T${time}${zone.toUpperCase()}`);
  if (Number.isNaN(ms) || ms < MIN_TIMESTAMP_MS || ms > MAX_TIMESTAMP_MS) return null;
  return { seconds: Long.fromNumber(ms / 1000), nanos: toNanos(fraction) };
}

// null: it is none.
export function parseDuration(text: string): SecondsAndNanos | null {
  const match = DURATION.exec(text);
  if (!match) return null;
  const [, minus, whole = '', fraction] = match;
  const seconds = Number(whole);
  if (seconds > MAX_DURATION_S) return null;
  const sign = minus ? -1 : 1;
  return { seconds: Long.fromNumber(sign * seconds), nanos: sign * toNanos(fraction) || 0 };
}

// "", or a point and 3, 6 or 9 digits.
function fraction(nanos: number): string {
  if (nanos === 0) return '';
  const digits = String(Math.abs(nanos)).padStart(9, '0');
  return `.${digits.replace(/(?:000){1,2}$/, '')}`;
}

export function formatTimestamp({ seconds, nanos }: SecondsAndNanos): string {
  return new Date(seconds.toNumber() * 1000).toISOString().replace(/\.000Z$/, `${fraction(nanos)}Z`);
}

export function formatDuration({ seconds, nanos }: SecondsAndNanos): string {
  const minus = seconds.isNegative() || nanos < 0 ? '-' : '';
  return `${minus}${seconds.isNegative() ? seconds.negate().toString() : seconds.toString()}${fraction(nanos)}s`;
}

export function toMs({ seconds, nanos }: SecondsAndNanos): number {
  return seconds.toNumber() * 1000 + nanos / 1e6;
}
