// Calls that have one answer, over HTTP, against fake nodes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { Refused, rpcStatus, type Fields, type Refusal } from './fake_node.js';
import { api, json, post, start } from './started.js';

const ID = '0197b2a4-3c5e-7d00-8000-00000000a11c';
const refuse = (refusal: Refusal) => () => {
  throw new Refused(refusal);
};
const held = (request: Fields) => ({
  reservation: {
    reservation_id: request.reservation_id,
    sku_id: request.sku_id,
    quantity: 1,
    state: 1,
    amount_minor: 49900,
  },
});

test('a claim takes its id from Idempotency-Key', async (t) => {
  const { url, node } = await start(t);
  node.answers.set('ReservationService.CreateReservation', ({ request }) => held(request));
  const body = { sku_id: 'tv', userId: 'alice', quantity: 1 };
  const response = await post(`${url}/v1/reservations`, body, { 'idempotency-key': `"${ID}"` });
  assert.equal(response.status, 200);
  const { reservation, replayed } = await json(response);
  assert.equal(replayed, false);
  assert.equal(reservation.reservation_id, ID);
  assert.equal(reservation.amount_minor, '49900');
  assert.equal(reservation.state, 'RESERVATION_STATE_PENDING');
  assert.equal('expire_time' in reservation, false);
  const { request } = node.seen[0] ?? {};
  assert.deepEqual(request, {
    ...{ reservation_id: ID, sku_id: 'tv', user_id: 'alice', quantity: 1 },
    ...{ may_exist: false, refusal_in_response: true },
  });
});

test('two ids that differ are refused', async (t) => {
  const { url } = await start(t);
  const other = '0197b2a4-3c5e-7d00-8000-00000000b0b0';
  const response = await post(`${url}/v1/reservations`, { reservation_id: other }, { 'idempotency-key': ID });
  assert.equal(response.status, 400);
  assert.equal((await json(response)).reason, 'HEADER_INVALID');
});

test('a refusal inside the answer is a problem', async (t) => {
  const { url, node } = await start(t);
  const soldOut = { code: status.RESOURCE_EXHAUSTED, reason: 'SOLD_OUT', metadata: { holds_may_lapse: 'true' } };
  node.answers.set('ReservationService.CreateReservation', () => ({ refusal: rpcStatus(api.root, soldOut) }));
  const response = await post(`${url}/v1/reservations`, {
    reservation_id: ID,
    sku_id: 'tv',
    user_id: 'a',
    quantity: 1,
  });
  assert.equal(response.status, 409);
  assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/);
  const problem = await json(response);
  assert.equal(problem.reason, 'SOLD_OUT');
  assert.equal(problem.type, '/docs#SOLD_OUT');
  assert.equal(problem.metadata.holds_may_lapse, 'true');
  assert.match(problem.next_step, /another try in a minute/);
  assert.equal(node.seen.length, 1);
});

test('the time to wait is told', async (t) => {
  const { url, node } = await start(t);
  const limited = { code: status.RESOURCE_EXHAUSTED, reason: 'RATE_LIMITED', retryAfterMs: 2300 };
  node.answers.set('FrontDoorService.EnterSale', refuse(limited));
  const response = await post(`${url}/v1/skus/tv:enter`, { user_id: 'a' });
  assert.equal(response.status, 429);
  assert.equal(response.headers.get('retry-after'), '3');
  assert.equal((await json(response)).retry_after_ms, 2300);
  assert.equal(node.seen.length, 1, 'limits hold over all nodes');
});

test('a field that the node refuses is named', async (t) => {
  const { url, node } = await start(t);
  const fields = [{ field: 'quantity', description: 'must be 1 or more' }];
  const refusal = {
    code: status.INVALID_ARGUMENT,
    reason: 'QUANTITY_INVALID',
    metadata: { field: 'quantity' },
    fields,
  };
  node.answers.set('ReservationService.CreateReservation', refuse(refusal));
  const response = await post(`${url}/v1/reservations`, { reservation_id: ID });
  assert.equal(response.status, 400);
  assert.deepEqual((await json(response)).errors, [{ field: 'quantity', detail: 'must be 1 or more' }]);
});

