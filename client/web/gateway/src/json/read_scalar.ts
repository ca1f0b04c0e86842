// One value of a request that is neither a message nor a list, from JSON or from a URL.
import Long from 'long';
import protobuf from 'protobufjs';
import { FieldError } from './field_error.js';

const INTEGER = /^-?(?:0|[1-9]\d{0,19})$/;
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

interface Range {
  min: bigint;
  max: bigint;
}

const RANGES: Record<string, Range> = {
  int32: { min: -(2n ** 31n), max: 2n ** 31n - 1n },
  uint32: { min: 0n, max: 2n ** 32n - 1n },
  int64: { min: -(2n ** 63n), max: 2n ** 63n - 1n },
  uint64: { min: 0n, max: 2n ** 64n - 1n },
  fixed64: { min: 0n, max: 2n ** 64n - 1n },
};

function readInteger(type: string, range: Range, value: unknown, field: string): number | Long {
  const exact = typeof value === 'number' ? Number.isSafeInteger(value) : typeof value === 'string';
  const text = typeof value === 'string' ? value : String(value);
  if (!exact || !INTEGER.test(text)) throw new FieldError(field, 'must be a whole number; a large one as a string');
  const number = BigInt(text);
  if (number < range.min || number > range.max)
    throw new FieldError(field, `must be within ${range.min} to ${range.max}`);
  return type.endsWith('64') ? Long.fromString(text, range.min === 0n) : Number(number);
}

function readString(value: unknown, field: string): string {
  if (typeof value !== 'string') throw new FieldError(field, 'must be a string');
  // Half a character cannot be UTF-8.
  if (!value.isWellFormed()) throw new FieldError(field, 'must be Unicode');
  return value;
}

function readBytes(value: unknown, field: string): Buffer {
  if (typeof value !== 'string' || !BASE64.test(value)) throw new FieldError(field, 'must be base64');
  return Buffer.from(value, 'base64');
}

function readEnum(type: protobuf.Enum, value: unknown, field: string): number {
  const number = typeof value === 'string' && Object.hasOwn(type.values, value) ? type.values[value] : undefined;
  if (number === undefined) throw new FieldError(field, `must be one of ${Object.keys(type.values).join(', ')}`);
  return number;
}

// JSON has true and false; a URL has them as text.
function readBool(value: unknown, field: string, fromUrl: boolean): boolean {
  if (typeof value === 'boolean') return value;
  if (fromUrl && (value === 'true' || value === 'false')) return value === 'true';
  throw new FieldError(field, 'must be true or false');
}

// Throws FieldError. `name` says where the value is, for people.
export function readScalar(field: protobuf.Field, value: unknown, name: string, fromUrl: boolean): unknown {
  if (field.resolvedType instanceof protobuf.Enum) return readEnum(field.resolvedType, value, name);
  const range = RANGES[field.type];
  if (range) return readInteger(field.type, range, value, name);
  switch (field.type) {
    case 'string':
      return readString(value, name);
    case 'bool':
      return readBool(value, name, fromUrl);
    case 'bytes':
      return readBytes(value, name);
    default:
      throw new Error(`${name}: no way to read a ${field.type}`);
  }
}
