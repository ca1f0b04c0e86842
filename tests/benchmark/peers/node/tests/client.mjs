import { credentials, loadPackageDefinition } from '@grpc/grpc-js';
import { definitions } from '../service.mjs';

export function clientOf(port) {
  const { ReservationService } = loadPackageDefinition(definitions).tranche.v1;
  return new ReservationService(`127.0.0.1:${port}`, credentials.createInsecure());
}

// The ErrorInfo of an error that a client was given.
export function errorInfoOf(error) {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  const { details } = definitions['google.rpc.Status'].deserialize(bytes);
  return definitions['google.rpc.ErrorInfo'].deserialize(details[0].value);
}
