// The HTTP server: its limits, and the way of each request to the door and back.
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Operation } from '../api/operations.js';
import type { Metrics } from '../metrics.js';
import { isLoopback } from '../nodes/node_clients.js';
import type { Options } from '../options.js';
import { COMMON_HEADERS, problemAnswer, type Answer } from './answer.js';
import { limitedAddress } from './caller_address.js';
import type { Door, Handled } from './door.js';
import { requestId } from './headers.js';
import { Limits } from './limits.js';

export const MAX_BODY_BYTES = 64 << 10;
const MAX_HEADER_BYTES = 16 << 10;
const MAX_HEADERS = 100;
const MAX_CONNECTIONS = 10_000;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
// Longer than proxies keep idle connections, so that they close them, and not in the middle of a request.
const KEEP_ALIVE_MS = 75_000;
const RELOAD_EVERY_MS = 1000;

// What is the same for everybody, such as the reference.
export interface Page {
  path: string;
  headers: Record<string, string>;
  body: string;
}

type Tls = NonNullable<Options['tls']>;

// What is known of a request between its hooks.
interface Seen {
  id: string;
  startedMs: number;
  address: string;
  giveBack: (() => void) | null;
  operation: Operation | null;
  watched: boolean;
}

function readTls(tls: Tls) {
  return { cert: readFileSync(tls.certificate), key: readFileSync(tls.key) };
}