test('a claim that is queued is 202, with where to ask', async (t) => {
  const { url, node } = await start(t);
  const ticket = 'a/ticket+of=ours';
  const queued = { ticket, ahead: 7, poll_after: { seconds: 2 } };
  node.answers.set('ReservationService.CreateReservation', () => ({ queued }));
  node.answers.set('ReservationService.GetClaim', ({ request }) => {
    assert.equal(request.ticket, ticket);
    return { refused: rpcStatus(api.root, { code: status.RESOURCE_EXHAUSTED, reason: 'SOLD_OUT' }) };
  });
  const response = await post(`${url}/v1/reservations`, { reservation_id: ID, accept_queued: true });
  assert.equal(response.status, 202);
  assert.equal(response.headers.get('retry-after'), '2');
  assert.equal((await json(response)).queued.ahead, '7');
  const told = await fetch(`${url}${response.headers.get('location')}`);
  assert.equal(told.status, 200);
  const { refused } = await json(told);
  assert.equal(refused.reason, 'SOLD_OUT');
  assert.equal(refused.status, 409);
});

test('a lost answer is asked for elsewhere, with may_exist', async (t) => {
  const { url, nodes } = await start(t, [], 2);
  let lost = 0;
  for (const node of nodes) {
    node.answers.set('ReservationService.CreateReservation', ({ request }) => {
      if (lost++ === 0) throw new Refused({ code: status.UNAVAILABLE });
      return { ...held(request), replayed: true };
    });
  }
  const response = await post(`${url}/v1/reservations`, { reservation_id: ID });
  assert.equal(response.status, 200);
  const seen = nodes.flatMap((node) => node.seen).map(({ request }) => request.may_exist);
  assert.deepEqual(seen.sort(), [false, true]);
});

test('a refusal after a lost answer counts when it is repeated', async (t) => {
  const { url, nodes } = await start(t, [], 2);
  let tries = 0;
  for (const node of nodes) {
    node.answers.set('ReservationService.CreateReservation', () => {
      if (tries++ === 0) throw new Refused({ code: status.UNAVAILABLE });
      throw new Refused({ code: status.RESOURCE_EXHAUSTED, reason: 'SOLD_OUT' });
    });
  }
  const response = await post(`${url}/v1/reservations`, { reservation_id: ID });
  assert.equal(response.status, 409);
  assert.equal(tries, 3);
});

test('an outcome that stays unknown is said to be so', async (t) => {
  const { url, node } = await start(t);
  node.answers.set('ReservationService.ConfirmReservation', refuse({ code: status.INTERNAL }));
  const response = await post(`${url}/v1/reservations/${ID}:confirm`, {});
  assert.equal(response.status, 503);
  const problem = await json(response);
  assert.equal(problem.reason, 'COMMIT_UNKNOWN');
  assert.equal(problem.outcome, 'UNKNOWN');
  assert.ok(response.headers.has('retry-after'));
});

test('a claim that was never sent is not in doubt', async (t) => {
  const { url, node } = await start(t);
  node.stop();
  const response = await post(`${url}/v1/reservations`, { reservation_id: ID }, { 'x-request-timeout': '300ms' });
  assert.equal(response.status, 503);
  const problem = await json(response);
  assert.equal(problem.reason, 'NO_NODE');
  assert.equal('outcome' in problem, false);
  assert.equal(response.headers.get('retry-after'), '1');
});

test('a node that drains is left for another one', async (t) => {
  const { url, nodes } = await start(t, [], 2);
  const [first, second] = nodes;
  const draining = { code: status.UNAVAILABLE, reason: 'DRAINING', retryAfterMs: 10_000 };
  first?.answers.set('CatalogService.GetSku', refuse(draining));
  second?.answers.set('CatalogService.GetSku', () => ({ sku: { sku_id: 'tv' } }));
  for (let i = 0; i < 4; ++i) assert.equal((await fetch(`${url}/v1/skus/tv`)).status, 200);
  assert.ok((first?.seen.length ?? 0) <= 1, 'it is avoided');
});

