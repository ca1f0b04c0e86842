import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readDsn, urlOf } from '../postgres.mjs';

const HOME = { host: '10.0.0.1', port: 5433, user: 'a b', password: "it's \\", database: 'shop' };

test('keywords, with quotes and escapes', () => {
  assert.deepEqual(readDsn("host=10.0.0.1 port = 5433 user='a b' password='it\\'s \\\\' dbname=shop"), HOME);
});

test('a URL, and the way back to one', () => {
  assert.deepEqual(readDsn(urlOf(HOME)), HOME);
});

test('what is not said has a default', () => {
  const expected = { host: '127.0.0.1', port: 5432, user: 'postgres', password: '', database: 'postgres' };
  assert.deepEqual(readDsn(''), expected);
  assert.deepEqual(readDsn('postgres://127.0.0.1'), expected);
});

test('what cannot be read is refused with what to correct', () => {
  assert.throws(() => readDsn('host=127.0.0.1 nonsense'), /"nonsense".*--postgres/);
  assert.throws(() => readDsn('host=/run/postgresql'), /TCP.*--postgres/);
});
