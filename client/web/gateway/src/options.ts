// What the gateway is started with: flags, each of which is also an environment variable (--max-watches is
// TRANCHE_GATEWAY_MAX_WATCHES).
import { parseArgs } from 'node:util';
import { MAX_NODES } from './nodes/node_set.js';
import type { NodeTls } from './nodes/node_clients.js';

export interface Address {
  host: string;
  port: number;
}

export interface Options {
  nodes: string[];
  nodeTls: NodeTls | null;
  listen: Address;
  // null: none.
  metricsListen: Address | null;
  // PEM files; null: plain text.
  tls: { certificate: string; key: string } | null;
  // The ports that it listens at are written here; '': nowhere.
  portFile: string;
  metricsPortFile: string;
  trustedProxies: number;
  defaultTimeoutMs: number;
  maxTimeoutMs: number;
  maxRequests: number;
  maxRequestsPerAddress: number;
  maxWatches: number;
  maxWatchesPerAddress: number;
  maxWatchAgeMs: number;
  drainTimeoutMs: number;
}

// A flag that is missing or cannot be what it is.
export class OptionError extends Error {}

interface Flag {
  help: string;
  value: string;
  fallback: string;
}

const FLAGS: Record<string, Flag> = {
  nodes: { value: 'HOST:PORT,...', fallback: '', help: 'the front nodes, where buyers call them; 1 to 64' },
  'node-tls-ca': {
    value: 'FILE',
    fallback: '',
    help: 'nodes are called by TLS, and their certificates must be of these authorities',
  },
  'node-tls-certificate': {
    value: 'FILE',
    fallback: '',
    help: 'a certificate that is shown to nodes; its roles are everybody’s who can call the gateway',
  },
  'node-tls-key': { value: 'FILE', fallback: '', help: 'its key' },
  'node-tls-name': {
    value: 'NAME',
    fallback: '',
    help: 'the name in the nodes’ certificates, if it is not the host of --nodes',
  },
  listen: { value: 'HOST:PORT', fallback: '127.0.0.1:8080', help: 'where HTTP is served; port 0: a free one' },
  'metrics-listen': {
    value: 'HOST:PORT',
    fallback: '',
    help: 'where /metrics, /livez and /readyz are served; empty: nowhere',
  },
  'tls-certificate': { value: 'FILE', fallback: '', help: 'HTTP is served by TLS, with this certificate' },
  'tls-key': { value: 'FILE', fallback: '', help: 'its key' },
  'port-file': { value: 'FILE', fallback: '', help: 'is given the port of --listen' },
  'metrics-port-file': { value: 'FILE', fallback: '', help: 'is given the port of --metrics-listen' },
  'trusted-proxies': {
    value: 'N',
    fallback: '0',
    help: 'proxies of yours in front of the gateway; for its limits by address',
  },
  'default-timeout-ms': { value: 'MS', fallback: '5000', help: 'time for a request without X-Request-Timeout' },
  'max-timeout-ms': { value: 'MS', fallback: '30000', help: 'more than that is lowered to it' },
  'max-requests': { value: 'N', fallback: '1000', help: 'requests at the same time' },
  'max-requests-per-address': { value: 'N', fallback: '200', help: 'of one address' },
  'max-watches': { value: 'N', fallback: '2000', help: 'watches at the same time' },
  'max-watches-per-address': { value: 'N', fallback: '200', help: 'of one address' },
  'max-watch-age-ms': { value: 'MS', fallback: '3600000', help: 'a watch ends then, and its caller comes again' },
  'drain-timeout-ms': { value: 'MS', fallback: '10000', help: 'time for requests that are under way at SIGTERM' },
};

export function usage(): string {
  const lines = Object.entries(FLAGS).map(([name, { value, fallback, help }]) => {
    const flag = `--${name} ${value}`.padEnd(36);
    return `  ${flag} ${help}${fallback === '' ? '' : ` (${fallback})`}`;
  });
  const env = 'Each flag is also an environment variable: --max-watches is TRANCHE_GATEWAY_MAX_WATCHES.';
  return ['usage: tranche-gateway --nodes HOST:PORT,... [FLAG]...', '', ...lines, '', env, ''].join('\n');
}

