// Where a request comes from, as the header X-Forwarded-For tells the node, and as limits count it.
import net from 'node:net';

// More entries than any chain of proxies has; the leftmost are dropped, as they may be anybody's invention.
const MAX_ENTRIES = 11;

// Without the prefix of an IPv4 address that came in by IPv6.
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '');
}

// What is sent to the node: what came, and behind it who has sent it, as every proxy does. The node counts from the
// right (--trusted-proxies).
export function forwardedFor(header: string | undefined, peer: string): string {
  const entries = (header ?? '').split(',').map((entry) => entry.trim());
  return [...entries.filter((entry) => entry !== '' && entry.length <= 64), plain(peer)].slice(-MAX_ENTRIES).join(', ');
}

// The network that limits count: an IPv4 address, or the first 64 bits of an IPv6 address. `trustedProxies`: so many
// entries from the right of the header were written by proxies of yours, as at a node.
export function limitedAddress(header: string | undefined, peer: string, trustedProxies: number): string {
  const entries = forwardedFor(header, peer).split(', ');
  const stated = entries[entries.length - 1 - trustedProxies] ?? '';
  const address = net.isIP(stated) === 0 ? plain(peer) : plain(stated);
  return net.isIPv6(address) ? expand(address).slice(0, 4).join(':') : address;
}

// The eight groups of an IPv6 address.
function expand(address: string): string[] {
  const [left = '', right] = (address.split('%')[0] ?? '').split('::', 2);
  const groups = (text: string | undefined) => (text ? text.split(':') : []);
  const head = groups(left);
  const tail = groups(right);
  const middle = Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => '0');
  return [...head, ...middle, ...tail].map((group) => group.toLowerCase().replace(/^0+(?=.)/, ''));
}
