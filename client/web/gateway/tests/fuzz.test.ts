// Every operation with requests at random, against nodes that answer at random: answers match the schemas, none is an error
// of the gateway, and none is missing. TRANCHE_FUZZ_SEED repeats a run; TRANCHE_FUZZ_ROUNDS makes it longer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { Operation } from '../src/api/operations.js';
import { makeOpenApi } from '../src/docs/openapi.js';
import { schemaName, type Schema } from '../src/docs/schemas.js';
import { Refused, rpcStatus, type FakeNode, type Refusal } from './fake_node.js';
import { Random, sampleJson, sampleMessage } from './samples.js';
import { api, start } from './started.js';

const SEED = Number(process.env.TRANCHE_FUZZ_SEED ?? Date.now() % 2 ** 31);
const ROUNDS = Number(process.env.TRANCHE_FUZZ_ROUNDS ?? 40);
const TIMEOUT_MS = 5000;

const document = makeOpenApi(api);
const schemas = (document.components as { schemas: Record<string, Schema> }).schemas;
const parameters = (document.components as { parameters: Record<string, Schema> }).parameters;
const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema({ $id: 'api', components: { schemas } });

function validator(name: string): ValidateFunction {
  const found = ajv.getSchema(`api#/components/schemas/${name}`);
  assert.ok(found, name);
  return found as ValidateFunction;
}

const REFUSALS: Refusal[] = [
  { code: status.RESOURCE_EXHAUSTED, reason: 'SOLD_OUT', metadata: { sku_id: 'tv' } },
  { code: status.FAILED_PRECONDITION, reason: 'A_NEW_REASON' },
  { code: status.INVALID_ARGUMENT, reason: 'FIELD_INVALID', fields: [{ field: 'a', description: 'b' }] },
  { code: status.UNAVAILABLE, reason: 'OVERLOADED', retryAfterMs: 1 },
  { code: status.UNAVAILABLE },
  { code: status.RESOURCE_EXHAUSTED, message: 'Received message larger than max' },
  { code: status.DEADLINE_EXCEEDED },
  { code: status.NOT_FOUND, reason: 'SKU_NOT_FOUND' },
];

// Answers each operation with a message at random, or with a refusal.
function answerAtRandom(node: FakeNode, random: Random): void {
  const refusal = () => rpcStatus(api.root, random.pick(REFUSALS));
  const answer = (operation: Operation) => {
    if (random.chance(0.2)) throw new Refused(random.pick(REFUSALS));
    return sampleMessage(random, operation.response, refusal);
  };
  for (const operation of api.operations) {
    if (!operation.watches) node.answers.set(operation.id, () => answer(operation));
    node.streams.set(operation.id, (stream) => {
      try {
        for (let i = random.below(4); i > 0; --i) stream.write(answer(operation));
        stream.end();
      } catch (error) {
        stream.emit('error', node.error((error as Refused).refusal));
      }
    });
  }
}

interface Parameter {
  $ref?: string;
  name: string;
  in: string;
  schema: Schema;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

const HEADER_TEXTS = ['a', '"b"', '0197b2a4-3c5e-7d00-8000-00000000a11c', '5s', '1ms', '100', 'x'.repeat(200)];

// A request of the operation, as a URL and what fetch() takes.
function requestOf(random: Random, operation: Operation, url: string): [string, RequestInit] {
  const paths = document.paths as Record<string, Record<string, Schema>>;
  const entry = paths[operation.path]?.[operation.method.toLowerCase()] as {
    parameters: Parameter[];
    requestBody?: any;
  };
  let path = operation.path;
  const query = [];
  const headers: Record<string, string> = { 'x-request-timeout': '1s' };
  for (const named of entry.parameters) {
    const one = named.$ref ? (parameters[named.$ref.split('/').pop() ?? ''] as unknown as Parameter) : named;
    const value = textOf(sampleJson(random, one.schema, schemas));
    const encoded = encodeURIComponent(value.isWellFormed() ? value : 'x');
    if (one.in === 'path') path = path.replace(`{${one.name}}`, encoded || 'x');
    else if (one.in === 'query' && random.chance(0.5)) query.push(`${one.name}=${encoded}`);
    else if (one.in === 'header' && random.chance(0.2)) headers[one.name] = random.pick(HEADER_TEXTS);
  }
  const init: RequestInit = { method: operation.method, headers, signal: AbortSignal.timeout(TIMEOUT_MS) };
  if (entry.requestBody) {
    const { schema } = entry.requestBody.content['application/json'] as { schema: Schema };
    headers['content-type'] = 'application/json';
    init.body = JSON.stringify(sampleJson(random, schema, schemas));
  }
  return [`${url}${path}${query.length > 0 ? `?${query.join('&')}` : ''}`, init];
}

function check(name: string, json: unknown, what: string): void {
  const validate = validator(name);
  assert.ok(validate(json), `${what}: ${ajv.errorsText(validate.errors)}: ${JSON.stringify(json)}`);
}

function checkEvents(operation: Operation, text: string, what: string): void {
  for (const block of text.split('\n\n')) {
    const data = /^data: (.*)$/m.exec(block)?.[1];
    const name = /^event: (.*)$/m.exec(block)?.[1];
    if (data === undefined || name === 'end') continue;
    check(name === 'problem' ? 'Problem' : schemaName(operation.response), JSON.parse(data), what);
  }
}

// Throws if the answer is none that the reference describes.
async function checkAnswer(operation: Operation, response: Response, what: string): Promise<void> {
  const text = await response.text();
  const type = (response.headers.get('content-type') ?? '').split(';', 1)[0];
  assert.ok(response.headers.has('x-request-id'), what);
  if (response.status === 204) return assert.ok(operation.watches, what);
  if (type === 'text/event-stream') return checkEvents(operation, text, what);
  if (response.status === 200 || response.status === 202) {
    assert.equal(type, 'application/json', what);
    return check(schemaName(operation.response), JSON.parse(text), what);
  }
  assert.equal(type, 'application/problem+json', what);
  assert.ok(response.status < 500 || response.status === 503 || response.status === 504, `${what}: ${text}`);
  const problem = JSON.parse(text) as { status: number };
  check('Problem', problem, what);
  assert.equal(problem.status, response.status, what);
}

test(`every operation, seed ${SEED}`, async (t) => {
  const { url, nodes } = await start(t, [], 2);
  const random = new Random(SEED);
  for (const node of nodes) answerAtRandom(node, random);
  const statuses = new Map<number, number>();
  for (let round = 0; round < ROUNDS; ++round) {
    const calls = api.operations.map(async (operation) => {
      const [target, init] = requestOf(random, operation, url);
      const response = await fetch(target, init);
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      await checkAnswer(operation, response, `${operation.id} ${target} ${(init.body as string | undefined) ?? ''}`);
    });
    await Promise.all(calls);
  }
  // Both kinds of answers came, so the requests were neither all nonsense nor all fine.
  for (const code of [200, 400]) assert.ok((statuses.get(code) ?? 0) > ROUNDS, `${code}: ${[...statuses].join(' ')}`);
});
