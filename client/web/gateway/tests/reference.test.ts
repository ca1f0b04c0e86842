// The OpenAPI document and its page; and a client that was typed by it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import SwaggerParser from '@apidevtools/swagger-parser';
import createClient from 'openapi-fetch';
import openapiTS, { astToString } from 'openapi-typescript';
import ts from 'typescript';
import { makeOpenApi } from '../src/docs/openapi.js';
import { Problems } from '../src/http/problem.js';
import { api, start } from './started.js';

const document = makeOpenApi(api);

test('the document is valid, and has each operation', async () => {
  // It changes what it reads.
  const read = (await SwaggerParser.validate(structuredClone(document) as never)) as unknown as typeof document;
  assert.equal(read.openapi, '3.1.0');
  const paths = document.paths as Record<string, object>;
  const found = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.deepEqual(found.sort(), api.operations.map((one) => `${one.method} ${one.path}`).sort());
});

test('each operation, schema and field is described', () => {
  const paths = document.paths as Record<string, Record<string, { description: string; summary: string }>>;
  for (const [path, methods] of Object.entries(paths)) {
    for (const one of Object.values(methods)) assert.ok(one.description !== '' && one.summary !== '', path);
  }
  const { schemas } = document.components as { schemas: Record<string, { properties?: Record<string, any> }> };
  for (const [name, { properties = {} }] of Object.entries(schemas)) {
    if (name === 'Problem') continue;
    for (const [field, one] of Object.entries(properties)) assert.ok(one.description, `${name}.${field}`);
  }
});

test('the page has each operation, each schema and each reason, and no scripts', async (t) => {
  const { url } = await start(t);
  const response = await fetch(`${url}/docs`);
  const page = await response.text();
  assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'none'/);
  assert.doesNotMatch(page, /<script/);
  const ids = new Set([...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
  for (const [, anchor] of page.matchAll(/href="#([^"]+)"/g)) assert.ok(ids.has(anchor), anchor);
  for (const reason of new Problems(api.nextSteps).reasons()) assert.ok(ids.has(reason), reason);
  assert.match(page, /<code id="SOLD_OUT">SOLD_OUT<\/code><\/td><td>409</);
  assert.match(page, /<code id="CLAIM_TICKET_INVALID">CLAIM_TICKET_INVALID<\/code><\/td><td>400</);
});

// What TypeScript says about a program that uses the document's types; '': nothing.
function compile(types: string, program: string): string {
  const files = new Map([
    ['/schema.d.ts', types],
    ['/program.ts', program],
  ]);
  const options = { strict: true, noEmit: true, target: ts.ScriptTarget.ES2022, types: [] };
  const host = ts.createCompilerHost(options);
  const fileExists = host.fileExists.bind(host);
  const readFile = host.readFile.bind(host);
  const getSourceFile = host.getSourceFile.bind(host);
  host.fileExists = (name) => files.has(name) || fileExists(name);
  host.readFile = (name) => files.get(name) ?? readFile(name);
  host.getSourceFile = (name, version) => {
    const text = files.get(name);
    return text === undefined ? getSourceFile(name, version) : ts.createSourceFile(name, text, version);
  };
  const found = ts.getPreEmitDiagnostics(ts.createProgram(['/program.ts'], options, host));
  return found.map((one) => ts.flattenDiagnosticMessageText(one.messageText, '\n')).join('\n');
}

test('the types of openapi-typescript fit what is sent, and refuse what would be', async () => {
  const types = astToString(await openapiTS(JSON.stringify(document)));
  const program = (sku: string) => `import type { paths } from './schema';
    type Claim = paths['/v1/reservations']['post']['requestBody']['content']['application/json'];
    type Sold = paths['/v1/reservations']['post']['responses'][200]['content']['application/json'];
    export const claim: Claim = { reservation_id: 'a', sku_id: ${sku}, user_id: 'alice', quantity: 1 };
    export const amount = (sold: Sold): string | undefined => sold.reservation?.amount_minor;
    export const state = (sold: Sold): boolean => sold.reservation?.state === 'RESERVATION_STATE_PENDING';`;
  assert.equal(compile(types, program(`'tv'`)), '');
  assert.match(compile(types, program('7')), /not assignable/);
});

test('openapi-fetch calls it', async (t) => {
  const { url, node } = await start(t);
  node.answers.set('CatalogService.GetSku', ({ request }) => ({ sku: { sku_id: request.sku_id, price_minor: 499 } }));
  const client = createClient<any>({ baseUrl: url });
  const { data, error } = await client.GET('/v1/skus/{sku_id}', { params: { path: { sku_id: 'tv.a' } } });
  assert.equal(error, undefined);
  assert.deepEqual([data.sku.sku_id, data.sku.price_minor], ['tv.a', '499']);
  const refused = await client.POST('/v1/reservations', { body: { quantity: 'none' } });
  assert.equal(refused.error.reason, 'FIELD_INVALID');
});
