// Writes dist/api.json: the descriptors of the protos with their comments, the rules, and the next steps. So a built
// gateway needs nothing else of the repository.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { parse as parseYaml } from 'yaml';
import { EMBEDDED_FILE } from '../api/load.js';
import { makeApi, type EmbeddedApi } from '../api/operations.js';
import { readRules } from '../api/rules.js';
import { readNextSteps } from './next_steps.js';

const GATEWAY = fileURLToPath(new URL('../../..', import.meta.url));
const REPOSITORY = path.resolve(GATEWAY, '../../..');
const FILES = ['catalog_service', 'error_reason', 'front_door_service', 'group_service', 'reservation_service'];

function loadProtos(): protobuf.Root {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) =>
    target.startsWith('google/protobuf/') ? target : path.join(REPOSITORY, 'proto', target);
  const names = [...FILES.map((name) => `tranche/v1/${name}.proto`), 'google/rpc/error_details.proto'];
  root.loadSync(names, { keepCase: true, alternateCommentMode: true });
  return root;
}

export function embed(): EmbeddedApi {
  const rules = readRules(parseYaml(readFileSync(path.join(GATEWAY, 'http_rules.yaml'), 'utf8')));
  const nextSteps = readNextSteps(readFileSync(path.join(REPOSITORY, 'docs/clients.md'), 'utf8'));
  const root = loadProtos();
  root.resolveAll();
  const embedded = { descriptors: root.toJSON({ keepComments: true }), rules, nextSteps };
  makeApi(embedded);
  return embedded;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(EMBEDDED_FILE, JSON.stringify(embed()));
