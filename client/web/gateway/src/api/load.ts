// The API as the build has embedded it.
import { readFileSync } from 'node:fs';
import { makeApi, type Api, type EmbeddedApi } from './operations.js';

export const EMBEDDED_FILE = new URL('../../api.json', import.meta.url);

export function loadApi(): Api {
  return makeApi(JSON.parse(readFileSync(EMBEDDED_FILE, 'utf8')) as EmbeddedApi);
}
