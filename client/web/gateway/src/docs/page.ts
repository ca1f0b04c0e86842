// The reference as a page that needs no scripts and nothing from elsewhere: all operations, schemas and reasons.
import { createHash } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import type { Api, Operation } from '../api/operations.js';
import type { Page } from '../http/server.js';
import { statusOf, type Problems } from '../http/problem.js';
import { plainFailure } from '../nodes/failure.js';
import type { Schema } from './schemas.js';

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
code{font:0.9em ui-monospace,monospace;background:#f1f3f5;padding:0 .2em}
table{border-collapse:collapse;width:100%}td,th{border:1px solid #d0d7de;padding:.3rem .5rem;vertical-align:top;text-align:left}
h3{margin-top:2rem}summary{cursor:pointer}@media(prefers-color-scheme:dark){body{background:#14171a;color:#e6e9ec}
code{background:#262b30}td,th{border-color:#3a4148}a{color:#7ab7ff}}`;

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (one) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[one] ?? one);
}

// Paragraphs, with `code` as such.
function text(markdown: string): string {
  const marked = (part: string) => escape(part).replace(/`([^`]+)`/g, '<code>$1</code>');
  return markdown
    .split('\n\n')
    .map((part) => `<p>${marked(part).replace(/\n/g, '<br>')}</p>`)
    .join('');
}

function typeOf(schema: Schema): string {
  if (typeof schema.$ref === 'string') {
    const name = schema.$ref.split('/').pop() ?? '';
    return `<a href="#schema-${escape(name)}">${escape(name)}</a>`;
  }
  if (schema.type === 'array') return `list of ${typeOf(schema.items as Schema)}`;
  const kind = typeof schema.format === 'string' ? ` (${schema.format})` : '';
  return escape(`${String(schema.type)}${kind}`);
}

function table(head: string[], rows: string[][]): string {
  if (rows.length === 0) return '';
  const cells = (row: string[], tag: string) => row.map((cell) => `<${tag}>${cell}</${tag}>`).join('');
  return `<table><tr>${cells(head, 'th')}</tr>${rows.map((row) => `<tr>${cells(row, 'td')}</tr>`).join('')}</table>`;
}

function parameterRows(document: Schema, parameters: Schema[]): string[][] {
  const known = (document.components as { parameters: Record<string, Schema> }).parameters;
  return parameters.map((one) => {
    const parameter = typeof one.$ref === 'string' ? (known[one.$ref.split('/').pop() ?? ''] ?? one) : one;
    const description = typeof parameter.description === 'string' ? text(parameter.description) : '';
    const schema = parameter.schema as Schema;
    return [`<code>${escape(String(parameter.name))}</code>`, String(parameter.in), typeOf(schema), description];
  });
}

function operationSection(document: Schema, operation: Operation): string {
  const paths = document.paths as Record<string, Record<string, Schema>>;
  const entry = paths[operation.path]?.[operation.method.toLowerCase()] as Schema;
  const body =
    operation.method === 'POST'
      ? `<p>Body: <a href="#schema-${operation.request.name}">${operation.request.name}</a></p>`
      : '';
  const answer = operation.watches ? 'Server-sent events of' : 'Answer:';
  return `<h3 id="${entry.operationId as string}"><code>${operation.method} ${escape(operation.path)}</code></h3>
${text(entry.description as string)}${table(['name', 'in', 'type', ''], parameterRows(document, entry.parameters as Schema[]))}
${body}<p>${answer} <a href="#schema-${operation.response.name}">${operation.response.name}</a></p>`;
}

function schemaSection([name, schema]: [string, Schema]): string {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, Schema>);
  const required = new Set((schema.required ?? []) as string[]);
  const rows = properties.map(([field, one]) => [
    `<code>${escape(field)}</code>`,
    `${typeOf(one)}${required.has(field) ? ', always there' : ''}`,
    typeof one.description === 'string' ? text(one.description) : '',
  ]);
  const intro = typeof schema.description === 'string' ? text(schema.description) : '';
  return `<h3 id="schema-${escape(name)}"><code>${escape(name)}</code></h3>${intro}${table(['field', 'type', ''], rows)}`;
}

function reasonRows(api: Api, problems: Problems): string[][] {
  const codes = reasonCodes(api);
  return problems.reasons().map((reason) => {
    const code = codes.get(reason);
    const answered = code === undefined ? '' : String(statusOf({ ...plainFailure(code, ''), reason }));
    return [`<code id="${reason}">${reason}</code>`, answered, text(problems.nextStepOf(reason, 0))];
  });
}

// The gRPC code of each reason. In error_reason.proto a comment that begins with a code holds for what follows.
function reasonCodes(api: Api): Map<string, status> {
  const { values, comments } = api.root.lookupEnum('tranche.v1.ErrorReason');
  const codes = new Map<string, status>();
  let code: status | undefined;
  for (const name of Object.keys(values)) {
    const begin = /^([A-Z_]+)[:.]/m.exec(comments[name] ?? '')?.[1] ?? '';
    code = (status as unknown as Record<string, status>)[begin] ?? code;
    if (code !== undefined) codes.set(name.replace('ERROR_REASON_', ''), code);
  }
  return codes;
}

// `document`: what makeOpenApi has made.
export function makeDocsPage(api: Api, document: Schema, problems: Problems): Page {
  const schemas = Object.entries((document.components as { schemas: Record<string, Schema> }).schemas);
  const contents = api.operations.map(
    (one) => `<li><a href="#${one.id.replace('.', '_')}"><code>${one.method} ${escape(one.path)}</code></a></li>`,
  );
  const body = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Tranche over HTTP</title>
<meta name="viewport" content="width=device-width"><style>${STYLE}</style><h1>Tranche over HTTP</h1>
${text((document.info as { description: string }).description)}<p>As OpenAPI: <a href="/openapi.json">/openapi.json</a>.</p>
<h2>Operations</h2><ul>${contents.join('')}</ul>${api.operations.map((one) => operationSection(document, one)).join('')}
<h2 id="reasons">Reasons of problems</h2>${table(['reason', 'status', 'next step'], reasonRows(api, problems))}
<h2>Schemas</h2>${schemas.map(schemaSection).join('')}</html>`;
  const hash = createHash('sha256').update(STYLE).digest('base64');
  const policy = `default-src 'none'; style-src 'sha256-${hash}'; frame-ancestors 'none'; base-uri 'none'`;
  const headers = {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': policy,
    'Cache-Control': 'max-age=300',
  };
  return { path: '/docs', headers, body };
}

export function makeOpenApiPage(document: Schema): Page {
  const headers = { 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'max-age=300' };
  return { path: '/openapi.json', headers, body: JSON.stringify(document) };
}
