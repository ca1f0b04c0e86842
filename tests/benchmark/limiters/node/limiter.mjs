// Asks a limiter of rate-limiter-flexible one question, and prints the answer as JSON. For scripts/compare limiters.
//
//   node --expose-gc limiter.mjs --limiter memory --question speed --keys 1000000 --callers 64
//   node limiter.mjs --limiter redis --redis 127.0.0.1:6379 --question exact
import { parseArgs } from 'node:util';
import { FlexibleMemory, FlexibleRedis } from './flexible.mjs';
import * as questions from './questions.mjs';

const NUMBERS = {
  burst: 20,
  'interval-ms': 100,
  seconds: 3,
  keys: 1,
  callers: 1,
  nodes: 1,
  victims: 1,
  times: 10,
};

function read(args) {
  const text = { type: 'string' };
  const options = { limiter: text, question: text, redis: text };
  for (const name of Object.keys(NUMBERS)) options[name] = text;
  const { values } = parseArgs({ args, options });
  if (!['memory', 'redis'].includes(values.limiter)) throw new Error('--limiter is memory or redis');
  if (!Object.hasOwn(questions, values.question ?? '') || values.question === 'allowed') {
    throw new Error('--question is exact, speed, memory, evicted or sprayed');
  }
  if (values.limiter === 'redis' && !/^[^:]+:\d+$/.test(values.redis ?? '')) throw new Error('--redis is HOST:PORT');
  const terms = {};
  for (const [name, usual] of Object.entries(NUMBERS)) {
    const value = values[name] === undefined ? usual : Number(values[name]);
    if (!(value > 0)) throw new Error(`--${name} is not a positive number`);
    terms[name === 'interval-ms' ? 'intervalMs' : name] = value;
  }
  return { ...values, terms };
}

async function main(args) {
  let asked;
  try {
    asked = read(args);
  } catch (error) {
    console.error(`limiter.mjs: ${error.message}`);
    return 1;
  }
  const { limiter: kind, question, redis, terms } = asked;
  try {
    const limiter =
      kind === 'memory' ? new FlexibleMemory(terms, terms.nodes) : await FlexibleRedis.open(terms, terms.nodes, redis);
    console.log(JSON.stringify(await questions[question](limiter, terms)));
    await limiter.close();
    return 0;
  } catch (error) {
    console.error(`limiter.mjs: ${error.message}`);
    return 2;
  }
}

process.exit(await main(process.argv.slice(2)));
