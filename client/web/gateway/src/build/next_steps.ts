// What callers should do about each reason: the table of docs/clients.md, as plain text. So the page and the gateway
// never say different things.

const HEADING = '## What to do about an error';
const REASON = /`([A-Z][A-Z_]+)`/g;
// gRPC's names, which stand in the table where an error has no reason.
const GRPC_CODES = new Set(['DEADLINE_EXCEEDED', 'UNAVAILABLE', 'CANCELLED', 'UNIMPLEMENTED', 'RESOURCE_EXHAUSTED']);

function plain(markdown: string): string {
  return markdown
    .replace(/ *\(\[[^\]]*\]\([^)]*\)\)/g, '')
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/`/g, '')
    .trim();
}

// Reason to text. Throws if the page has another form.
export function readNextSteps(page: string): Record<string, string> {
  const begin = page.indexOf(`${HEADING}\n`);
  if (begin < 0) throw new Error(`docs/clients.md has no section "${HEADING}"`);
  const section = page.slice(begin + HEADING.length).split('\n## ', 1)[0] ?? '';
  const steps: Record<string, string> = {};
  for (const line of section.split('\n')) {
    const cells = /^\| (.*?) \| (.*) \|$/.exec(line);
    if (!cells?.[1] || !cells[2] || /^(none|any other|one that)/.test(cells[1])) continue;
    for (const [, reason] of cells[1].matchAll(REASON)) {
      if (reason && !GRPC_CODES.has(reason)) steps[reason] ??= plain(cells[2]);
    }
  }
  if (!steps.SOLD_OUT) throw new Error('docs/clients.md: the table of reasons has another form');
  return steps;
}