// Errors of the connection, before there is a request: there is nobody but the socket to answer to.
function answerSocket(door: Door, code: string | undefined, socket: Socket): void {
  if (!socket.writable || code === 'ECONNRESET') return void socket.destroy();
  const answer =
    code === 'HPE_HEADER_OVERFLOW'
      ? door.refuse('', 431, 'HEADER_INVALID', 'the headers are larger than 16 KiB')
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? door.refuse('', 408, 'HEADER_INVALID', 'the request did not come in time')
        : door.refuse('', 400, 'HEADER_INVALID', 'this is not HTTP');
  const headers = Object.entries({
    ...answer.headers,
    Connection: 'close',
    'Content-Length': Buffer.byteLength(answer.body),
  });
  const lines = headers.filter(([, value]) => value !== '').map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${answer.status} Refused\r\n${lines.join('')}\r\n${answer.body}`);
}

export class WebServer {
  readonly app: FastifyInstance;
  readonly #door: Door;
  readonly #options: Options;
  readonly #metrics: Metrics;
  readonly #log: Logger;
  readonly #requests: Limits;
  readonly #watches: Limits;
  readonly #seen = new WeakMap<IncomingMessage, Seen>();
  #draining = false;
  #reload: NodeJS.Timeout | null = null;
  // What was read last, and what was wrong with it.
  #tlsSeen = '';
  #tlsFault = '';

  constructor(door: Door, pages: Page[], options: Options, metrics: Metrics, log: Logger) {
    this.#door = door;
    this.#options = options;
    this.#metrics = metrics;
    this.#log = log;
    this.#requests = new Limits(options.maxRequests, options.maxRequestsPerAddress);
    this.#watches = new Limits(options.maxWatches, options.maxWatchesPerAddress);
    metrics.addGauge('open_requests', 'Requests that are under way; without watches.', () => this.#requests.total);
    metrics.addGauge('open_watches', 'Watches that are open.', () => this.#watches.total);
    this.app = this.#makeApp(options.tls);
    this.#addHooks();
    this.#addRoutes();
    for (const page of pages) this.#addPage(page);
  }

  get draining(): boolean {
    return this.#draining;
  }

  // Takes no new requests, sends those who watch elsewhere, and lets the others end.
  async drain(): Promise<void> {
    this.#draining = true;
    this.#door.sendWatchersAway();
    const giveUp = setTimeout(() => this.app.server.closeAllConnections(), this.#options.drainTimeoutMs);
    if (this.#reload) clearInterval(this.#reload);
    await this.app.close();
    clearTimeout(giveUp);
  }

  #makeApp(tls: Tls | null): FastifyInstance {
    const common = {
      logger: false as const,
      bodyLimit: MAX_BODY_BYTES,
      keepAliveTimeout: KEEP_ALIVE_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      forceCloseConnections: 'idle' as const,
      exposeHeadRoutes: false,
      // Said as a problem, by the hook below.
      return503OnClosing: false,
      clientErrorHandler: (error: NodeJS.ErrnoException, socket: Socket) =>
        answerSocket(this.#door, error.code, socket),
      frameworkErrors: (_error: Error, request: FastifyRequest, reply: FastifyReply) =>
        void this.#send(reply, this.#door.refuse(requestId(request.headers), 400, 'PATH_MALFORMED', 'this is no path')),
    };
    const http = { maxHeaderSize: MAX_HEADER_BYTES };
    const app = tls
      ? (Fastify({
          ...common,
          https: { ...readTls(tls), ...http, minVersion: 'TLSv1.2' },
        }) as unknown as FastifyInstance)
      : (Fastify({ ...common, http }) as FastifyInstance);
    app.server.headersTimeout = HEADERS_TIMEOUT_MS;
    app.server.maxHeadersCount = MAX_HEADERS;
    app.server.maxConnections = MAX_CONNECTIONS;
    if (tls) this.#reload = setInterval(() => this.#reloadTls(app, tls), RELOAD_EVERY_MS).unref();
    return app;
  }

  // A renewed certificate is used for new connections; a faulty or half-written one is not taken, and said once.
  #reloadTls(app: FastifyInstance, tls: Tls): void {
    try {
      const files = readTls(tls);
      const texts = `${files.cert.toString()}${files.key.toString()}`;
      if (texts === this.#tlsSeen) return;
      this.#tlsSeen = texts;
      (app.server as unknown as { setSecureContext(files: object): void }).setSecureContext(files);
    } catch (error) {
      const fault = (error as Error).message;
      if (fault !== this.#tlsFault)
        this.#log.warn({ event: 'tls.faulty', error: fault }, 'the certificate was not taken');
      this.#tlsFault = fault;
    }
  }

  #addHooks(): void {
    this.app.addHook('onRequest', (request, reply, done) => {
      const { raw } = request;
      const peer = raw.socket.remoteAddress ?? '';
      const header = raw.headers['x-forwarded-for'];
      const address = limitedAddress(
        Array.isArray(header) ? header.join() : header,
        peer,
        this.#options.trustedProxies,
      );
      const seen: Seen = {
        id: requestId(raw.headers),
        startedMs: performance.now(),
        address,
        giveBack: null,
        operation: null,
        watched: false,
      };
      this.#seen.set(raw, seen);
      if (this.#draining) {
        this.#send(
          reply,
          this.#door.refuse(seen.id, 503, 'GATEWAY_DRAINING', 'this gateway ends', { Connection: 'close' }),
        );
        return;
      }
      seen.giveBack = this.#requests.take(address);
      if (!seen.giveBack) {
        this.#send(reply, this.#door.refuse(seen.id, 503, 'GATEWAY_BUSY', 'as many requests are open as may be'));
        return;
      }
      // Also for those who go before they are answered.
      reply.raw.once('close', () => this.#onClosed(seen, reply.raw));
      done();
    });
    this.app.setErrorHandler((error: Error & { code?: string }, request, reply) => {
      const id = this.#seen.get(request.raw)?.id ?? '';
      this.#send(reply, this.#answerOf(error, id));
    });
  }

  #onClosed(seen: Seen, response: ServerResponse): void {
    seen.giveBack?.();
    seen.giveBack = null;
    const seconds = (performance.now() - seen.startedMs) / 1000;
    // Nobody was there to be answered: 499, as nginx says it.
    const status = response.headersSent ? response.statusCode : 499;
    this.#metrics.onRequest(seen.operation, status, seen.watched ? null : seconds);
    // Neither the path nor the query: they have tickets and buyers' names.
    const fields = { event: 'request', request: seen.id, operation: seen.operation?.id, status, seconds };
    if (status === 500 || status === 502) this.#log.warn(fields, 'a request has failed');
    else this.#log.debug(fields, 'a request was answered');
  }

  #answerOf(error: Error & { code?: string }, id: string): Answer {
    switch (error.code) {
      case 'FST_ERR_CTP_BODY_TOO_LARGE':
        return this.#door.refuse(id, 413, 'BODY_TOO_LARGE', 'the body is larger than 64 KiB', { Connection: 'close' });
      case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
        return this.#door.refuse(id, 415, 'MEDIA_TYPE_UNSUPPORTED', 'the body must be application/json');
      case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
        return this.#door.refuse(id, 400, 'BODY_MALFORMED', 'the body has another length than its header says');
      default:
        this.#log.error({ event: 'request.failed', request: id, error: error.stack }, 'a bug of the gateway');
        return problemAnswer(this.#door.problems.own(500, 'INTERNAL', 'a bug of the gateway: see its log'), id);
    }
  }

  #addRoutes(): void {
    this.app.removeAllContentTypeParsers();
    this.app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) =>
      done(null, body),
    );
    this.app.route({
      method: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
      url: '/v1/*',
      handler: (request, reply) => this.#handle(request, reply),
    });
    this.app.setNotFoundHandler((request, reply) => {
      const id = this.#seen.get(request.raw)?.id ?? '';
      this.#send(reply, this.#door.refuse(id, 404, 'NO_SUCH_PATH', 'there is nothing at this path'));
    });
  }

  #addPage({ path, headers, body }: Page): void {
    this.app.get(path, (_request, reply) => reply.headers({ ...COMMON_HEADERS, ...headers }).send(body));
  }

  async #handle(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const seen = this.#seen.get(request.raw) as Seen;
    const body = (request.body as Buffer | undefined) ?? Buffer.alloc(0);
    const takeWatch = () => {
      const place = this.#watches.take(seen.address);
      // A watch is no request any more: it may last for hours.
      if (place) seen.giveBack?.();
      seen.watched = place !== null;
      return place;
    };
    const handled: Handled = await this.#door.handle(
      request.raw,
      reply.raw,
      body,
      seen.id,
      this.#isSafe(request),
      takeWatch,
    );
    seen.operation = handled.operation;
    if ('watched' in handled) return reply.hijack();
    seen.watched = false;
    return this.#send(reply, handled.answer);
  }

  // Nobody but a proxy on this machine, or who has the TLS key, has read the request.
  #isSafe(request: FastifyRequest): boolean {
    return this.#options.tls !== null || isLoopback((request.raw.socket.remoteAddress ?? '').replace(/^::ffff:/, ''));
  }

  #send(reply: FastifyReply, answer: Answer): FastifyReply {
    if (answer.reason !== null) this.#metrics.onProblem(answer.reason);
    return reply
      .code(answer.status)
      .headers(answer.headers)
      .send(answer.status === 204 ? undefined : answer.body);
  }
}
