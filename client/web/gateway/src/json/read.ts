// A request's message from JSON and from its URL: proto3 JSON. Names are those of the protos, or the same in camelCase.
// Whatever the protos do not have is refused.
import protobuf from 'protobufjs';
import { fullName, visibleFields } from '../api/operations.js';
import { FieldError } from './field_error.js';
import { readScalar } from './read_scalar.js';
import { parseDuration, parseTimestamp } from './time.js';

export type MessageFields = Record<string, unknown>;

const fieldsByName = new WeakMap<protobuf.Type, Map<string, protobuf.Field>>();

// By both spellings.
function fieldsOf(type: protobuf.Type): Map<string, protobuf.Field> {
  let fields = fieldsByName.get(type);
  if (!fields) {
    fields = new Map(
      visibleFields(type).flatMap((field) => [
        [field.name, field],
        [protobuf.util.camelCase(field.name), field],
      ]),
    );
    fieldsByName.set(type, fields);
  }
  return fields;
}

function readText(value: unknown, field: string, parse: (text: string) => unknown, shape: string): unknown {
  const read = typeof value === 'string' ? parse(value) : null;
  if (read === null) throw new FieldError(field, `must be ${shape}`);
  return read;
}

function readMessageValue(type: protobuf.Type, value: unknown, name: string): unknown {
  switch (fullName(type)) {
    case 'google.protobuf.Timestamp':
      return readText(value, name, parseTimestamp, 'a time such as "2026-11-27T18:00:00Z"');
    case 'google.protobuf.Duration':
      return readText(value, name, parseDuration, 'a duration such as "90s"');
    default:
      return readMessage(type, value, `${name}.`);
  }
}

function readOne(field: protobuf.Field, value: unknown, name: string): unknown {
  const type = field.resolvedType;
  return type instanceof protobuf.Type ? readMessageValue(type, value, name) : readScalar(field, value, name, false);
}

function readField(field: protobuf.Field, value: unknown, name: string): unknown {
  if (!field.repeated) return readOne(field, value, name);
  if (!Array.isArray(value)) throw new FieldError(name, 'must be a list');
  return value.map((one, i) => readOne(field, one, `${name}[${i}]`));
}

// The fields of a message, for its encoder. `prefix`: of the names in errors, such as "hints.". Throws FieldError.
export function readMessage(type: protobuf.Type, value: unknown, prefix = ''): MessageFields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FieldError(prefix.replace(/\.$/, '') || 'request', 'must be an object');
  }
  const fields = fieldsOf(type);
  const message: MessageFields = {};
  for (const [key, one] of Object.entries(value)) {
    const field = fields.get(key);
    if (!field) throw new FieldError(`${prefix}${key.slice(0, 64)}`, 'there is no such field');
    if (Object.hasOwn(message, field.name)) throw new FieldError(`${prefix}${field.name}`, 'is there twice');
    if (one !== null) message[field.name] = readField(field, one, `${prefix}${field.name}`);
  }
  return message;
}

function decodePart(text: string, field: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new FieldError(field, 'is not percent-encoded UTF-8');
  }
}

// Into `message`. A field that is there already is refused. Throws FieldError.
export function readPath(type: protobuf.Type, pathFields: Map<string, string>, message: MessageFields): void {
  for (const [name, text] of pathFields) {
    if (Object.hasOwn(message, name)) throw new FieldError(name, 'is in the path already');
    message[name] = readScalar(type.fields[name] as protobuf.Field, decodePart(text, name), name, true);
  }
}

// Into `message`: `query` is what is behind the question mark. Lists are given by repeating the name. Throws FieldError.
export function readQuery(type: protobuf.Type, query: string, message: MessageFields): void {
  const fields = fieldsOf(type);
  for (const pair of query === '' ? [] : query.split('&')) {
    const [key = '', text = ''] = pair.split(/=(.*)/s, 2).map((part) => part.replaceAll('+', ' '));
    const field = fields.get(decodePart(key, 'request'));
    if (!field) throw new FieldError(key.slice(0, 64) || 'request', 'there is no such field');
    const value = readScalar(field, decodePart(text, field.name), field.name, true);
    if (field.repeated) {
      ((message[field.name] ??= []) as unknown[]).push(value);
    } else if (Object.hasOwn(message, field.name)) {
      throw new FieldError(field.name, 'is there twice');
    } else {
      message[field.name] = value;
    }
  }
}
