// The whole gateway: put together, started, and drained.
import type { AddressInfo } from 'node:net';
import type http from 'node:http';
import type { Logger } from 'pino';
import { loadApi } from './api/load.js';
import { makeOpenApi } from './docs/openapi.js';
import { makeDocsPage, makeOpenApiPage } from './docs/page.js';
import { Door } from './http/door.js';
import { WebServer } from './http/server.js';
import { Metrics } from './metrics.js';
import { Caller } from './nodes/caller.js';
import { FailureReader } from './nodes/failure.js';
import { NodeClients } from './nodes/node_clients.js';
import { makeOpsServer } from './ops_server.js';
import type { Options } from './options.js';

export interface Gateway {
  port: number;
  // null: it serves no metrics.
  metricsPort: number | null;
  // Ends it: requests that are under way have the drain timeout.
  drain(): Promise<void>;
}

function portOf(server: http.Server): number {
  return (server.address() as AddressInfo).port;
}

// Throws if files cannot be read, or if it cannot listen.
export async function startGateway(options: Options, log: Logger): Promise<Gateway> {
  const api = loadApi();
  const clients = new NodeClients(options.nodes, options.nodeTls, (error) =>
    log.warn({ event: 'tls.faulty', error: error.message }, 'the files for the nodes were not taken'),
  );
  const reasons = Object.keys(api.root.lookupEnum('tranche.v1.ErrorReason').values);
  const metrics = new Metrics([...api.nextSteps.keys(), ...reasons.map((name) => name.replace('ERROR_REASON_', ''))]);
  const caller = new Caller(clients, new FailureReader(api.root), metrics);
  metrics.addGauge('avoided_nodes', 'Front nodes that have just failed, and are left alone for a while.', () =>
    caller.nodes.countAvoided(performance.now()),
  );
  const door = new Door(api, caller, { ...options, mayCarryTokens: clients.mayCarryTokens });
  const document = makeOpenApi(api);
  const pages = [makeOpenApiPage(document), makeDocsPage(api, document, door.problems)];
  const web = new WebServer(door, pages, options, metrics, log);
  await web.app.listen(options.listen);
  const ops = options.metricsListen && makeOpsServer(metrics.registry, () => (web.draining ? 'it drains' : ''));
  if (ops) {
    await new Promise<void>((resolve, reject) => {
      ops.once('error', reject);
      ops.listen(options.metricsListen, resolve);
    });
  }
  return {
    port: portOf(web.app.server),
    metricsPort: ops && portOf(ops),
    async drain() {
      await web.drain();
      clients.close();
      ops?.close();
      ops?.closeAllConnections();
    },
  };
}
