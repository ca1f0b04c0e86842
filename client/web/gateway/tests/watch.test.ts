// Server-sent events against fake nodes.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { status } from '@grpc/grpc-js';
import type { Refusal, Stream } from './fake_node.js';
import { json, start, type Started } from './started.js';

const ID = '0197b2a4-3c5e-7d00-8000-00000000a11c';
const PATH = `/v1/reservations/${ID}:watch`;
const CALL = 'ReservationService.WatchReservation';

interface Event {
  id: string;
  event: string;
  data: any;
}

// Reads events as they come, until the answer ends.
async function* events(response: Response): AsyncGenerator<Event> {
  let text = '';
  for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(bytes).toString();
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const block = text.slice(0, end);
      text = text.slice(end + 2);
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? '';
      if (field('data') !== '') yield { id: field('id'), event: field('event'), data: JSON.parse(field('data')) };
    }
  }
}

async function all(response: Response): Promise<Event[]> {
  const got = [];
  for await (const one of events(response)) got.push(one);
  return got;
}

const state = (revision: number, left = 60) => ({
  reservation: { reservation_id: ID, state: 1, revision, remaining_hold: { seconds: left } },
});

function fail(started: Started, stream: Stream, refusal: Refusal): void {
  stream.emit('error', started.node.error(refusal));
}

async function watch(started: Started, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${started.url}${PATH}`, { headers });
}

// A gateway whose nodes all answer a watch in this way.
async function withStream(
  t: TestContext,
  answer: (stream: Stream, nth: number) => void,
  flags: string[] = [],
  nodes = 1,
) {
  const started = await start(t, flags, nodes);
  let opened = 0;
  for (const node of started.nodes) node.streams.set(CALL, (stream) => answer(stream, opened++));
  return started;
}

test('states come as events, and the end of the watch as one', async (t) => {
  const started = await withStream(t, (stream) => {
    stream.write(state(1));
    // The same, but for the time that is left.
    stream.write(state(1, 40));
    stream.write(state(2));
    stream.end();
  });
  const response = await watch(started);
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
  const got = await all(response);
  assert.deepEqual(
    got.map(({ event, data }) => event || data.reservation.revision),
    [1, 2, 'end'],
  );
  assert.equal(got[2]?.id, `${got[1]?.id}.end`);
});

test('who comes again is not told what they know, nor asked to come again after the end', async (t) => {
  const started = await withStream(t, (stream) => {
    stream.write(state(1));
    stream.end();
  });
  const [first, end] = await all(await watch(started));
  const again = await all(await watch(started, { 'last-event-id': first?.id ?? '' }));
  assert.deepEqual(again, [end]);
  const over = await watch(started, { 'last-event-id': end?.id ?? '' });
  assert.equal(over.status, 204);
  assert.equal(started.node.seen.length, 2);
});

test('an error before the first state is the answer', async (t) => {
  const started = await withStream(t, (stream) =>
    fail(started, stream, { code: status.NOT_FOUND, reason: 'RESERVATION_NOT_FOUND' }),
  );
  const response = await watch(started);
  assert.equal(response.status, 404);
  assert.equal((await json(response)).reason, 'RESERVATION_NOT_FOUND');
});

test('an error later is an event, and the last one', async (t) => {
  const started = await withStream(t, (stream) => {
    stream.write(state(1));
    setImmediate(() => fail(started, stream, { code: status.NOT_FOUND, reason: 'RESERVATION_NOT_FOUND' }));
  });
  const got = await all(await watch(started));
  assert.deepEqual(
    got.map(({ event }) => event),
    ['', 'problem'],
  );
  assert.equal(got[1]?.data.reason, 'RESERVATION_NOT_FOUND');
  assert.equal(got[1]?.id, '');
});

test('a node that drains is left for another, and the reader sees nothing of it', async (t) => {
  const answer = (stream: Stream, nth: number) => {
    stream.write(state(1));
    if (nth === 0) {
      setImmediate(() => fail(started, stream, { code: status.UNAVAILABLE, reason: 'DRAINING', retryAfterMs: 0 }));
    } else {
      stream.write(state(2));
      stream.end();
    }
  };
  const started = await withStream(t, answer, [], 2);
  const got = await all(await watch(started));
  assert.deepEqual(
    got.map(({ event, data }) => event || data.reservation.revision),
    [1, 2, 'end'],
  );
});

test('without a first state in time it is a problem', async (t) => {
  const started = await withStream(t, () => {});
  const response = await watch(started, { 'x-request-timeout': '100ms' });
  assert.equal(response.status, 504);
});

test('a reader who goes ends the watch at the node', async (t) => {
  let ended = () => {};
  const cancelled = new Promise<void>((resolve) => (ended = resolve));
  const started = await withStream(t, (stream) => {
    stream.on('cancelled', ended);
    stream.write(state(1));
  });
  const gone = new AbortController();
  const response = await fetch(`${started.url}${PATH}`, { signal: gone.signal });
  for await (const one of events(response)) {
    assert.equal(one.data.reservation.revision, 1);
    break;
  }
  gone.abort();
  await cancelled;
});

test('as many watches are open as may be, and no more', async (t) => {
  const started = await withStream(t, (stream) => void stream.write(state(1)), ['--max-watches-per-address', '1']);
  const gone = new AbortController();
  const first = await fetch(`${started.url}${PATH}`, { signal: gone.signal });
  assert.equal(first.status, 200);
  const second = await watch(started);
  assert.equal(second.status, 429);
  assert.equal((await json(second)).reason, 'TOO_MANY_WATCHES');
  assert.ok(second.headers.has('retry-after'));
  gone.abort();
});

test('a gateway that ends sends readers away', async (t) => {
  const started = await withStream(t, (stream) => void stream.write(state(1)));
  const response = await watch(started);
  const reading = all(response);
  await started.drain();
  assert.deepEqual(
    (await reading).map(({ event }) => event),
    [''],
    'without an end: they come again',
  );
});

test('a watch ends when it is old enough', async (t) => {
  const started = await withStream(t, (stream) => void stream.write(state(1)), ['--max-watch-age-ms', '1000']);
  assert.equal((await all(await watch(started))).length, 1);
});
