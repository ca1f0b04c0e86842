// The rules of http_rules.yaml, checked against the protos: each call has one, and each names what is there.
import protobuf from 'protobufjs';
import { fieldsOf, parseTemplate, type PathTemplate } from './path_template.js';

export type HttpMethod = 'GET' | 'POST';

export interface HttpRule {
  // The full name of the call: "tranche.v1.CatalogService.GetSku".
  selector: string;
  method: HttpMethod;
  path: string;
}

// The services whose calls may have a rule. AdminService is not among them, and never reachable.
export const SERVED = [
  'tranche.v1.CatalogService',
  'tranche.v1.FrontDoorService',
  'tranche.v1.GroupService',
  'tranche.v1.ReservationService',
] as const;

const RULE_KEYS = new Set(['selector', 'get', 'post', 'body']);

function readRule(value: unknown): HttpRule {
  const rule = value as Record<string, unknown>;
  const name = String(rule.selector);
  const unknown = Object.keys(rule).filter((key) => !RULE_KEYS.has(key));
  if (unknown.length > 0) throw new Error(`${name}: the gateway does not know ${unknown.join(', ')}`);
  const { get, post, body } = rule;
  if ((typeof get === 'string') === (typeof post === 'string')) throw new Error(`${name}: needs either get or post`);
  if (typeof get === 'string') {
    if (body !== undefined) throw new Error(`${name}: a GET has no body`);
    return { selector: name, method: 'GET', path: get };
  }
  if (body !== '*') throw new Error(`${name}: a POST has all its fields in the body ('*')`);
  return { selector: name, method: 'POST', path: post as string };
}

// The rules of a service configuration that was read from YAML. Throws if it is not what the gateway can carry out.
export function readRules(configuration: unknown): HttpRule[] {
  const { type, http, apis } = configuration as {
    type?: unknown;
    http?: { rules?: unknown[] };
    apis?: { name: string }[];
  };
  if (type !== 'google.api.Service') throw new Error('the type must be google.api.Service');
  const named = (apis ?? []).map((api) => api.name);
  if (named.join() !== SERVED.join()) throw new Error(`apis must be ${SERVED.join(', ')}`);
  return (http?.rules ?? []).map(readRule);
}

// What a request of this path or query may hold: a scalar, an enum, or a list of such.
function fitsInUrl(field: protobuf.Field): boolean {
  return !field.map && !(field.resolve().resolvedType instanceof protobuf.Type);
}

function checkFields(rule: HttpRule, template: PathTemplate, request: protobuf.Type): void {
  const inPath = fieldsOf(template);
  for (const name of inPath) {
    const field = request.fields[name];
    if (!field) throw new Error(`${rule.selector}: ${request.name} has no field ${name}`);
    if (field.repeated || !fitsInUrl(field)) throw new Error(`${rule.selector}: ${name} cannot be in a path`);
  }
  if (rule.method === 'POST') return;
  for (const field of request.fieldsArray) {
    if (!fitsInUrl(field)) throw new Error(`${rule.selector}: ${field.name} cannot be in a query`);
  }
}

// Throws unless each call that HTTP can carry has exactly one rule, and each rule names a call and its fields.
export function checkRules(rules: HttpRule[], root: protobuf.Root): void {
  const seen = new Set<string>();
  for (const rule of rules) {
    if (seen.has(rule.selector)) throw new Error(`${rule.selector} has two rules`);
    seen.add(rule.selector);
    const { method } = lookUpMethod(root, rule.selector);
    checkFields(rule, parseTemplate(rule.path), method.resolvedRequestType as protobuf.Type);
  }
  for (const name of SERVED) {
    for (const method of root.lookupService(name).methodsArray) {
      const selector = `${name}.${method.name}`;
      if (!method.requestStream && !seen.has(selector)) throw new Error(`${selector} has no rule`);
    }
  }
}

// The service and the method of this full name. Throws if there is none, if it is of a service that is not served, or if
// it has a stream of requests.
export function lookUpMethod(root: protobuf.Root, selector: string) {
  const dot = selector.lastIndexOf('.');
  const service = selector.slice(0, dot);
  if (!(SERVED as readonly string[]).includes(service)) throw new Error(`${selector}: this service is not served`);
  const found = root.lookupService(service);
  const method = found.methods[selector.slice(dot + 1)];
  if (!method) throw new Error(`${selector}: there is no such call`);
  method.resolve();
  if (method.requestStream) throw new Error(`${selector}: a stream of requests is not for HTTP`);
  return { service: found, method };
}
