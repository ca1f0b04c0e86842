// The calls that the gateway offers, as HTTP has them: made from the rules and the descriptors, one for each rule.
import protobuf from 'protobufjs';
import { parseTemplate, fieldsOf, type PathTemplate } from './path_template.js';
import { checkRules, lookUpMethod, type HttpMethod, type HttpRule } from './rules.js';

export interface Operation {
  // "ReservationService.CreateReservation": for metrics, logs and the reference.
  id: string;
  // "/tranche.v1.ReservationService/CreateReservation".
  grpcPath: string;
  comment: string;
  method: HttpMethod;
  path: string;
  template: PathTemplate;
  pathFields: string[];
  request: protobuf.Type;
  response: protobuf.Type;
  // The answer is a stream: server-sent events.
  watches: boolean;
  // Its request has may_exist: a repeat after a lost answer must say so.
  claims: boolean;
  // Its request has a reservation_id that is not in the path, so that Idempotency-Key may say it.
  takesIdempotencyKey: boolean;
}

// The whole API: what dist/api.json has, ready for use.
export interface Api {
  root: protobuf.Root;
  operations: Operation[];
  // What a caller should do about a reason.
  nextSteps: Map<string, string>;
}

export interface EmbeddedApi {
  descriptors: protobuf.INamespace;
  rules: HttpRule[];
  nextSteps: Record<string, string>;
}

// Fields that the gateway sets itself, or turns into something else: no request and no answer over HTTP has them.
export const HIDDEN_FIELDS = new Set([
  // Always asked for: what a node refuses costs less then.
  'tranche.v1.CreateReservationRequest.refusal_in_response',
  // A problem, with its status.
  'tranche.v1.CreateReservationResponse.refusal',
]);

// Without the dot that protobufjs puts before full names.
export function fullName(object: protobuf.ReflectionObject): string {
  return object.fullName.replace(/^\./, '');
}

export function isHidden(field: protobuf.Field): boolean {
  return field.parent !== null && HIDDEN_FIELDS.has(`${fullName(field.parent)}.${field.name}`);
}

export function visibleFields(type: protobuf.Type): protobuf.Field[] {
  return type.fieldsArray.filter((field) => !isHidden(field));
}

function makeOperation(rule: HttpRule, root: protobuf.Root): Operation {
  const { service, method } = lookUpMethod(root, rule.selector);
  const template = parseTemplate(rule.path);
  const request = method.resolvedRequestType as protobuf.Type;
  const pathFields = fieldsOf(template);
  return {
    id: `${service.name}.${method.name}`,
    grpcPath: `/${fullName(service)}/${method.name}`,
    comment: method.comment ?? '',
    method: rule.method,
    path: rule.path,
    template,
    pathFields,
    request,
    response: method.resolvedResponseType as protobuf.Type,
    watches: method.responseStream === true,
    claims: request.fields.may_exist !== undefined,
    takesIdempotencyKey:
      rule.method === 'POST' && request.fields.reservation_id !== undefined && !pathFields.includes('reservation_id'),
  };
}

// Throws if the rules do not fit the descriptors.
export function makeApi(embedded: EmbeddedApi): Api {
  const root = protobuf.Root.fromJSON(embedded.descriptors);
  root.resolveAll();
  checkRules(embedded.rules, root);
  const operations = embedded.rules.map((rule) => makeOperation(rule, root));
  return { root, operations, nextSteps: new Map(Object.entries(embedded.nextSteps)) };
}
