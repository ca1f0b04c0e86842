// The parts that decide without a server.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import Long from 'long';
import { forwardedFor, limitedAddress } from '../src/http/caller_address.js';
import { authorization, HeaderError, idempotencyKey, requestId, timeoutMs } from '../src/http/headers.js';
import { Limits } from '../src/http/limits.js';
import { Problems, retryAfterSeconds } from '../src/http/problem.js';
import { eventId } from '../src/http/watch.js';
import { readMessage } from '../src/json/read.js';
import { formatDuration, formatTimestamp, parseDuration, parseTimestamp } from '../src/json/time.js';
import { writeMessage } from '../src/json/write.js';
import { plainFailure } from '../src/nodes/failure.js';
import { NodeSet } from '../src/nodes/node_set.js';
import { RetryBudget } from '../src/nodes/retry_budget.js';
import { Throttle } from '../src/nodes/throttle.js';
import { judge } from '../src/nodes/verdict.js';
import { OptionError, parseOptions } from '../src/options.js';
import { api } from './started.js';

test('times are RFC 3339, and no other', () => {
  const both: [string, string][] = [
    ['2026-11-27T18:00:00Z', '2026-11-27T18:00:00Z'],
    ['2026-11-27T18:00:00.5Z', '2026-11-27T18:00:00.500Z'],
    ['2026-11-27T18:00:00.000001Z', '2026-11-27T18:00:00.000001Z'],
    ['2026-11-27T18:00:00.000000001Z', '2026-11-27T18:00:00.000000001Z'],
    ['2026-11-27t20:00:00+02:00', '2026-11-27T18:00:00Z'],
    ['1969-12-31T23:59:59.900Z', '1969-12-31T23:59:59.900Z'],
  ];
  for (const [text, written] of both) {
    const time = parseTimestamp(text);
    assert.ok(time, text);
    assert.equal(formatTimestamp(time), written);
  }
  for (const text of [
    '',
    '2026-02-30T00:00:00Z',
    '2026-11-27',
    '2026-11-27T18:00:00',
    '2026-11-27T25:00:00Z',
    '0000-01-01T00:00:00Z',
  ]) {
    assert.equal(parseTimestamp(text), null, text);
  }
});

test('durations are seconds', () => {
  for (const text of ['0s', '90s', '1.500s', '-0.500s', '-2s', '0.000000001s']) {
    const duration = parseDuration(text);
    assert.ok(duration, text);
    assert.equal(formatDuration(duration), text);
  }
  for (const text of ['', '90', 's', '1.0000000001s', '999999999999s', '1m'])
    assert.equal(parseDuration(text), null, text);
});

test('large numbers are exact both ways', () => {
  const type = api.root.lookupType('tranche.v1.ConfirmReservationRequest');
  for (const amount of ['9007199254740993', '-9223372036854775808', 12]) {
    const message = readMessage(type, { amountMinor: amount });
    const decoded = type.decode(type.encode(message).finish());
    const { amount_minor } = writeMessage(type, decoded, () => null) as { amount_minor: string };
    assert.equal(amount_minor, String(amount));
  }
  for (const amount of ['9223372036854775808', 2 ** 60, '1.0', '0x1', '', ' 1', '01', true]) {
    assert.throws(() => readMessage(type, { amount_minor: amount }), /amount_minor/, String(amount));
  }
});

test('what is optional is there only if it is set, also to zero', () => {
  const type = api.root.lookupType('tranche.v1.WaitingPlace');
  const write = (fields: object) => writeMessage(type, type.decode(type.encode(fields).finish()), () => null);
  assert.equal('ahead' in (write({}) as object), false);
  assert.equal((write({ ahead: Long.ZERO }) as { ahead: string }).ahead, '0');
  assert.deepEqual((write({}) as { commitment: string }).commitment, '');
  const request = readMessage(api.root.lookupType('tranche.v1.EnterSaleRequest'), {
    hints: { earlier_orders: 0, risk_score: null },
  });
  assert.deepEqual(request, { hints: { earlier_orders: 0 } });
});

test('a value of an enum that is not known is a number', () => {
  const type = api.root.lookupType('tranche.v1.CatalogSku');
  const { state } = writeMessage(type, type.decode(type.encode({ state: 77 }).finish()), () => null) as {
    state: number;
  };
  assert.equal(state, 77);
});

