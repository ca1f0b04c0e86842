// PostgreSQL as the peers' libraries reach it.
import { readFile } from 'node:fs/promises';
import pg from 'pg';

const PAIR = /\s*(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s\\]|\\.)*))\s*/gy;

function pairsOf(dsn) {
  const pairs = {};
  PAIR.lastIndex = 0;
  while (PAIR.lastIndex < dsn.length) {
    const from = PAIR.lastIndex;
    const found = PAIR.exec(dsn);
    if (!found) throw new Error(`cannot read the connection string from "${dsn.slice(from)}" on: correct --postgres`);
    pairs[found[1]] = (found[2] ?? found[3]).replace(/\\(.)/g, '$1');
  }
  return pairs;
}

// The parts of a connection string of libpq, as keywords or as a URL. Throws what to correct.
export function readDsn(dsn) {
  if (/^postgres(ql)?:\/\//.test(dsn)) {
    const url = new URL(dsn);
    return {
      host: url.hostname || '127.0.0.1',
      port: Number(url.port || 5432),
      user: decodeURIComponent(url.username) || 'postgres',
      password: decodeURIComponent(url.password),
      database: decodeURIComponent(url.pathname.slice(1)) || 'postgres',
    };
  }
  const pairs = pairsOf(dsn);
  const host = pairs.hostaddr ?? pairs.host ?? '127.0.0.1';
  if (host.startsWith('/')) throw new Error('the libraries of the peers need TCP: name a host in --postgres');
  return {
    host,
    port: Number(pairs.port ?? 5432),
    user: pairs.user ?? 'postgres',
    password: pairs.password ?? '',
    database: pairs.dbname ?? 'postgres',
  };
}

export function urlOf({ host, port, user, password, database }) {
  const secret = password ? `:${encodeURIComponent(password)}` : '';
  return `postgres://${encodeURIComponent(user)}${secret}@${host}:${port}/${encodeURIComponent(database)}`;
}

// Runs each statement of a file by itself, because some cannot run in a transaction. A statement ends with a line.
// Returns the rows of the last one.
export async function runFile(address, file) {
  const text = await readFile(new URL(`sql/${file}`, import.meta.url), 'utf8');
  const client = new pg.Client(address);
  await client.connect();
  try {
    let rows = [];
    for (const statement of text.split(/;\s*\n/)) {
      if (statement.trim()) ({ rows } = await client.query(statement));
    }
    return rows;
  } finally {
    await client.end();
  }
}

// What a query like medusa_count.sql finds.
export async function countStored(address, file) {
  const [row] = await runFile(address, file);
  return { unitsLeft: Number(row.units_left), unitsSold: Number(row.units_sold), orderIds: row.order_ids };
}
