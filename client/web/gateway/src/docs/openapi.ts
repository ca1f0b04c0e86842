// The OpenAPI 3.1 document of all operations, made from the rules and the protos with their comments.
import type protobuf from 'protobufjs';
import type { Api, Operation } from '../api/operations.js';
import { description, refTo, schemaName, Schemas, type Schema } from './schemas.js';

const PROBLEM: Schema = {
  type: 'object',
  description: 'Problem details (RFC 9457). Decide by `reason`, and about one that you do not know by `status`.',
  required: ['type', 'title', 'status', 'detail', 'reason', 'next_step', 'metadata'],
  properties: {
    type: { type: 'string', format: 'uri-reference', description: 'Where this reference explains the reason.' },
    title: { type: 'string' },
    status: { type: 'integer', minimum: 400, maximum: 599 },
    detail: { type: 'string', description: 'For people; may change.' },
    reason: { type: 'string', pattern: '^[A-Z][A-Z0-9_]*$' },
    next_step: { type: 'string', description: 'What the caller should do.' },
    metadata: { type: 'object', additionalProperties: { type: 'string' } },
    errors: {
      type: 'array',
      description: 'The fields that are wrong, as this reference names them.',
      items: {
        type: 'object',
        required: ['field', 'detail'],
        properties: { field: { type: 'string' }, detail: { type: 'string' } },
      },
    },
    retry_after_ms: { type: 'integer', minimum: 0, description: 'As the header Retry-After, and more exact.' },
    outcome: {
      type: 'string',
      enum: ['UNKNOWN'],
      description: 'What was asked for may have been carried out all the same. Absent: it was not.',
    },
    request_id: { type: 'string' },
  },
};

const HEADERS: Record<string, Schema> = {
  RequestId: {
    name: 'X-Request-Id',
    in: 'header',
    description: 'Up to 128 printable characters without spaces. It comes back, and is in the logs of nodes.',
    schema: { type: 'string', maxLength: 128 },
  },
  RequestTimeout: {
    name: 'X-Request-Timeout',
    in: 'header',
    description: 'How long the request may take, such as `2.5s` or `800ms`.',
    schema: { type: 'string', pattern: '^[0-9]{1,6}(\\.[0-9]{1,3})?(ms|s)?$' },
  },
  IdempotencyKey: {
    name: 'Idempotency-Key',
    in: 'header',
    description:
      'The `reservation_id`: a UUID that you choose, and keep across retries. Give it here or in the body. Set `may_exist` ' +
      'in a retry whose first answer may have been lost.',
    schema: { type: 'string', pattern: '^"?[0-9A-Fa-f-]{36}"?$' },
  },
  LastEventId: {
    name: 'Last-Event-ID',
    in: 'header',
    description: 'The id of the last event that was read: what it said is not said again.',
    schema: { type: 'string', maxLength: 64 },
  },
};

function parameterRef(name: string): Schema {
  return { $ref: `#/components/parameters/${name}` };
}

function urlParameter(schemas: Schemas, field: protobuf.Field, place: 'path' | 'query'): Schema {
  const text = description(field.comment);
  return {
    name: field.name,
    in: place,
    ...(place === 'path' ? { required: true } : {}),
    ...(text === '' ? {} : { description: text }),
    schema: {
      ...schemas.ofField(field, false),
      ...(place === 'path' && field.type === 'string' ? { minLength: 1 } : {}),
    },
  };
}

function parametersOf(schemas: Schemas, operation: Operation): Schema[] {
  const { request, pathFields } = operation;
  const inPath = pathFields.map((name) => urlParameter(schemas, request.fields[name] as protobuf.Field, 'path'));
  const others = request.fieldsArray.filter((field) => !pathFields.includes(field.name));
  const inQuery = operation.method === 'GET' ? others.map((field) => urlParameter(schemas, field, 'query')) : [];
  const headers = [
    ...(operation.takesIdempotencyKey ? ['IdempotencyKey'] : []),
    ...(operation.watches ? ['LastEventId'] : []),
    'RequestId',
    'RequestTimeout',
  ];
  return [...inPath, ...inQuery, ...headers.map(parameterRef)];
}

function responsesOf(schemas: Schemas, operation: Operation): Schema {
  const answer = schemas.ofMessage(operation.response, true);
  const json = { 'application/json': { schema: answer } };
  const problem = { $ref: '#/components/responses/Problem' };
  if (operation.watches) {
    const events = { 'text/event-stream': { schema: { type: 'string' } } };
    return {
      200: {
        description:
          `Server-sent events. The data of each message is a ${schemaName(operation.response)}; of an event named ` +
          '`problem` a Problem, after which the stream ends; an event named `end` says that all is decided.',
        content: events,
      },
      204: { description: 'The watch is over, as Last-Event-ID says: do not come again.' },
      default: problem,
    };
  }
  const queued = {
    description: 'The claim is in the queue: ask at Location after Retry-After what became of it.',
    headers: { Location: { schema: { type: 'string' } }, 'Retry-After': { schema: { type: 'integer' } } },
    content: json,
  };
  const ok = { description: description(operation.response.comment) || 'Done.', content: json };
  return { 200: ok, ...(operation.claims ? { 202: queued } : {}), default: problem };
}

function operationOf(schemas: Schemas, operation: Operation): Schema {
  const text = description(operation.comment);
  return {
    operationId: operation.id.replace('.', '_'),
    tags: [operation.id.split('.', 1)[0]],
    summary: text.split(/(?<=[.:]) /, 1)[0],
    description: text,
    parameters: parametersOf(schemas, operation),
    ...(operation.method === 'POST'
      ? {
          requestBody: {
            required: true,
            content: {
              'application/json': { schema: schemas.ofMessage(operation.request, false, operation.pathFields) },
            },
          },
        }
      : {}),
    responses: responsesOf(schemas, operation),
  };
}

export function makeOpenApi(api: Api): Schema {
  const schemas = new Schemas();
  const paths: Record<string, Record<string, Schema>> = {};
  for (const operation of api.operations) {
    (paths[operation.path] ??= {})[operation.method.toLowerCase()] = operationOf(schemas, operation);
  }
  const tags = [...new Set(api.operations.map((one) => one.id.split('.', 1)[0] as string))].sort();
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tranche over HTTP',
      version: '1',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description:
        'The calls of tranche.v1 for buyers and for the catalogue. Names are those of the protos; requests may have them ' +
        'in camelCase, too. 64-bit numbers are strings.',
    },
    servers: [{ url: '/' }],
    security: [{}, { token: [] }],
    tags: tags.map((name) => ({
      name,
      description: description(api.root.lookupService(`tranche.v1.${name}`).comment),
    })),
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      parameters: HEADERS,
      responses: {
        Problem: {
          description: 'It was refused, or has failed.',
          content: { 'application/problem+json': { schema: refTo('Problem') } },
        },
      },
      schemas: { ...schemas.components, Problem: PROBLEM },
    },
  };
}
