// A gateway in this process, before fake nodes.
import type { TestContext } from 'node:test';
import type { ServerCredentials } from '@grpc/grpc-js';
import pino from 'pino';
import { loadApi } from '../src/api/load.js';
import { startGateway } from '../src/gateway.js';
import { parseOptions } from '../src/options.js';
import { FakeNode } from './fake_node.js';

export const api = loadApi();

export interface Started {
  url: string;
  metricsUrl: string;
  nodes: FakeNode[];
  // The first one.
  node: FakeNode;
  drain(): Promise<void>;
}

// Ends with the test. `flags`: of the gateway. `credentials`: of the nodes.
export async function start(
  t: TestContext,
  flags: string[] = [],
  nodes = 1,
  credentials?: ServerCredentials,
): Promise<Started> {
  const fakes = await Promise.all(Array.from({ length: nodes }, () => new FakeNode(api).start(credentials)));
  const endpoints = fakes.map((node) => node.endpoint).join();
  const listen = ['--listen', '127.0.0.1:0', '--metrics-listen', '127.0.0.1:0', '--drain-timeout-ms', '1000'];
  const options = parseOptions(['--nodes', endpoints, ...listen, ...flags], {});
  const gateway = await startGateway(options, pino({ level: process.env.TRANCHE_GATEWAY_LOG_LEVEL ?? 'silent' }));
  t.after(async () => {
    await gateway.drain();
    for (const node of fakes) node.stop();
  });
  return {
    url: `${flags.includes('--tls-key') ? 'https' : 'http'}://127.0.0.1:${gateway.port}`,
    metricsUrl: `http://127.0.0.1:${gateway.metricsPort}`,
    nodes: fakes,
    node: fakes[0] as FakeNode,
    drain: () => gateway.drain(),
  };
}

export function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

// The JSON of an answer, for tests that look into it.
export async function json(response: Response): Promise<any> {
  return response.json();
}
