#!/usr/bin/env node
// tranche-gateway: the program.
import { writeFileSync } from 'node:fs';
import pino from 'pino';
import { startGateway } from './gateway.js';
import { OptionError, parseOptions, usage } from './options.js';

// To stderr at once, as the servers do it.
const log = pino(
  { level: process.env.TRANCHE_GATEWAY_LOG_LEVEL ?? 'info', base: undefined, timestamp: pino.stdTimeFunctions.isoTime },
  pino.destination({ dest: 2, sync: true }),
);

// The process ends even if something does not let it.
const GRACE_MS = 5000;

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2), process.env);
  const gateway = await startGateway(options, log);
  if (options.portFile !== '') writeFileSync(options.portFile, `${gateway.port}\n`);
  if (options.metricsPortFile !== '') writeFileSync(options.metricsPortFile, `${gateway.metricsPort ?? ''}\n`);
  const { port, metricsPort } = gateway;
  log.info({ event: 'gateway.serves', host: options.listen.host, port, metricsPort, nodes: options.nodes }, 'serving');

  let ending = false;
  const end = (signal: string) => {
    if (ending) process.exit(1);
    ending = true;
    log.info({ event: 'gateway.drains', signal }, 'draining');
    setTimeout(() => process.exit(3), options.drainTimeoutMs + GRACE_MS).unref();
    gateway.drain().then(
      () => {
        log.info({ event: 'gateway.ended' }, 'ended');
        process.exit(0);
      },
      (error: Error) => {
        log.error({ event: 'gateway.failed', error: error.stack }, 'it did not drain');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => end('SIGTERM'));
  process.on('SIGINT', () => end('SIGINT'));
}

if (process.argv.includes('--help') || process.argv.includes('-h')) {
  process.stdout.write(usage());
} else {
  main().catch((error: Error) => {
    if (error instanceof OptionError) process.stderr.write(`tranche-gateway: ${error.message}; see --help\n`);
    else log.fatal({ event: 'gateway.failed', error: error.message }, 'it did not start');
    process.exit(1);
  });
}
