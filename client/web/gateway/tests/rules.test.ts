// The rules, and what the build embeds.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import protobuf from 'protobufjs';
import { fullName, makeApi, visibleFields } from '../src/api/operations.js';
import { matchPath, parseTemplate } from '../src/api/path_template.js';
import { Router } from '../src/api/router.js';
import { checkRules, readRules, SERVED } from '../src/api/rules.js';
import { embed } from '../src/build/embed_api.js';
import { readNextSteps } from '../src/build/next_steps.js';
import { readScalar } from '../src/json/read_scalar.js';
import { api } from './started.js';

const embedded = embed();

test('every call that HTTP can carry has one rule, and no other', () => {
  const methods = SERVED.flatMap((name) =>
    api.root
      .lookupService(name)
      .methodsArray.map((method) => [`${name}.${method.name}`, method.requestStream] as const),
  );
  const streams = methods.filter(([, stream]) => stream).map(([name]) => name);
  assert.deepEqual(streams, ['tranche.v1.ReservationService.StreamReservations']);
  const expected = methods.filter(([, stream]) => !stream).map(([name]) => name);
  assert.deepEqual(embedded.rules.map((rule) => rule.selector).sort(), expected.sort());
});

test('rules that do not fit are refused', () => {
  const changed = (selector: string, change: object) =>
    embedded.rules.map((rule) => (rule.selector.endsWith(selector) ? { ...rule, ...change } : rule));
  const refused: [ReturnType<typeof changed>, RegExp][] = [
    [embedded.rules.slice(1), /has no rule/],
    [[...embedded.rules, ...embedded.rules.slice(0, 1)], /has two rules/],
    [changed('.GetReservation', { path: '/v1/reservations/{id}' }), /has no field id/],
    [changed('.GetReservation', { selector: 'tranche.v1.ReservationService.Steal' }), /no such call/],
    [changed('.GetReservation', { selector: 'tranche.v1.AdminService.GetSku' }), /is not served/],
    [changed('.ExtendReservation', { method: 'GET' }), /extend_by cannot be in a query/],
  ];
  for (const [rules, message] of refused) assert.throws(() => checkRules(rules, api.root), message);
});

test('a configuration that asks for what the gateway cannot do is refused', () => {
  const apis = SERVED.map((name) => ({ name }));
  const read = (rule: object) => readRules({ type: 'google.api.Service', apis, http: { rules: [rule] } });
  assert.equal(read({ selector: 'a', get: '/v1/a' }).length, 1);
  assert.throws(() => read({ selector: 'a', get: '/v1/a', post: '/v1/a' }), /either/);
  assert.throws(() => read({ selector: 'a', post: '/v1/a', body: 'sku' }), /body/);
  assert.throws(() => read({ selector: 'a', put: '/v1/a' }), /does not know put/);
  assert.throws(() => read({ selector: 'a', get: '/v1/a', additional_bindings: [] }), /additional_bindings/);
  assert.throws(() => readRules({ type: 'google.api.Service', apis: [{ name: 'tranche.v1.AdminService' }] }), /apis/);
});

test('all but claims and streams may be repeated as they are, as gRPC’s own retries do it', () => {
  const config = JSON.parse(
    readFileSync(new URL('../../../../../proto/service_config.json', import.meta.url), 'utf8'),
  ) as {
    methodConfig: { name: { service: string; method?: string }[] }[];
  };
  const names = config.methodConfig.flatMap((one) => one.name);
  for (const operation of api.operations) {
    const [, service = '', method = ''] = operation.grpcPath.split('/');
    const repeatable = names.some((one) => one.service === service && (one.method ?? method) === method);
    assert.equal(repeatable, !operation.claims && !operation.watches, operation.id);
  }
});