test('a node that hangs costs a read one second, and not its deadline', async (t) => {
  const { url, nodes } = await start(t, [], 2);
  let asked = 0;
  for (const node of nodes) {
    node.answers.set('CatalogService.GetSku', () =>
      asked++ === 0 ? new Promise<Fields>(() => {}) : { sku: { sku_id: 'tv' } },
    );
  }
  const response = await fetch(`${url}/v1/skus/tv`);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('cache-control'), 'max-age=1');
});

test('without an answer in time it is 504', async (t) => {
  const { url, node } = await start(t);
  node.answers.set('CatalogService.GetSku', () => new Promise<Fields>(() => {}));
  const response = await fetch(`${url}/v1/skus/tv`, { headers: { 'x-request-timeout': '150ms' } });
  assert.equal(response.status, 504);
  const ms = (node.seen[0]?.deadlineMs ?? 0) - Date.now();
  assert.ok(ms < 150, 'the node was told the deadline');
});

test('who calls, from where, and with what trace goes to the node', async (t) => {
  const { url, node } = await start(t);
  node.answers.set('CatalogService.ListSkus', () => ({}));
  const trace = '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01';
  const headers = {
    authorization: 'Bearer the-token',
    'x-forwarded-for': '203.0.113.9',
    'x-request-id': 'order-7',
    traceparent: trace,
  };
  const response = await fetch(`${url}/v1/skus`, { headers });
  assert.equal(response.headers.get('x-request-id'), 'order-7');
  const metadata = node.seen[0]?.metadata.getMap() ?? {};
  assert.equal(metadata.authorization, 'Bearer the-token');
  assert.equal(metadata['x-forwarded-for'], '203.0.113.9, 127.0.0.1');
  assert.equal(metadata['x-request-id'], 'order-7');
  assert.equal(metadata.traceparent, trace);
});

test('who is not known is told so', async (t) => {
  const { url, node } = await start(t);
  const unknown = { code: status.UNAUTHENTICATED, reason: 'CALLER_UNKNOWN', metadata: { roles: 'service' } };
  node.answers.set('ReservationService.ListReservations', refuse(unknown));
  const response = await fetch(`${url}/v1/reservations?user_id=a`);
  assert.equal(response.status, 401);
  assert.equal(response.headers.get('www-authenticate'), 'Bearer');
});

test('what is not there, or not so, is refused by name', async (t) => {
  const { url, node } = await start(t);
  const cases: [string, RequestInit, number, string][] = [
    ['/v1/nothing', {}, 404, 'NO_SUCH_PATH'],
    ['/v1/admin/skus', {}, 404, 'NO_SUCH_PATH'],
    ['/tranche.v1.AdminService/ListSkus', { method: 'POST' }, 404, 'NO_SUCH_PATH'],
    [`/v1/reservations/${ID}:confirm`, {}, 405, 'METHOD_NOT_ALLOWED'],
    ['/v1/skus', { method: 'DELETE' }, 405, 'METHOD_NOT_ALLOWED'],
    ['/v1/skus?colour=red', {}, 400, 'FIELD_INVALID'],
    ['/v1/skus?page_size=many', {}, 400, 'FIELD_INVALID'],
    ['/v1/skus/%ff', {}, 400, 'PATH_MALFORMED'],
    ['/v1/reservations?states=SOLD', {}, 400, 'FIELD_INVALID'],
  ];
  for (const [path, init, code, reason] of cases) {
    const response = await fetch(`${url}${path}`, init);
    assert.equal(response.status, code, path);
    assert.equal((await json(response)).reason, reason, path);
  }
  assert.equal(node.seen.length, 0);
});

