// One of the shops' inventories, behind the gRPC service of a front node. For scripts/compare.
//
//   node peer.mjs --peer medusa --postgres DSN --prepare --skus 1 --stock 10000
//   node peer.mjs --peer medusa --postgres DSN --port-file FILE           serves until SIGTERM
//   node peer.mjs --peer medusa --postgres DSN --count --ids FILE         prints JSON
//
// Exit status: 0 done, 1 wrong usage, 2 the store or a file cannot be used.
import { rename, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const USAGE =
  'usage: peer.mjs --peer medusa|vendure --postgres DSN [--threads N] [--port-file FILE]\n'
  + '       peer.mjs --peer medusa|vendure --postgres DSN --prepare [--skus N] [--stock N]\n'
  + '       peer.mjs --peer medusa|vendure --postgres DSN --count [--ids FILE]';

const peers = {
  medusa: async () => (await import('./medusa.mjs')).MedusaPeer,
  vendure: async () => (await import('./vendure.mjs')).VendurePeer,
};

class UsageError extends Error {}

function numberOf(values, name, least, most) {
  const number = Number(values[name]);
  if (/^\d+$/.test(values[name]) && number >= least && number <= most) return number;
  throw new UsageError(`--${name} must be a number from ${least} to ${most}`);
}

function readFlags() {
  const text = { type: 'string' };
  const flag = { type: 'boolean', default: false };
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        peer: text,
        postgres: text,
        threads: { ...text, default: '32' },
        'port-file': text,
        prepare: flag,
        skus: { ...text, default: '1' },
        stock: { ...text, default: '0' },
        count: flag,
        ids: text,
      },
    }));
  } catch (error) {
    throw new UsageError(error.message);
  }
  if (!Object.hasOwn(peers, values.peer ?? '')) throw new UsageError(`--peer must be one of ${Object.keys(peers)}`);
  if (!values.postgres) throw new UsageError('--postgres is missing');
  if (values.prepare && values.count) throw new UsageError('--prepare and --count exclude each other');
  return {
    ...values,
    threads: numberOf(values, 'threads', 1, 40),
    skus: numberOf(values, 'skus', 1, 100_000),
    stock: numberOf(values, 'stock', 0, 100_000_000),
    // Before the folder changes.
    portFile: values['port-file'] && resolve(values['port-file']),
    idsFile: values.ids && resolve(values.ids),
  };
}

async function count(peer, idsFile) {
  const { unitsLeft, unitsSold, orderIds } = await peer.count();
  if (idsFile) await writeFile(idsFile, orderIds.map((id) => `${id}\n`).join(''));
  console.log(JSON.stringify({ units_left: unitsLeft, units_sold: unitsSold, orders: orderIds.length }));
}

// Instead of what the libraries do then: they close their connections at once, with calls under way.
function askedToStop() {
  return new Promise((resolveAsked) => {
    for (const signal of ['SIGTERM', 'SIGINT']) {
      process.removeAllListeners(signal);
      process.once(signal, resolveAsked);
    }
  });
}

async function serveUntilAsked(peer, { threads, portFile }) {
  await peer.open();
  const asked = askedToStop();
  const { serve } = await import('./service.mjs');
  const { port, stop } = await serve(peer, threads);
  if (portFile) {
    // Whoever waits for the file must not see half of it.
    await writeFile(`${portFile}.new`, `${port}\n`);
    await rename(`${portFile}.new`, portFile);
  }
  await asked;
  await stop();
}

async function main() {
  const flags = readFlags();
  // As a shop runs them.
  process.env.NODE_ENV ??= 'production';
  // Medusa looks its modules up from where it works.
  process.chdir(fileURLToPath(new URL('.', import.meta.url)));
  const Peer = await peers[flags.peer]();
  const peer = new Peer(flags.postgres, flags.threads);
  try {
    if (flags.prepare) await peer.prepare(flags.skus, flags.stock);
    else if (flags.count) await count(peer, flags.idsFile);
    else await serveUntilAsked(peer, flags);
  } finally {
    await peer.close();
  }
}

try {
  await main();
  // The libraries leave timers and idle connections behind.
  process.exit(0);
} catch (error) {
  const usage = error instanceof UsageError;
  console.error(usage ? `peer.mjs: ${error.message}\n${USAGE}` : `peer.mjs: ${error.stack ?? error}`);
  process.exit(usage ? 1 : 2);
}
