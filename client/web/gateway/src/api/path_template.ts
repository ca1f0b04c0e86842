// Paths of rules, such as "/v1/reservations/{reservation_id}:confirm": literal words and fields between slashes, and a
// verb behind the last one.

export interface PathTemplate {
  segments: ({ literal: string } | { field: string })[];
  // Without its colon; '' for none.
  verb: string;
}

const SEGMENT = /^(?:\{([a-z][a-z0-9_]*)\}|([A-Za-z0-9_-]+))$/;

export function parseTemplate(path: string): PathTemplate {
  const colon = path.lastIndexOf(':');
  const verb = colon < 0 ? '' : path.slice(colon + 1);
  const words = (colon < 0 ? path : path.slice(0, colon)).split('/').slice(1);
  if (!path.startsWith('/v1/') || (colon >= 0 && !/^[A-Za-z]+$/.test(verb))) throw new Error(`not a path: ${path}`);
  const segments = words.map((word) => {
    const match = SEGMENT.exec(word);
    if (!match) throw new Error(`not a path: ${path}`);
    return match[1] !== undefined ? { field: match[1] } : { literal: match[2] ?? '' };
  });
  return { segments, verb };
}

export function fieldsOf(template: PathTemplate): string[] {
  return template.segments.flatMap((segment) => ('field' in segment ? [segment.field] : []));
}

// The fields of a path as they came, still percent-encoded; null: it is not of this template. A field is never empty. A
// colon that belongs to a field is sent as %3A where a verb could follow.
export function matchPath(template: PathTemplate, words: string[]): Map<string, string> | null {
  if (words.length !== template.segments.length) return null;
  const found = new Map<string, string>();
  for (const [i, segment] of template.segments.entries()) {
    let word = words[i] ?? '';
    if (i === words.length - 1 && template.verb !== '') {
      const end = `:${template.verb}`;
      if (!word.endsWith(end)) return null;
      word = word.slice(0, -end.length);
    }
    if ('literal' in segment) {
      if (word !== segment.literal) return null;
    } else {
      if (word === '') return null;
      found.set(segment.field, word);
    }
  }
  return found;
}
