import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { Outcome } from '../outcome.mjs';
import { serve } from '../service.mjs';
import { clientOf, errorInfoOf } from './client.mjs';

const CLAIM = { reservation_id: '0190A000-0000-7000-8000-000000000001', sku_id: 'sku-0', user_id: 'u', quantity: 1 };
const peer = { sell: async (claim) => peer.next(claim) };
let serving;
let client;

before(async () => {
  serving = await serve(peer, 2);
  client = clientOf(serving.port);
});

after(async () => {
  client.close();
  await serving.stop();
});

function create(request) {
  return new Promise((resolve, reject) => {
    client.CreateReservation(request, (error, response) => (error ? reject(error) : resolve(response)));
  });
}

async function refused(request) {
  const error = await create(request).then(
    () => assert.fail('it was not refused'),
    (reason) => reason,
  );
  return [error.code, errorInfoOf(error).reason];
}

test('a sold claim is answered with the reservation, its id in lower case', async () => {
  let seen;
  peer.next = (claim) => {
    seen = claim;
    return Outcome.created;
  };
  const { reservation, replayed, refusal } = await create({ ...CLAIM, may_exist: true });
  assert.equal(seen.mayExist, true);
  assert.equal(reservation.reservation_id, CLAIM.reservation_id.toLowerCase());
  assert.equal(reservation.state, 'RESERVATION_STATE_PENDING');
  assert.deepEqual([reservation.sku_id, reservation.user_id, reservation.quantity], ['sku-0', 'u', 1]);
  assert.deepEqual([replayed, refusal], [false, null]);
});

test('a repeat is marked', async () => {
  peer.next = () => Outcome.replayed;
  assert.equal((await create(CLAIM)).replayed, true);
});

test('refusals and errors have their reasons', async () => {
  const expected = [
    [Outcome.soldOut, status.RESOURCE_EXHAUSTED, 'SOLD_OUT'],
    [Outcome.userLimit, status.FAILED_PRECONDITION, 'USER_LIMIT_REACHED'],
    [Outcome.conflict, status.RESOURCE_EXHAUSTED, 'OVERLOADED'],
    [Outcome.noSuchSku, status.NOT_FOUND, 'SKU_NOT_FOUND'],
  ];
  for (const [outcome, code, reason] of expected) {
    peer.next = () => outcome;
    assert.deepEqual(await refused(CLAIM), [code, reason]);
  }
});

test('a refusal comes in the response if that is asked for; an error never does', async () => {
  peer.next = () => Outcome.soldOut;
  const { reservation, refusal } = await create({ ...CLAIM, refusal_in_response: true });
  assert.equal(reservation, null);
  assert.equal(refusal.code, status.RESOURCE_EXHAUSTED);
  assert.equal(refusal.details[0].type_url, 'type.googleapis.com/google.rpc.ErrorInfo');
  peer.next = () => Outcome.conflict;
  assert.deepEqual(await refused({ ...CLAIM, refusal_in_response: true }), [status.RESOURCE_EXHAUSTED, 'OVERLOADED']);
});

test('a fault of the store leaves the outcome open', async () => {
  peer.next = () => {
    throw new Error('this error is part of the test');
  };
  assert.deepEqual(await refused(CLAIM), [status.UNAVAILABLE, 'COMMIT_UNKNOWN']);
});

test('a claim that cannot be right does not reach the store', async () => {
  peer.next = () => assert.fail('it did');
  for (const wrong of [{ reservation_id: 'x' }, { sku_id: '' }, { user_id: '' }]) {
    assert.deepEqual(await refused({ ...CLAIM, ...wrong }), [status.INVALID_ARGUMENT, 'FIELD_INVALID']);
  }
  const two = await refused({ ...CLAIM, quantity: 2 });
  assert.deepEqual(two, [status.FAILED_PRECONDITION, 'QUANTITY_ABOVE_USER_LIMIT']);
});
