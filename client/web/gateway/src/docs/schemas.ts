// JSON schemas of messages, as the gateway reads and writes them.
import protobuf from 'protobufjs';
import { fullName, visibleFields } from '../api/operations.js';

export type Schema = Record<string, unknown>;

const INTEGER_STRING = { type: 'string', pattern: '^-?[0-9]{1,20}$' };

const SCALARS: Record<string, Schema> = {
  string: { type: 'string' },
  bool: { type: 'boolean' },
  bytes: { type: 'string', contentEncoding: 'base64' },
  int32: { type: 'integer', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 },
  uint32: { type: 'integer', minimum: 0, maximum: 2 ** 32 - 1 },
  int64: { ...INTEGER_STRING, format: 'int64' },
  uint64: { ...INTEGER_STRING, format: 'uint64' },
  fixed64: { ...INTEGER_STRING, format: 'uint64' },
};

const TIMESTAMP = { type: 'string', format: 'date-time' };
const DURATION = { type: 'string', pattern: '^-?[0-9]{1,12}(\\.[0-9]{1,9})?s$', examples: ['90s'] };

export function refTo(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

// "tranche.v1.GetDrawEntryResponse.Outcome" becomes "GetDrawEntryResponse.Outcome".
export function schemaName(type: protobuf.ReflectionObject): string {
  return fullName(type).replace(/^(tranche\.v1|google\.rpc|google\.protobuf)\./, '');
}

// One line for each paragraph, as Markdown wants it.
export function description(comment: string | null | undefined): string {
  return (comment ?? '')
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replace(/\s*\n\s*/g, ' ').trim())
    .join('\n\n');
}

function described(schema: Schema, comment: string | null | undefined): Schema {
  const text = description(comment);
  return text === '' ? schema : { ...schema, description: text };
}

// Collects the schemas of what is asked for, and of what that refers to.
export class Schemas {
  readonly components: Record<string, Schema> = {};

  // `answer`: what the gateway writes, so what is always there is required. Nothing but the fields may be in a request.
  ofMessage(type: protobuf.Type, answer: boolean, without: string[] = []): Schema {
    const name = schemaName(type);
    if (!this.components[name]) {
      this.components[name] = {};
      this.components[name] = this.#objectOf(type, answer, without);
    }
    return refTo(name);
  }

  ofField(field: protobuf.Field, answer: boolean): Schema {
    const one = this.#one(field, answer);
    return field.repeated ? { type: 'array', items: one } : one;
  }

  #objectOf(type: protobuf.Type, answer: boolean, without: string[]): Schema {
    const fields = visibleFields(type).filter((field) => !without.includes(field.name));
    const properties = Object.fromEntries(
      fields.map((field) => [field.name, described(this.ofField(field, answer), field.comment)]),
    );
    const always = fields.filter((field) => field.repeated || (!field.partOf && !isMessage(field)));
    const schema: Schema = { type: 'object', properties };
    if (answer && always.length > 0) schema.required = always.map((field) => field.name);
    if (!answer) schema.additionalProperties = false;
    return described(schema, type.comment);
  }

  #one(field: protobuf.Field, answer: boolean): Schema {
    const type = field.resolvedType;
    if (type instanceof protobuf.Enum) return this.#ofEnum(type);
    if (!(type instanceof protobuf.Type)) {
      const scalar = SCALARS[field.type];
      if (!scalar) throw new Error(`${fullName(field)}: no schema for a ${field.type}`);
      return scalar;
    }
    switch (fullName(type)) {
      case 'google.protobuf.Timestamp':
        return TIMESTAMP;
      case 'google.protobuf.Duration':
        return DURATION;
      case 'google.rpc.Status':
        return refTo('Problem');
      default:
        return this.ofMessage(type, answer);
    }
  }

  #ofEnum(type: protobuf.Enum): Schema {
    const name = schemaName(type);
    const lines = Object.keys(type.values).map((value) => `- \`${value}\`: ${description(type.comments[value])}`);
    this.components[name] ??= {
      type: 'string',
      enum: Object.keys(type.values),
      description: [description(type.comment), lines.join('\n')].filter((part) => part !== '').join('\n\n'),
    };
    return refTo(name);
  }
}

function isMessage(field: protobuf.Field): boolean {
  return field.resolvedType instanceof protobuf.Type;
}
