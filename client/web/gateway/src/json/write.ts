// A message as JSON: proto3 JSON with the names of the protos. What has no presence is always there; a message, an
// optional field and a part of a oneof only if it is set. A google.rpc.Status is a problem, as in errors.
import protobuf from 'protobufjs';
import Long from 'long';
import { fullName, visibleFields } from '../api/operations.js';
import { formatDuration, formatTimestamp, type SecondsAndNanos } from './time.js';

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

// Makes a problem of a google.rpc.Status.
export type WriteStatus = (status: protobuf.Message) => Json;

function writeMessageValue(type: protobuf.Type, value: unknown, writeStatus: WriteStatus): Json {
  switch (fullName(type)) {
    case 'google.protobuf.Timestamp':
      return formatTimestamp(value as SecondsAndNanos);
    case 'google.protobuf.Duration':
      return formatDuration(value as SecondsAndNanos);
    case 'google.rpc.Status':
      return writeStatus(value as protobuf.Message);
    default:
      return writeMessage(type, value as object, writeStatus);
  }
}

function writeOne(field: protobuf.Field, value: unknown, writeStatus: WriteStatus): Json {
  const type = field.resolvedType;
  if (type instanceof protobuf.Type) return writeMessageValue(type, value, writeStatus);
  // A value that this version does not know stays a number, as in proto3 JSON.
  if (type instanceof protobuf.Enum) return type.valuesById[value as number] ?? (value as number);
  if (Long.isLong(value)) return value.toString();
  // Buffers and, for an empty field, the prototype's empty array.
  if (field.type === 'bytes') return Buffer.from(value as Uint8Array).toString('base64');
  return value as Json;
}

function hasPresence(field: protobuf.Field): boolean {
  return field.partOf !== null || field.resolvedType instanceof protobuf.Type;
}

// `message`: as the type's decoder made it.
export function writeMessage(type: protobuf.Type, message: object, writeStatus: WriteStatus): Json {
  const json: Record<string, Json> = {};
  const values = message as Record<string, unknown>;
  for (const field of visibleFields(type)) {
    const value = values[field.name];
    if (field.repeated) {
      json[field.name] = (value as unknown[]).map((one) => writeOne(field, one, writeStatus));
    } else if (!hasPresence(field)) {
      json[field.name] = writeOne(field, value, writeStatus);
    } else if (Object.hasOwn(message, field.name) && value !== null && value !== undefined) {
      json[field.name] = writeOne(field, value, writeStatus);
    }
  }
  return json;
}
