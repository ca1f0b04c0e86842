// One open answer of server-sent events.
import type { ServerResponse } from 'node:http';

const HEARTBEAT_MS = 15_000;
// A reader who takes nothing for so long is given up, and so is one who would make the gateway keep more than this.
const UNREAD_MS = 30_000;
const MAX_UNREAD_BYTES = 256 << 10;
// How long browsers wait before they come again: at random, so that not all come at once.
const MIN_RETRY_MS = 1000;
const MAX_RETRY_MS = 3000;

export class EventSink {
  readonly #response: ServerResponse;
  readonly #heartbeat: NodeJS.Timeout;
  #unread: NodeJS.Timeout | null = null;

  // `onReady`: the reader has taken what it had to, after write() has said false. `onClose`: the answer has ended, by
  // whomever; once.
  constructor(response: ServerResponse, headers: Record<string, string>, onReady: () => void, onClose: () => void) {
    this.#response = response;
    this.#heartbeat = setInterval(() => this.#write(':\n\n'), HEARTBEAT_MS);
    response.on('drain', () => {
      if (this.#unread) clearTimeout(this.#unread);
      this.#unread = null;
      onReady();
    });
    response.once('close', () => {
      clearInterval(this.#heartbeat);
      if (this.#unread) clearTimeout(this.#unread);
      onClose();
    });
    response.writeHead(200, {
      ...headers,
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-store',
      // nginx would keep the events back otherwise.
      'X-Accel-Buffering': 'no',
    });
    const retryMs = MIN_RETRY_MS + Math.floor(Math.random() * (MAX_RETRY_MS - MIN_RETRY_MS));
    this.#write(`retry: ${retryMs}\n\n`);
  }

  // False: wait for onReady before the next one. `name`: '' for a message.
  event(id: string, name: string, data: string): boolean {
    const lines = [...(id === '' ? [] : [`id: ${id}`]), ...(name === '' ? [] : [`event: ${name}`]), `data: ${data}`];
    return this.#write(`${lines.join('\n')}\n\n`);
  }

  end(): void {
    this.#response.end();
  }

  #write(text: string): boolean {
    const response = this.#response;
    if (response.destroyed || response.writableEnded) return true;
    if (response.writableLength > MAX_UNREAD_BYTES) {
      response.destroy();
      return true;
    }
    const taken = response.write(text);
    if (!taken) this.#unread ??= setTimeout(() => response.destroy(), UNREAD_MS);
    return taken;
  }
}