test('the id of an event does not change with the time that is left', () => {
  const type = api.root.lookupType('tranche.v1.WatchReservationResponse');
  const state = (revision: number, left: string) => ({
    reservation: { reservation_id: 'a', revision, remaining_hold: left },
  });
  assert.equal(eventId(type, state(1, '5s')), eventId(type, state(1, '4s')));
  assert.notEqual(eventId(type, state(1, '5s')), eventId(type, state(2, '5s')));
});

test('the node is told the chain of addresses', () => {
  assert.equal(forwardedFor(undefined, '::ffff:10.0.0.1'), '10.0.0.1');
  assert.equal(forwardedFor('203.0.113.1,  203.0.113.2 ', '10.0.0.1'), '203.0.113.1, 203.0.113.2, 10.0.0.1');
  assert.equal(forwardedFor('a,'.repeat(1000), '10.0.0.1').split(', ').length, 11);
});

test('limits count by what trusted proxies have written', () => {
  const chain = '198.51.100.66, 203.0.113.7';
  assert.equal(limitedAddress(chain, '10.0.0.1', 0), '10.0.0.1');
  assert.equal(limitedAddress(chain, '10.0.0.1', 1), '203.0.113.7');
  assert.equal(limitedAddress(chain, '10.0.0.1', 5), '10.0.0.1');
  assert.equal(limitedAddress('nonsense', '10.0.0.1', 1), '10.0.0.1');
  assert.equal(limitedAddress(undefined, '2001:db8::1', 0), limitedAddress(undefined, '2001:0DB8:0::ffff:2', 0));
  assert.notEqual(limitedAddress(undefined, '2001:db8::1', 0), limitedAddress(undefined, '2001:db8:0:1::1', 0));
});

test('headers are read, or refused', () => {
  assert.equal(timeoutMs({}, 5000, 30_000), 5000);
  for (const [text, ms] of [
    ['1.5', 1500],
    ['2s', 2000],
    ['800ms', 800],
    ['999', 30_000],
  ] as const) {
    assert.equal(timeoutMs({ 'x-request-timeout': text }, 5000, 30_000), ms);
  }
  for (const text of ['', 'soon', '-1', '0', '1ms', '1h']) {
    assert.throws(() => timeoutMs({ 'x-request-timeout': text }, 5000, 30_000), HeaderError, text);
  }
  assert.equal(requestId({ 'x-request-id': 'order-7' }), 'order-7');
  assert.match(requestId({ 'x-request-id': 'two words' }), /^[0-9a-f-]{36}$/);
  assert.equal(idempotencyKey({ 'idempotency-key': '"a"' }), 'a');
  assert.equal(authorization({ authorization: 'bearer abc' }), 'Bearer abc');
  for (const text of ['abc', 'Basic abc', 'Bearer ', 'Bearer a b']) {
    assert.throws(() => authorization({ authorization: text }), HeaderError, text);
  }
});

test('places are returned once', () => {
  const limits = new Limits(3, 2);
  const first = limits.take('a');
  assert.ok(limits.take('a'));
  assert.equal(limits.take('a'), null);
  assert.ok(limits.take('b'));
  assert.equal(limits.take('c'), null);
  first?.();
  first?.();
  assert.equal(limits.total, 2);
  assert.ok(limits.take('a'));
  assert.equal(limits.take('a'), null);
});

test('nodes take turns, and who failed is left alone for a while', () => {
  const nodes = new NodeSet(3, () => 0);
  const none = new Set<number>();
  assert.equal(new Set([0, 1, 2].map(() => nodes.pick(none, 0))).size, 3);
  nodes.avoid(1, 0);
  for (let i = 0; i < 6; ++i) assert.notEqual(nodes.pick(none, 100), 1);
  assert.equal(nodes.pick(new Set([0, 2]), 100), 1, 'no other is left');
  assert.equal(nodes.pick(new Set([0, 1, 2]), 100), null);
  assert.equal(nodes.isHealthy(1, 200), true);
  nodes.avoid(1, 200);
  assert.equal(nodes.isHealthy(1, 599), false);
  assert.equal(nodes.isHealthy(1, 600), true);
  nodes.markHealthy(1);
  nodes.avoid(1, 1000);
  assert.equal(nodes.isHealthy(1, 1200), true, 'it begins anew');
});

