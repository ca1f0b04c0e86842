// Finds the operation of a request.
import { matchPath } from './path_template.js';
import type { Operation } from './operations.js';

export type Route =
  | { found: Operation; pathFields: Map<string, string> }
  // The path is there, for other methods.
  | { allowed: string[] }
  | null;

export class Router {
  readonly #operations: Operation[];

  constructor(operations: Operation[]) {
    // Those with a verb first: "/v1/claims/{ticket}" would fit their paths, too.
    this.#operations = [...operations].sort((a, b) => Number(b.template.verb !== '') - Number(a.template.verb !== ''));
  }

  // `url`: as in the request line. HEAD is answered as GET, but not for streams.
  route(method: string, url: string): Route {
    const path = url.split('?', 1)[0] ?? '';
    const words = path.split('/').slice(1);
    const allowed = new Set<string>();
    for (const operation of this.#operations) {
      const pathFields = matchPath(operation.template, words);
      if (!pathFields) continue;
      const head = method === 'HEAD' && !operation.watches ? 'GET' : method;
      if (operation.method === head) return { found: operation, pathFields };
      // A template with a verb is meant, and not the one that takes the verb for a part of its field.
      if (operation.template.verb !== '') return { allowed: [operation.method] };
      allowed.add(operation.method);
    }
    return allowed.size > 0 ? { allowed: [...allowed] } : null;
  }
}
