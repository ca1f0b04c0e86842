// The program as its operators run it, called with curl and by raw sockets.
import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, watch } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { FakeNode } from './fake_node.js';
import { api } from './started.js';

const PROGRAM = fileURLToPath(new URL('../src/main.js', import.meta.url));
const run = promisify(execFile);

interface Running {
  child: ChildProcess;
  node: FakeNode;
  port: number;
}

async function portIn(folder: string, name: string): Promise<number> {
  const written = () => {
    try {
      return Number(readFileSync(path.join(folder, name), 'utf8'));
    } catch {
      return 0;
    }
  };
  const watcher = watch(folder);
  try {
    while (written() === 0) await once(watcher, 'change', { signal: AbortSignal.timeout(30_000) });
    return written();
  } finally {
    watcher.close();
  }
}

async function begin(t: TestContext, flags: string[] = []): Promise<Running> {
  const folder = mkdtempSync(path.join(tmpdir(), 'tranche-gateway-'));
  const node = await new FakeNode(api).start();
  const files = ['--listen', '127.0.0.1:0', '--port-file', path.join(folder, 'port')];
  const child = spawn(process.execPath, [PROGRAM, '--nodes', node.endpoint, ...files, ...flags], { stdio: 'ignore' });
  t.after(() => {
    child.kill('SIGKILL');
    node.stop();
    rmSync(folder, { recursive: true });
  });
  return { child, node, port: await portIn(folder, 'port') };
}

test('curl sees a SKU, and SIGTERM ends it with 0', async (t) => {
  const { child, node, port } = await begin(t);
  node.answers.set('CatalogService.GetSku', ({ request }) => ({ sku: { sku_id: request.sku_id } }));
  const { stdout } = await run('curl', ['-sS', '-i', `http://127.0.0.1:${port}/v1/skus/tv`]);
  assert.match(stdout, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(stdout, /"sku_id":"tv"/);
  child.kill('SIGTERM');
  const [code] = (await once(child, 'exit')) as [number];
  assert.equal(code, 0);
});

test('wrong flags are said in one line, and --help tells them all', async () => {
  const { stdout } = await run(process.execPath, [PROGRAM, '--help']);
  assert.match(stdout, /--max-watches-per-address/);
  await assert.rejects(
    run(process.execPath, [PROGRAM, '--nodes', 'nowhere']),
    (error: Error & { stderr: string; code: number }) => {
      assert.equal(error.code, 1);
      assert.match(error.stderr, /^tranche-gateway: --nodes must be HOST:PORT.*\n$/);
      return true;
    },
  );
});

// What comes back for these bytes, until the connection ends.
async function raw(port: number, bytes: string): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  socket.write(bytes);
  let text = '';
  socket.on('data', (data) => (text += data.toString()));
  // It may be reset, since not all was read.
  socket.on('error', () => {});
  await once(socket, 'close');
  return text;
}

test('what is no request gets a problem, and its connection ends', async (t) => {
  const { port } = await begin(t);
  const long = `GET /v1/skus HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`;
  assert.match(await raw(port, long), /^HTTP\/1\.1 431 .*"status":431/s);
  assert.match(await raw(port, 'NONSENSE\r\n\r\n'), /^HTTP\/1\.1 400 .*application\/problem\+json/s);
  const smuggled =
    'POST /v1/reservations HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n';
  assert.match(await raw(port, smuggled), /^HTTP\/1\.1 400 /);
});