function variable(name: string): string {
  return `TRANCHE_GATEWAY_${name.toUpperCase().replaceAll('-', '_')}`;
}

function readValues(args: string[], environment: NodeJS.ProcessEnv): Map<string, string> {
  const options = Object.fromEntries(Object.keys(FLAGS).map((name) => [name, { type: 'string' as const }]));
  let given: Record<string, unknown>;
  try {
    given = parseArgs({ args, options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new OptionError((error as Error).message);
  }
  return new Map(
    Object.entries(FLAGS).map(([name, flag]) => {
      const value = (given[name] as string | undefined) ?? environment[variable(name)] ?? flag.fallback;
      return [name, value];
    }),
  );
}

function parseAddress(name: string, text: string, minPort: number): Address {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (!match?.[1] || port < minPort || port > 65535)
    throw new OptionError(`--${name} must be HOST:PORT, not "${text}"`);
  return { host: match[1].replace(/^\[|\]$/g, ''), port };
}

function parseNodes(text: string): string[] {
  const nodes = text.split(',').filter((node) => node !== '');
  if (nodes.length === 0) throw new OptionError('--nodes is missing');
  if (nodes.length > MAX_NODES) throw new OptionError(`--nodes has more than ${MAX_NODES}`);
  for (const node of nodes) parseAddress('nodes', node, 1);
  return nodes;
}

// Throws OptionError.
export function parseOptions(args: string[], environment: NodeJS.ProcessEnv): Options {
  const values = readValues(args, environment);
  const text = (name: string) => values.get(name) ?? '';
  const number = (name: string, min: number, max: number) => {
    const value = Number(text(name));
    if (!/^\d+$/.test(text(name)) || value < min || value > max) {
      throw new OptionError(`--${name} must be a whole number from ${min} to ${max}, not "${text(name)}"`);
    }
    return value;
  };
  const both = (first: string, second: string) => {
    if ((text(first) === '') !== (text(second) === '')) throw new OptionError(`--${first} and --${second} go together`);
  };
  both('tls-certificate', 'tls-key');
  both('node-tls-certificate', 'node-tls-key');
  const nodeTls = {
    ca: text('node-tls-ca'),
    certificate: text('node-tls-certificate'),
    key: text('node-tls-key'),
    name: text('node-tls-name'),
  };
  if (nodeTls.ca === '' && (nodeTls.certificate !== '' || nodeTls.name !== '')) {
    throw new OptionError('--node-tls-certificate and --node-tls-name need --node-tls-ca');
  }
  const maxTimeoutMs = number('max-timeout-ms', 100, 300_000);
  return {
    nodes: parseNodes(text('nodes')),
    nodeTls: nodeTls.ca === '' ? null : nodeTls,
    listen: parseAddress('listen', text('listen'), 0),
    metricsListen: text('metrics-listen') === '' ? null : parseAddress('metrics-listen', text('metrics-listen'), 0),
    tls: text('tls-certificate') === '' ? null : { certificate: text('tls-certificate'), key: text('tls-key') },
    portFile: text('port-file'),
    metricsPortFile: text('metrics-port-file'),
    trustedProxies: number('trusted-proxies', 0, 10),
    defaultTimeoutMs: Math.min(number('default-timeout-ms', 10, 300_000), maxTimeoutMs),
    maxTimeoutMs,
    maxRequests: number('max-requests', 1, 100_000),
    maxRequestsPerAddress: number('max-requests-per-address', 1, 100_000),
    maxWatches: number('max-watches', 1, 100_000),
    maxWatchesPerAddress: number('max-watches-per-address', 1, 100_000),
    maxWatchAgeMs: number('max-watch-age-ms', 1000, 86_400_000),
    drainTimeoutMs: number('drain-timeout-ms', 0, 600_000),
  };
}
