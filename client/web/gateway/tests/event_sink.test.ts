// Readers of events who do not read, by a clock of the test.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { test, type TestContext } from 'node:test';
import { EventSink } from '../src/http/event_sink.js';

// As much of an answer as the sink uses.
class Reader extends EventEmitter {
  reads = true;
  destroyed = false;
  writableEnded = false;
  writableLength = 0;
  text = '';

  writeHead(): void {}

  write(text: string): boolean {
    this.text += text;
    if (!this.reads) this.writableLength += text.length;
    return this.reads;
  }

  end(): void {
    this.writableEnded = true;
    this.emit('close');
  }

  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

function open(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const reader = new Reader();
  const told = { ready: 0, closed: 0 };
  const sink = new EventSink(
    reader as unknown as ServerResponse,
    {},
    () => told.ready++,
    () => told.closed++,
  );
  return { reader, sink, told };
}

test('a comment comes every 15 s', (t) => {
  const { reader, sink, told } = open(t);
  reader.text = '';
  t.mock.timers.tick(45_000);
  assert.equal(reader.text, ':\n\n'.repeat(3));
  sink.end();
  assert.equal(told.closed, 1);
  t.mock.timers.tick(45_000);
  assert.equal(reader.text, ':\n\n'.repeat(3));
});

test('who takes nothing for 30 s is cut off', (t) => {
  const { reader, sink, told } = open(t);
  reader.reads = false;
  assert.equal(sink.event('a', '', '{}'), false);
  t.mock.timers.tick(29_999);
  assert.equal(reader.destroyed, false);
  t.mock.timers.tick(1);
  assert.equal(reader.destroyed, true);
  assert.equal(told.closed, 1);
});

test('who reads in time is not', (t) => {
  const { reader, sink, told } = open(t);
  reader.reads = false;
  sink.event('a', '', '{}');
  t.mock.timers.tick(20_000);
  reader.reads = true;
  reader.emit('drain');
  assert.equal(told.ready, 1);
  t.mock.timers.tick(60_000);
  assert.equal(reader.destroyed, false);
});

test('no more than 256 KiB are kept for one who does not read', (t) => {
  const { reader, sink } = open(t);
  reader.reads = false;
  const data = 'x'.repeat(1000);
  let events = 0;
  while (!reader.destroyed) {
    sink.event('', '', data);
    assert.ok(++events < 300);
  }
  assert.ok(reader.writableLength < (256 << 10) + 2000);
});
