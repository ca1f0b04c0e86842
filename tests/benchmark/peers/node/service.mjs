// Serves a peer as tranche.v1.ReservationService/CreateReservation, with the answers of tests/benchmark/peers.
import { Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { fileURLToPath } from 'node:url';
import { Outcome } from './outcome.mjs';
import { Turns } from './turns.mjs';

const MOST_WAITING = 16384;
const PATIENCE_MS = 5000;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const NIL_UUID = '00000000-0000-0000-0000-000000000000';

export const definitions = loadSync(
  ['tranche/v1/reservation_service.proto', 'google/rpc/status.proto', 'google/rpc/error_details.proto'],
  {
    includeDirs: [fileURLToPath(new URL('../../../../proto', import.meta.url))],
    keepCase: true,
    longs: String,
    enums: String,
    defaults: true,
  },
);
const service = definitions['tranche.v1.ReservationService'];

// A google.rpc.Status with our ErrorInfo.
function errorOf(code, reason, message, metadata = {}) {
  const value = definitions['google.rpc.ErrorInfo'].serialize({ reason, domain: 'tranche', metadata });
  return { code, message, details: [{ type_url: 'type.googleapis.com/google.rpc.ErrorInfo', value }] };
}

function asStatus(error) {
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', definitions['google.rpc.Status'].serialize(error));
  return { code: error.code, details: error.message, metadata };
}

const busy = errorOf(status.RESOURCE_EXHAUSTED, 'OVERLOADED', 'Too many claims wait here.');
const failed = errorOf(
  status.UNAVAILABLE,
  'COMMIT_UNKNOWN',
  'The store failed; repeat with the same reservation id to learn the outcome.',
);

function fieldError(field, what) {
  return errorOf(status.INVALID_ARGUMENT, 'FIELD_INVALID', `${field} ${what}`, { field });
}

// What is wrong with a request; undefined if nothing.
export function faultOf(request) {
  const id = request.reservation_id.toLowerCase();
  if (!UUID.test(id) || id === NIL_UUID) {
    return fieldError('reservation_id', 'must be a UUID of 36 characters, and not the nil UUID');
  }
  if (!request.sku_id) return fieldError('sku_id', 'is missing');
  if (!request.user_id) return fieldError('user_id', 'is missing');
  if (request.quantity === 1) return undefined;
  return errorOf(status.FAILED_PRECONDITION, 'QUANTITY_ABOVE_USER_LIMIT', 'A buyer may have one unit.', {
    sku_id: request.sku_id,
    per_user_limit: '1',
  });
}

const refusals = {
  [Outcome.soldOut]: (sku_id) => errorOf(status.RESOURCE_EXHAUSTED, 'SOLD_OUT', 'Every unit is sold.', { sku_id }),
  [Outcome.userLimit]: (sku_id) =>
    errorOf(status.FAILED_PRECONDITION, 'USER_LIMIT_REACHED', 'The buyer has a unit already.', {
      sku_id,
      per_user_limit: '1',
    }),
};
const errors = {
  [Outcome.conflict]: () =>
    errorOf(status.RESOURCE_EXHAUSTED, 'OVERLOADED', 'Other claims were in the way too often; nothing was reserved.'),
  [Outcome.noSuchSku]: (sku_id) => errorOf(status.NOT_FOUND, 'SKU_NOT_FOUND', 'There is no such SKU.', { sku_id }),
};

function answer(claim, outcome, refusalInResponse, callback) {
  if (outcome === Outcome.created || outcome === Outcome.replayed) {
    const reservation = {
      reservation_id: claim.reservationId,
      sku_id: claim.skuId,
      user_id: claim.userId,
      quantity: claim.quantity,
      state: 'RESERVATION_STATE_PENDING',
    };
    return callback(null, { reservation, replayed: outcome === Outcome.replayed });
  }
  const refusal = refusals[outcome]?.(claim.skuId);
  if (refusal && refusalInResponse) return callback(null, { refusal });
  return callback(asStatus(refusal ?? errors[outcome](claim.skuId)));
}

// At most one line a second.
function makeComplaint() {
  let last = 0;
  return (error) => {
    if (Date.now() - last < 1000) return;
    last = Date.now();
    console.error(`peer.mjs: the store (at most one line a second): ${error.stack ?? error}`);
  };
}

// CreateReservation on a peer.
export function handlerOf(peer, sideBySide, mostWaiting = MOST_WAITING) {
  const turns = new Turns(sideBySide, mostWaiting);
  const complain = makeComplaint();
  return async (call, callback) => {
    const fault = faultOf(call.request);
    if (fault) return callback(asStatus(fault));
    const claim = {
      reservationId: call.request.reservation_id.toLowerCase(),
      skuId: call.request.sku_id,
      userId: call.request.user_id,
      quantity: 1,
      mayExist: call.request.may_exist,
    };
    if (!(await turns.take())) return callback(asStatus(busy));
    try {
      // Nobody waits for it any more.
      if (call.cancelled) return callback({ code: status.CANCELLED, details: 'cancelled by the caller' });
      return answer(claim, await peer.sell(claim), call.request.refusal_in_response, callback);
    } catch (error) {
      complain(error);
      return callback(asStatus(failed));
    } finally {
      turns.done();
    }
  };
}

// Serves on a free port of 127.0.0.1. `stop` resolves when no call is left, or after five seconds.
export async function serve(peer, sideBySide) {
  const server = new Server();
  server.addService(service, { CreateReservation: handlerOf(peer, sideBySide) });
  const port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  const stop = () =>
    new Promise((resolve) => {
      const impatient = setTimeout(() => server.forceShutdown(), PATIENCE_MS);
      server.tryShutdown(() => {
        clearTimeout(impatient);
        resolve();
      });
    });
  return { port, stop };
}