test('paths lead where they should', () => {
  const router = new Router(api.operations);
  const idOf = (method: string, path: string) => {
    const route = router.route(method, path);
    return route && 'found' in route ? route.found.id : route;
  };
  assert.equal(idOf('GET', '/v1/reservations:batchGet?reservation_ids=a'), 'ReservationService.BatchGetReservations');
  assert.equal(idOf('GET', '/v1/claims/a:watch'), 'ReservationService.WatchClaim');
  assert.equal(idOf('GET', '/v1/claims/a%3Awatch'), 'ReservationService.GetClaim');
  assert.equal(idOf('HEAD', '/v1/skus'), 'CatalogService.ListSkus');
  assert.deepEqual(idOf('HEAD', '/v1/claims/a:watch'), { allowed: ['GET'] });
  assert.deepEqual(idOf('PUT', '/v1/reservations'), { allowed: ['POST', 'GET'] });
  assert.equal(idOf('GET', '/v1/skus/'), null);
  assert.equal(idOf('GET', '/v1/skus//draws/1'), null);
  assert.equal(idOf('GET', '//v1/skus'), null);
});

test('templates are what they are', () => {
  assert.deepEqual(matchPath(parseTemplate('/v1/a/{b}:c'), ['v1', 'a', 'x:c']), new Map([['b', 'x']]));
  assert.equal(matchPath(parseTemplate('/v1/a/{b}:c'), ['v1', 'a', ':c']), null);
  for (const path of ['/v2/a', '/v1/{B}', '/v1/a b', '/v1/a:', '/v1/*']) assert.throws(() => parseTemplate(path), path);
});

// What can be reached from a message by its visible fields.
function reach(type: protobuf.Type, seen: Map<string, protobuf.Type>): void {
  const name = fullName(type);
  if (seen.has(name) || name.startsWith('google.')) return;
  seen.set(name, type);
  for (const field of visibleFields(type))
    if (field.resolvedType instanceof protobuf.Type) reach(field.resolvedType, seen);
}

test('no message is both in requests and in answers, so that each has one schema', () => {
  const requests = new Map<string, protobuf.Type>();
  const answers = new Map<string, protobuf.Type>();
  for (const { request, response } of api.operations) {
    reach(request, requests);
    reach(response, answers);
  }
  assert.deepEqual(
    [...requests.keys()].filter((name) => answers.has(name)),
    [],
  );
});

test('the gateway can read each kind of field that a request has', () => {
  const requests = new Map<string, protobuf.Type>();
  for (const { request } of api.operations) reach(request, requests);
  for (const field of [...requests.values()].flatMap((type) => type.fieldsArray)) {
    assert.equal(field.map, false);
    if (field.resolvedType instanceof protobuf.Type) continue;
    const number = /int|fixed/.test(field.type);
    const values: Record<string, unknown> = { string: 'a', bool: true, bytes: 'YQ==' };
    const text =
      field.resolvedType instanceof protobuf.Enum ? Object.keys(field.resolvedType.values)[0] : values[field.type];
    assert.notEqual(readScalar(field, number ? 1 : text, field.name, false), undefined);
  }
});

test('each reason that a buyer’s call may have tells what to do', () => {
  // Refused as a field that is wrong: errors say which.
  const fields = /_(REQUIRED|MALFORMED|INVALID)$|^MESSAGE_TOO_LARGE$/;
  const names = Object.keys(api.root.lookupEnum('tranche.v1.ErrorReason').values).map((name) => name.slice(13));
  const silent = names.filter((name) => name !== 'UNSPECIFIED' && !fields.test(name) && !api.nextSteps.has(name));
  assert.deepEqual(silent, []);
});

test('next steps are text without marks', () => {
  for (const [reason, step] of api.nextSteps) assert.doesNotMatch(step, /\]\(|`/, reason);
  assert.throws(() => readNextSteps('# Another page\n'), /no section/);
});

test('what is embedded can be used again', () => {
  const copy = JSON.parse(JSON.stringify(embedded)) as typeof embedded;
  assert.equal(makeApi(copy).operations.length, api.operations.length);
});