test('retries are a share of the answers', () => {
  const budget = new RetryBudget();
  let spent = 0;
  while (budget.trySpend()) ++spent;
  assert.equal(spent, 1000);
  for (let i = 0; i < 6; ++i) budget.onAnswered();
  assert.deepEqual([budget.trySpend(), budget.trySpend()], [true, false]);
});

test('tries are held back while nodes are overloaded, and not any more after it', () => {
  const throttle = new Throttle(() => 0.5);
  assert.equal(throttle.refusalProbability(0), 0);
  for (let i = 0; i < 300; ++i) throttle.onAnswer('overload', 0);
  for (let i = 0; i < 50; ++i) throttle.onAnswer('accepted', 0);
  assert.equal(throttle.refusalProbability(0), (350 - 100 - 20) / 351);
  assert.equal(throttle.admit(0), false);
  assert.equal(throttle.refusalProbability(10_000), 0);
  for (let i = 0; i < 300; ++i) throttle.onAnswer('none', 20_000);
  assert.equal(throttle.admit(20_000), true);
});

test('failures mean what the SDK takes them for', () => {
  const of = (code: number, reason = '', message = '') => judge({ ...plainFailure(code, message), reason });
  assert.deepEqual(of(status.RESOURCE_EXHAUSTED, 'RATE_LIMITED').next, 'done');
  assert.deepEqual(of(status.UNAVAILABLE, 'EXHAUSTED_HERE'), { ...of(status.OK, 'SOLD_OUT'), next: 'now' });
  assert.equal(of(status.UNAVAILABLE).outcomeUnknown, true);
  assert.equal(of(status.UNAVAILABLE, '', 'No connection established. Last error: ...').outcomeUnknown, false);
  assert.equal(of(status.UNAVAILABLE, 'A_NEW_ONE').next, 'later');
  assert.equal(of(status.FAILED_PRECONDITION, 'A_NEW_ONE').next, 'done');
  assert.equal(of(status.UNIMPLEMENTED).outcomeUnknown, false);
});

test('problems say what to do', () => {
  const problems = new Problems(api.nextSteps);
  const failure = { ...plainFailure(status.FAILED_PRECONDITION, 'not yet'), reason: 'SALE_NOT_OPEN' };
  const problem = problems.ofFailure(failure);
  assert.equal(problem.status, 409);
  assert.match(problem.next_step, /opens_at/);
  assert.equal(retryAfterSeconds(problem), null);
  const hidden = problems.ofFailure(plainFailure(status.UNAVAILABLE, 'connect ECONNREFUSED 10.0.0.7:7400'));
  assert.doesNotMatch(JSON.stringify(hidden), /10\.0\.0\.7/);
  assert.equal(hidden.reason, 'NO_ANSWER');
  assert.equal(retryAfterSeconds(hidden), 1);
});

test('flags are checked', () => {
  const environment = { TRANCHE_GATEWAY_NODES: 'a:1,b:2', TRANCHE_GATEWAY_MAX_WATCHES: '7' };
  const options = parseOptions(['--listen', '[::1]:0', '--max-timeout-ms', '1000'], environment);
  assert.deepEqual(options.nodes, ['a:1', 'b:2']);
  assert.deepEqual(options.listen, { host: '::1', port: 0 });
  assert.deepEqual([options.maxWatches, options.defaultTimeoutMs], [7, 1000]);
  const wrong = [
    [],
    ['--nodes', 'a'],
    ['--nodes', 'a:0'],
    ['--nodes', Array.from({ length: 65 }, () => 'a:1').join()],
    ['--nodes', 'a:1', '--max-requests', '-1'],
    ['--nodes', 'a:1', '--max-requests', 'many'],
    ['--nodes', 'a:1', '--tls-key', 'f'],
    ['--nodes', 'a:1', '--node-tls-name', 'n'],
    ['--nodes', 'a:1', '--colour', 'red'],
    ['--nodes', 'a:1', 'more'],
  ];
  for (const args of wrong) assert.throws(() => parseOptions(args, {}), OptionError, args.join(' '));
});