test('HEAD is GET without the body', async (t) => {
  const { url, node } = await start(t);
  node.answers.set('CatalogService.ListSkus', () => ({}));
  const response = await fetch(`${url}/v1/skus`, { method: 'HEAD' });
  assert.equal(response.status, 200);
  assert.equal(await response.text(), '');
  assert.equal(node.seen.length, 1);
});

test('a body that is no message is refused, with the field', async (t) => {
  const { url } = await start(t);
  const cases: [unknown, number, string][] = [
    [{ colour: 'red' }, 400, 'colour'],
    [{ quantity: 'two' }, 400, 'quantity'],
    [{ quantity: 1.5 }, 400, 'quantity'],
    [{ quantity: 2 ** 40 }, 400, 'quantity'],
    [{ may_exist: 'true' }, 400, 'may_exist'],
    [{ user_id: '\ud800' }, 400, 'user_id'],
    [{ sku_id: 'a', skuId: 'b' }, 400, 'sku_id'],
    [{ refusal_in_response: false }, 400, 'refusal_in_response'],
    ['{"__proto__": {}}', 400, '__proto__'],
    [[], 400, 'request'],
    ['{', 400, ''],
    ['"' + 'a'.repeat(70_000) + '"', 413, ''],
  ];
  for (const [body, code, field] of cases) {
    const response = await post(`${url}/v1/reservations`, body);
    assert.equal(response.status, code, JSON.stringify(body).slice(0, 50));
    const problem = await json(response);
    assert.equal(problem.errors?.[0]?.field ?? '', field);
  }
  const xml = await fetch(`${url}/v1/reservations`, {
    method: 'POST',
    body: '<a/>',
    headers: { 'content-type': 'text/xml' },
  });
  assert.equal(xml.status, 415);
});

test('a field of the path is not taken from the body', async (t) => {
  const { url } = await start(t);
  const response = await post(`${url}/v1/skus/tv:enter`, { sku_id: 'lamp', user_id: 'a' });
  assert.equal(response.status, 400);
  assert.equal((await json(response)).errors[0].field, 'sku_id');
});

test('as many requests are open as may be, and no more', async (t) => {
  const { url, node, metricsUrl } = await start(t, ['--max-requests-per-address', '2']);
  let letGo = () => {};
  const held = new Promise<void>((resolve) => (letGo = resolve));
  let arrived = () => {};
  const both = new Promise<void>((resolve) => (arrived = resolve));
  node.answers.set('CatalogService.ListSkus', async (_seen, nth) => {
    if (nth === 1) arrived();
    await held;
    return {};
  });
  const open = [fetch(`${url}/v1/skus`), fetch(`${url}/v1/skus`)];
  await both;
  const refused = await fetch(`${url}/v1/skus`);
  assert.equal(refused.status, 503);
  assert.equal((await json(refused)).reason, 'GATEWAY_BUSY');
  letGo();
  for (const response of await Promise.all(open)) assert.equal(response.status, 200);
  const metrics = await (await fetch(`${metricsUrl}/metrics`)).text();
  assert.match(metrics, /^tranche_gateway_open_requests [01]$/m);
  assert.match(metrics, /^tranche_gateway_requests_total\{operation="CatalogService.ListSkus",status="200"\} 2$/m);
});

test('a drain lets requests end, and is not ready', async (t) => {
  const started = await start(t);
  const { url, node, metricsUrl } = started;
  let letGo = () => {};
  const held = new Promise<void>((resolve) => (letGo = resolve));
  let arrived = () => {};
  const there = new Promise<void>((resolve) => (arrived = resolve));
  node.answers.set('CatalogService.ListSkus', async () => {
    arrived();
    await held;
    return {};
  });
  const open = fetch(`${url}/v1/skus`);
  await there;
  assert.equal((await fetch(`${metricsUrl}/readyz`)).status, 200);
  const drained = started.drain();
  assert.equal((await fetch(`${metricsUrl}/readyz`)).status, 503);
  letGo();
  assert.equal((await open).status, 200);
  await drained;
  await assert.rejects(fetch(`${url}/v1/skus`));
});
