// Values at random, by a seed: of messages as a node may answer them, and of requests as the schemas describe them, or not.
import protobuf from 'protobufjs';
import type { Schema } from '../src/docs/schemas.js';
import { fullName } from '../src/api/operations.js';
import type { Fields } from './fake_node.js';

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  // In [0, 1): mulberry32.
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }
}

const TEXTS = [
  '',
  'tv',
  'alice',
  'a b',
  'ü',
  '😀',
  '"',
  '\\',
  '../..',
  '%2e',
  'a:watch',
  '<b>',
  '\u0000',
  'x'.repeat(300),
];
const LONGS = ['0', '1', '-1', '9223372036854775807', '-9223372036854775808'];

function scalar(random: Random, type: string): unknown {
  if (type === 'bool') return random.chance(0.5);
  if (type === 'bytes') return Buffer.from(random.pick(TEXTS));
  if (type === 'int32') return random.pick([0, 1, -1, 2 ** 31 - 1, -(2 ** 31)]);
  if (type === 'int64') return random.pick(LONGS);
  if (/64$/.test(type)) return random.pick(['0', '18446744073709551615']);
  return random.pick(TEXTS);
}

// Of the message, for a fake node: `status` makes a google.rpc.Status.
export function sampleMessage(random: Random, type: protobuf.Type, status: () => Fields, depth = 0): Fields {
  const fields: Fields = {};
  const chosen = new Map(type.oneofsArray.map((oneof) => [oneof, random.pick(oneof.fieldsArray)]));
  for (const field of type.fieldsArray) {
    if (field.partOf && chosen.get(field.partOf) !== field) continue;
    if (random.chance(0.3)) continue;
    const one = () => sampleValue(random, field, status, depth);
    fields[field.name] = field.repeated ? Array.from({ length: depth > 3 ? 0 : random.below(4) }, one) : one();
  }
  return fields;
}

function sampleValue(random: Random, field: protobuf.Field, status: () => Fields, depth: number): unknown {
  const type = field.resolvedType;
  if (type instanceof protobuf.Enum) return random.pick(Object.values(type.values));
  if (!(type instanceof protobuf.Type)) return scalar(random, field.type);
  const seconds = random.pick([0, 1, 1_764_266_400]);
  const nanos = random.pick([0, 1, 120_000_000, 999_999_999]);
  const name = fullName(type);
  if (name === 'google.protobuf.Timestamp' || name === 'google.protobuf.Duration') return { seconds, nanos };
  return name === 'google.rpc.Status' ? status() : sampleMessage(random, type, status, depth + 1);
}

const NONSENSE: readonly unknown[] = [
  null,
  7,
  -1.5,
  1e300,
  true,
  '',
  'tv',
  '\ud800',
  [],
  [[]],
  {},
  { a: 1 },
  '1'.repeat(99),
];

// A value that fits the schema, or with some probability one that does not.
export function sampleJson(random: Random, schema: Schema, schemas: Record<string, Schema>): unknown {
  if (random.chance(0.06)) return random.pick(NONSENSE);
  if (typeof schema.$ref === 'string') {
    return sampleJson(random, schemas[schema.$ref.split('/').pop() ?? ''] ?? {}, schemas);
  }
  if (Array.isArray(schema.enum)) return random.pick(schema.enum);
  switch (schema.type) {
    case 'object': {
      const properties = Object.entries((schema.properties ?? {}) as Record<string, Schema>);
      const kept = properties.filter(() => random.chance(0.8));
      const json = Object.fromEntries(kept.map(([name, one]) => [name, sampleJson(random, one, schemas)]));
      return random.chance(0.03) ? { ...json, [random.pick(TEXTS)]: 1 } : json;
    }
    case 'array':
      return Array.from({ length: random.below(4) }, () => sampleJson(random, schema.items as Schema, schemas));
    case 'boolean':
      return random.chance(0.5);
    case 'integer':
      return random.pick([0, 1, 2, -1, 1000, 2 ** 31 - 1, 2 ** 31]);
    default:
      return sampleText(random, schema);
  }
}

function sampleText(random: Random, schema: Schema): string {
  if (schema.format === 'date-time') return random.pick(['2026-11-27T18:00:00Z', '2026-02-30T00:00:00Z', 'now']);
  if (schema.format === 'int64' || schema.format === 'uint64')
    return random.pick([...LONGS, '1e3', '99999999999999999999']);
  if (typeof schema.pattern === 'string' && schema.pattern.endsWith('s$'))
    return random.pick(['90s', '0.5s', '5', '-1s']);
  return random.pick(TEXTS);
}
