// /metrics, /livez and /readyz, at an address of their own: not for callers.
import http from 'node:http';
import type { Registry } from 'prom-client';

const MAX_CONNECTIONS = 64;
const TIMEOUT_MS = 5000;

// `notReady`: why the process should get no work; '': it should.
export function makeOpsServer(registry: Registry, notReady: () => string): http.Server {
  const server = http.createServer((request, response) => {
    const plain = (status: number, text: string) =>
      response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
    switch (request.url) {
      case '/livez':
        return plain(200, 'ok');
      case '/readyz': {
        const why = notReady();
        return plain(why === '' ? 200 : 503, why === '' ? 'ok' : why);
      }
      case '/metrics':
        registry.metrics().then(
          (text) => response.writeHead(200, { 'Content-Type': registry.contentType }).end(text),
          (error: Error) => plain(500, error.message),
        );
        return;
      default:
        return plain(404, 'there are /metrics, /livez and /readyz');
    }
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.headersTimeout = TIMEOUT_MS;
  server.requestTimeout = TIMEOUT_MS;
  return server;
}
