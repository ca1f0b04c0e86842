// TLS on both sides, and where tokens may go. Certificates are made by the command openssl.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import tls from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import { setTimeout as sleep } from 'node:timers/promises';
import { json, start } from './started.js';

const FOLDER = mkdtempSync(path.join(tmpdir(), 'tranche-gateway-tls-'));
after(() => rmSync(FOLDER, { recursive: true }));
const file = (name: string) => path.join(FOLDER, name);

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { cwd: FOLDER, stdio: 'pipe' });
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
openssl('req', '-x509', ...KEY, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=ca', '-days', '1');

// A certificate of the authority, with these subject alternative names.
function issue(name: string, names: string): void {
  writeFileSync(file('names'), `subjectAltName=${names}\n`);
  openssl('req', ...KEY, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '1', '-extfile', 'names'];
  openssl('x509', '-req', '-in', `${name}.csr`, ...signed, '-out', `${name}.pem`);
}

issue('node', 'IP:127.0.0.1');
issue('named', 'DNS:tranche.internal');
issue('web', 'IP:127.0.0.1,DNS:localhost');
issue('shop', 'DNS:shop.internal');

const secured = (name: string, mutual = false) =>
  ServerCredentials.createSsl(
    readFileSync(file('ca.pem')),
    [{ private_key: readFileSync(file(`${name}.key`)), cert_chain: readFileSync(file(`${name}.pem`)) }],
    mutual,
  );

// By https, trusting our authority.
function get(url: string, headers: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    https
      .get(url, { ca: readFileSync(file('ca.pem')), headers, agent: false }, (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
      })
      .on('error', reject);
  });
}

test('nodes are called by TLS, and tokens go there', async (t) => {
  const { url, node } = await start(t, ['--node-tls-ca', file('ca.pem')], 1, secured('node'));
  node.answers.set('CatalogService.ListSkus', () => ({}));
  const response = await fetch(`${url}/v1/skus`, { headers: { authorization: 'Bearer a-token' } });
  assert.equal(response.status, 200);
  assert.deepEqual(node.seen[0]?.metadata.get('authorization'), ['Bearer a-token']);
});

test('a node of another name is not called', async (t) => {
  const flags = ['--node-tls-ca', file('ca.pem')];
  const { url, node } = await start(t, flags, 1, secured('named'));
  const response = await fetch(`${url}/v1/skus`, { headers: { 'x-request-timeout': '500ms' } });
  assert.equal(response.status, 503);
  assert.equal(node.seen.length, 0);
});

test('the name can be said, and a certificate shown', async (t) => {
  const own = ['--node-tls-certificate', file('shop.pem'), '--node-tls-key', file('shop.key')];
  const flags = ['--node-tls-ca', file('ca.pem'), '--node-tls-name', 'tranche.internal', ...own];
  const { url, node } = await start(t, flags, 1, secured('named', true));
  node.answers.set('CatalogService.ListSkus', () => ({}));
  assert.equal((await fetch(`${url}/v1/skus`)).status, 200);
});

test('no token goes to others’ machines in plain text', async (t) => {
  const { url } = await start(t, ['--nodes', 'tranche.invalid:7400']);
  const response = await fetch(`${url}/v1/skus`, { headers: { authorization: 'Bearer a-token' } });
  assert.equal(response.status, 403);
  assert.equal((await json(response)).reason, 'TOKEN_NEEDS_TLS');
});

// The serial number of what is served.
function serialOf(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

test('HTTP is served by TLS, and a renewed certificate is taken without a stop', async (t) => {
  const { url, node } = await start(t, ['--tls-certificate', file('web.pem'), '--tls-key', file('web.key')]);
  node.answers.set('CatalogService.ListSkus', () => ({}));
  assert.equal(await get(`${url}/v1/skus`), 200);
  const port = Number(new URL(url).port);
  const before = await serialOf(port);
  // Half of it: it is not taken.
  writeFileSync(file('web.pem.half'), readFileSync(file('web.pem')).subarray(0, 100));
  renameSync(file('web.pem.half'), file('web.pem'));
  assert.equal(await serialOf(port), before);
  issue('web', 'IP:127.0.0.1');
  const deadline = Date.now() + 10_000;
  while ((await serialOf(port)) === before) {
    assert.ok(Date.now() < deadline, 'the new certificate was not taken');
    await sleep(50);
  }
  assert.equal(await get(`${url}/v1/skus`), 200);
});
