// A gRPC connection to each front node, in plain text or by TLS. Files are looked at again and again: when they have
// changed, later calls use new connections.
import { readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { Client, credentials, type ChannelCredentials, type ClientOptions } from '@grpc/grpc-js';

export interface NodeTls {
  // PEM files. '': the authorities of the system; no certificate of its own.
  ca: string;
  certificate: string;
  key: string;
  // The name that a node's certificate must have; '': the endpoint's host.
  name: string;
}

const LOOK_EVERY_MS = 1000;
// Longer than a call may take; streams begin anew.
const CLOSE_OLD_AFTER_MS = 60_000;
const MAX_FILE_BYTES = 1 << 20;
// Answers are larger than requests: a page of 1,000 reservations.
const MAX_ANSWER_BYTES = 4 << 20;

const CHANNEL: ClientOptions = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 2000,
  'grpc.keepalive_permit_without_calls': 0,
  'grpc.max_receive_message_length': MAX_ANSWER_BYTES,
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
  // A node that was restarted is found again soon.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2000,
};

export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '');
  return name === 'localhost' || name === '::1' || (net.isIPv4(name) && name.startsWith('127.'));
}

function readPem(file: string): Buffer | null {
  if (file === '') return null;
  const bytes = readFileSync(file);
  if (bytes.length > MAX_FILE_BYTES) throw new Error(`${file} is larger than 1 MiB`);
  return bytes;
}

function readFiles(security: NodeTls) {
  const files = { ca: readPem(security.ca), cert: readPem(security.certificate), key: readPem(security.key) };
  // Throws if a file is half-written, or if the key is of another certificate.
  tls.createSecureContext({ ca: files.ca ?? undefined, cert: files.cert ?? undefined, key: files.key ?? undefined });
  return files;
}

export class NodeClients {
  // A token may go to all of them: by TLS, or on this machine itself.
  readonly mayCarryTokens: boolean;
  readonly #security: NodeTls | null;
  readonly #onFaultyFiles: (error: Error) => void;
  readonly #timer: NodeJS.Timeout | null;
  #clients: Client[];
  #files: ReturnType<typeof readFiles> | null = null;
  #lastFault = '';

  // `endpoints`: HOST:PORT. `security`: null for plain text. Throws if its files cannot be used.
  constructor(
    readonly endpoints: string[],
    security: NodeTls | null,
    onFaultyFiles: (error: Error) => void,
  ) {
    this.#security = security;
    this.#onFaultyFiles = onFaultyFiles;
    this.mayCarryTokens = security !== null || endpoints.every((one) => isLoopback(one.slice(0, one.lastIndexOf(':'))));
    if (security) this.#files = readFiles(security);
    this.#clients = this.#connect();
    this.#timer = security ? setInterval(() => this.#look(), LOOK_EVERY_MS).unref() : null;
  }

  at(node: number): Client {
    const client = this.#clients[node];
    if (!client) throw new RangeError(`there is no node ${node}`);
    return client;
  }

  close(): void {
    if (this.#timer) clearInterval(this.#timer);
    for (const client of this.#clients) client.close();
  }

  #connect(): Client[] {
    let channel: ChannelCredentials = credentials.createInsecure();
    if (this.#files) channel = credentials.createSsl(this.#files.ca, this.#files.key, this.#files.cert);
    const name = this.#security?.name ?? '';
    const named = name === '' ? {} : { 'grpc.ssl_target_name_override': name, 'grpc.default_authority': name };
    return this.endpoints.map((endpoint) => new Client(endpoint, channel, { ...CHANNEL, ...named }));
  }

  #look(): void {
    if (!this.#security) return;
    try {
      const files = readFiles(this.#security);
      this.#lastFault = '';
      const same = (['ca', 'cert', 'key'] as const).every(
        (name) => String(files[name]) === String(this.#files?.[name]),
      );
      if (same) return;
      this.#files = files;
    } catch (error) {
      // Once, and not each second.
      const fault = error as Error;
      if (fault.message !== this.#lastFault) this.#onFaultyFiles(fault);
      this.#lastFault = fault.message;
      return;
    }
    const old = this.#clients;
    this.#clients = this.#connect();
    setTimeout(() => old.forEach((client) => client.close()), CLOSE_OLD_AFTER_MS).unref();
  }
}
