#!/usr/bin/env python3
"""Recomputes a draw of Tranche from what was published of it. Needs nothing but this file and Python 3.8 or later."""

import argparse
import hashlib
import heapq
import hmac
import json
import operator
import os
import re
import struct
import sys

FORMAT = "tranche-draw-v1"
DRAW_FILE, ENTRIES_FILE, AWARDS_FILE = "draw.json", "entries.txt", "awards.csv"
FITS, DOES_NOT_FIT, WRONG_USAGE = 0, 1, 2
ENTRY_ID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SKU_ID = re.compile("[A-Za-z0-9._-]{1,64}")
MOST_SOURCE_CHARS, MOST_SHOWN = 200, 80
ID_BYTES, HASH_BYTES = 16, 32
LAPSED = ("LAPSED", "PASSED_OVER")
OUTCOMES = {outcome: outcome for outcome in ("PENDING", "CONFIRMED", *LAPSED)}
AWARDED = ("DRAWN", "FINISHED")
OVER = ("FINISHED", "CANCELLED")
SEALED = ("CLOSED", "SEEDED", "DRAWN", "FINISHED", "CANCELLED")

HELP = """\
Recomputes a draw from draw.json, entries.txt and awards.csv: that the list of entries is the sealed one, that the seed
is the promised one, and that exactly the entries with the lowest ranks were given units, in their order.

Compare seed_commitment or public_source, and merkle_root, with what you were told before the seed was known: this
script cannot know it.
"""
EXAMPLE = """\
example:
  verify_draw.py published --entry 6f1c2f0e-9a4b-4c57-8d3e-0123456789ab

how it is computed:
  merkle_root  RFC 6962, section 2.1, over all entry ids (16 bytes each) in the order of their bytes, with SHA-256
  key          HMAC-SHA256 with the seed over five fields: "tranche-draw-v1", the SKU, the draw's number and the number
               of entries (8 bytes each, big-endian) and merkle_root, each behind its length (4 bytes, big-endian)
  rank         HMAC-SHA256 with the key over the 16 bytes of an entry id. The lowest win

For a round of drand, the seed is the round's randomness: SHA-256 of its signature. Add "drand_signature" (hex) to
draw.json, and that is checked, too. Whether the signature is drand's, a drand client says.

exit status:
  0  everything fits
  1  something does not; the message says what
  2  wrong usage, or a file is missing
"""


class Unfit(Exception):
    """Something that was published does not fit; the message is for people."""


def field(data):
    return struct.pack(">I", len(data)) + data


def draw_key(seed, sku_id, number, entries, root):
    parts = (FORMAT.encode(), sku_id.encode(), struct.pack(">q", number), struct.pack(">q", entries), root)
    return hmac.digest(seed, b"".join(map(field, parts)), "sha256")


def pieces(data, size):
    return (data[at:at + size] for at in range(0, len(data), size))


def piece(data, index, size):
    return data[index * size:(index + 1) * size]


def packed(parts):
    """One behind the other. Ten million ids or hashes as objects of their own would need gigabytes."""
    data = bytearray()
    for part in parts:
        data += part
    return bytes(data)


def leaf_hash(entry_id):
    return hashlib.sha256(b"\0" + entry_id).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def merkle_tree(ids, indexes=()):
    """The root, and the audit path of each index, from the leaf up. Level by level, the last one of an odd number goes
    up as it is: the same tree as that of the RFC, which splits at powers of two."""
    sha256 = hashlib.sha256
    level = packed(leaf_hash(entry_id) for entry_id in pieces(ids, ID_BYTES))
    paths, at = {index: [] for index in indexes}, {index: index for index in indexes}
    if not level:
        return sha256(b"").digest(), paths
    while len(level) > HASH_BYTES:
        for index, place in at.items():
            beside = piece(level, place ^ 1, HASH_BYTES)
            if beside:
                paths[index].append(beside)
            at[index] = place >> 1
        # A pair is both hashes, one behind the other, as a node is hashed.
        level = packed(sha256(b"\1" + pair).digest() if len(pair) > HASH_BYTES else pair
                       for pair in pieces(level, 2 * HASH_BYTES))
    return level, paths


def path_leads_to(entry_id, index, entries, path, root):
    """RFC 9162, section 2.1.3.2."""
    if not 0 <= index < entries:
        return False
    place, last, found = index, entries - 1, leaf_hash(entry_id)
    for beside in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(beside, found)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, beside)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def shown(value):
    """What was published, for a message: on one line, without anything that a terminal would act on, and not longer
    than helps to find it."""
    text = ascii(value)
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "..."


def lines_of(folder, name):
    """Without their ends."""
    with open(os.path.join(folder, name), encoding="ascii", errors="backslashreplace", newline="\n") as file:
        for line in file:
            if not line.endswith("\n"):
                raise Unfit(f"{name}: the last line is cut off")
            yield line[:-1]


def whole_number(draw, name, least=0):
    value = draw.get(name)
    if type(value) is not int or not least <= value < 2**63:  # bool is an int, too
        raise Unfit(f"{DRAW_FILE}: {name} is not a whole number from {least}: {shown(value)}")
    return value


def hex_bytes(draw, name, lengths):
    """Of one of these lengths."""
    value = draw.get(name, "")
    if not isinstance(value, str) or not re.fullmatch("(?:[0-9a-fA-F]{2})*", value) or len(value) // 2 not in lengths:
        raise Unfit(f"{DRAW_FILE}: {name} is not in hex, or not as long as it must be: {shown(value)}")
    return bytes.fromhex(value)


def read_draw(folder):
    """Of what is printed from it, all has been checked here or by those who read the field."""
    try:
        with open(os.path.join(folder, DRAW_FILE), encoding="utf-8") as file:
            draw = json.load(file)
    except UnicodeDecodeError as error:
        raise Unfit(f"{DRAW_FILE} is not UTF-8: {error}") from None
    except (ValueError, RecursionError) as error:
        raise Unfit(f"{DRAW_FILE} is not JSON: {shown(str(error))}") from None
    if not isinstance(draw, dict) or draw.get("format") != FORMAT:
        raise Unfit(f"{DRAW_FILE} is not of the format {FORMAT}, which this script knows")
    if not isinstance(draw.get("sku_id"), str) or not SKU_ID.fullmatch(draw["sku_id"]):
        raise Unfit(f"{DRAW_FILE}: sku_id is not the id of a SKU: {shown(draw.get('sku_id'))}")
    source = draw.get("public_source", "")
    if not isinstance(source, str) or len(source) > MOST_SOURCE_CHARS or not source.isprintable():
        raise Unfit(f"{DRAW_FILE}: public_source is not a text of at most {MOST_SOURCE_CHARS} printable characters: "
                    f"{shown(source)}")
    if draw.get("state") not in SEALED:
        raise Unfit(f"{DRAW_FILE}: state is {shown(draw.get('state'))}: its list of entries is not sealed")
    return draw


def entry_ids(lines):
    """In order and distinct."""
    last = b""
    for number, line in enumerate(lines, 1):
        if not ENTRY_ID.fullmatch(line):
            raise Unfit(f"{ENTRIES_FILE}: line {number} is not an entry id, as 6f1c2f0e-9a4b-4c57-8d3e-0123456789ab: "
                        f"{shown(line)}")
        entry_id = bytes.fromhex(line.replace("-", ""))
        if entry_id <= last:
            raise Unfit(f"{ENTRIES_FILE}: line {number} is not behind line {number - 1}: ids are sorted, and there "
                        "once")
        last = entry_id
        yield entry_id


def read_entries(folder):
    """The ids, 16 bytes each."""
    return packed(entry_ids(lines_of(folder, ENTRIES_FILE)))


def read_awards(folder):
    """(entry id, outcome) by place."""
    lines = lines_of(folder, AWARDS_FILE)
    if next(lines, "").rstrip("\r") != "place,entry_id,outcome":
        raise Unfit(f"{AWARDS_FILE}: the first line is not place,entry_id,outcome")
    awards = []
    for place, line in enumerate(lines, 1):
        row = line.rstrip("\r").split(",")
        if len(row) != 3 or row[0] != str(place):
            raise Unfit(f"{AWARDS_FILE}: line {place + 1} is not that of place {place}: {shown(line)}")
        if not ENTRY_ID.fullmatch(row[1]) or row[2] not in OUTCOMES:
            raise Unfit(f"{AWARDS_FILE}: line {place + 1} has no entry id, or no outcome: {shown(line)}")
        # The outcome is one of the script's own words: that of the line would be kept for each place.
        awards.append((bytes.fromhex(row[1].replace("-", "")), OUTCOMES[row[2]]))
    return awards


def id_text(entry_id):
    text = entry_id.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def tell(name, text):
    print(f"{name + ':':<12} {text}")


def check_list(draw, ids, indexes):
    """The root, and the audit paths of these indexes."""
    count = whole_number(draw, "entries")
    if count != len(ids) // ID_BYTES:
        raise Unfit(f"{ENTRIES_FILE} has {len(ids) // ID_BYTES} entries, and {DRAW_FILE} says {count}")
    root, paths = merkle_tree(ids, indexes)
    if root != hex_bytes(draw, "merkle_root", (HASH_BYTES,)):
        raise Unfit(f"the entries are not the sealed ones: their merkle_root is {root.hex()}, and {DRAW_FILE} says "
                    f"{draw['merkle_root']}")
    tell("entries", f"{count}, sorted and distinct")
    tell("merkle_root", f"{root.hex()}, fits")
    return root, paths


def check_seed(draw):
    """The seed, or None if it is not known yet."""
    commitment = hex_bytes(draw, "seed_commitment", (0, HASH_BYTES))
    source = draw.get("public_source", "")
    if bool(commitment) == bool(source):
        raise Unfit(f"{DRAW_FILE}: exactly one of seed_commitment and public_source says where the seed comes from")
    seed = hex_bytes(draw, "seed", (0, *range(16, 65)))
    if not seed:
        tell("seed", f"not told yet; {'commitment ' + commitment.hex() if commitment else 'it will be ' + source}")
        return None
    if commitment:
        found = hashlib.sha256(seed).digest()
        if found != commitment:
            raise Unfit(f"the seed is not the promised one: its SHA-256 is {found.hex()}, and seed_commitment is "
                        f"{commitment.hex()}")
        tell("seed", f"{seed.hex()}, is that of the commitment {commitment.hex()}")
    else:
        tell("seed", f"{seed.hex()}; compare it yourself with: {source}")
    signature = hex_bytes(draw, "drand_signature", range(0, 257))
    if signature:
        if hashlib.sha256(signature).digest() != seed:
            raise Unfit("the seed is not the randomness of drand_signature, which is its SHA-256")
        tell("drand", "the seed is the SHA-256 of drand_signature; whether that is drand's, a drand client says")
    return seed


def check_counts(draw, awards):
    outcomes = [outcome for _, outcome in awards]
    found = {"pending": outcomes.count("PENDING"), "confirmed": outcomes.count("CONFIRMED"),
             "lapsed": sum(map(outcomes.count, LAPSED))}
    for name, count in found.items():
        if whole_number(draw, name) != count:
            raise Unfit(f"{AWARDS_FILE} has {count} that are {name}, and {DRAW_FILE} says {draw[name]}")
    winners = whole_number(draw, "winners", least=1)
    if found["pending"] + found["confirmed"] > winners:
        raise Unfit(f"{found['pending'] + found['confirmed']} entries have units, and at most {winners} may win")
    return winners, found


def check_awards(draw, ids, ranks, awards):
    winners, found = check_counts(draw, awards)
    entries = len(ids) // ID_BYTES
    if len(awards) > entries:
        raise Unfit(f"{AWARDS_FILE} has {len(awards)} awards, and there are {entries} entries")
    lowest = heapq.nsmallest(len(awards), map(operator.add, pieces(ranks, HASH_BYTES), pieces(ids, ID_BYTES)))
    for place, ((entry_id, _), should) in enumerate(zip(awards, lowest), 1):
        if entry_id != should[HASH_BYTES:]:
            raise Unfit(f"place {place} was awarded to {id_text(entry_id)}, and its turn it was of "
                        f"{id_text(should[HASH_BYTES:])}")
    cutoff = lowest[-1][:HASH_BYTES] if lowest else b""
    if hex_bytes(draw, "cutoff", (0, HASH_BYTES)) != cutoff:
        raise Unfit(f"the rank of the last award is {cutoff.hex() or 'none'}, and {DRAW_FILE} says for cutoff "
                    f"{draw.get('cutoff') or 'none'}")
    tell("awards", f"the {len(awards)} lowest ranks, in their order: {found['confirmed']} confirmed, "
                   f"{found['pending']} pending, {found['lapsed']} lapsed or passed over; at most {winners} win")
    tell("cutoff", cutoff.hex() or "none yet")
    free = winners - found["confirmed"] - found["pending"]
    if draw["state"] == "FINISHED" and free and len(awards) < entries:
        tell("note", f"it was finished with {free} places that nobody has, before all entries had their turn")


def check_path(entry_id, leaf, entries, path, root):
    if not path_leads_to(entry_id, leaf, entries, path, root):
        raise Unfit(f"the audit path of {id_text(entry_id)} does not lead to merkle_root")
    tell("entry", id_text(entry_id))
    tell("  leaf", f"{leaf}, counted from 0; its audit path leads to merkle_root")
    for beside in path:
        tell("  path", beside.hex())


def tell_place(rank, ranks, awards, state):
    place = 1 + sum(map(rank.__gt__, pieces(ranks, HASH_BYTES)))
    tell("  rank", rank.hex())
    tell("  place", f"{place} of {len(ranks) // HASH_BYTES}")
    turn = "its turn never came" if state in OVER else "its turn has not come"
    tell("  outcome", awards[place - 1][1] if place <= len(awards) else f"above the cutoff: {turn}")


def leaves_of(ids, wanted):
    """The place in the list of each id that is asked for."""
    places = {entry_id: None for entry_id in wanted}
    if places:
        for leaf, entry_id in enumerate(pieces(ids, ID_BYTES)):
            if entry_id in places:
                places[entry_id] = leaf
    for entry_id, leaf in places.items():
        if leaf is None:
            raise Unfit(f"{id_text(entry_id)} is not among the entries")
    return places


def verify(folder, wanted):
    draw, ids, awards = read_draw(folder), read_entries(folder), read_awards(folder)
    number, entries = whole_number(draw, "number", least=1), len(ids) // ID_BYTES
    tell("draw", f"{number} of {draw['sku_id']}, {draw['state']}")
    places = leaves_of(ids, wanted)
    root, paths = check_list(draw, ids, list(places.values()))
    seed = check_seed(draw)
    check_state(draw["state"], seed, awards)
    if seed:
        key = draw_key(seed, draw["sku_id"], number, entries, root)
        ranks = packed(hmac.digest(key, entry_id, "sha256") for entry_id in pieces(ids, ID_BYTES))
        check_awards(draw, ids, ranks, awards)
    for entry_id, leaf in places.items():
        check_path(entry_id, leaf, entries, paths[leaf], root)
        if seed:
            tell_place(piece(ranks, leaf, HASH_BYTES), ranks, awards, draw["state"])
    print(verdict(draw["state"]))


def check_state(state, seed, awards):
    if awards and state not in AWARDED:
        raise Unfit(f"{AWARDS_FILE} has awards, and {DRAW_FILE} says that the draw is {state}")
    if not seed and state in ("SEEDED", *AWARDED):
        raise Unfit(f"{DRAW_FILE} says that the draw is {state}, and has no seed")
    if seed and state == "CLOSED":
        raise Unfit(f"{DRAW_FILE} has a seed, and says that the draw is CLOSED")


def verdict(state):
    if state == "CANCELLED":
        return "OK, but it was called off: nobody wins"
    return "OK" if state in AWARDED else "OK so far: the list is the sealed one, and nobody has won yet"


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(WRONG_USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def entry_id_argument(text):
    if not ENTRY_ID.fullmatch(text.lower()):
        raise argparse.ArgumentTypeError(f"{text!r} is not an entry id")
    return bytes.fromhex(text.replace("-", ""))


def parse(arguments):
    # As it was called: a buyer has this file alone.
    parser = Parser(prog=sys.argv[0], description=HELP, epilog=EXAMPLE, allow_abbrev=False,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR", help=f"has {DRAW_FILE}, {ENTRIES_FILE} and {AWARDS_FILE}")
    parser.add_argument("--entry", action="append", default=[], type=entry_id_argument, metavar="ID", dest="entries",
                        help="also tell this entry's rank, place and audit path; may be given more than once")
    return parser.parse_args(arguments)


def main(arguments):
    args = parse(arguments)
    try:
        verify(args.folder, args.entries)
    except Unfit as unfit:
        print(f"DOES NOT FIT: {unfit}", file=sys.stderr)
        return DOES_NOT_FIT
    except OSError as error:
        print(f"{sys.argv[0]}: {error.filename}: {error.strerror}", file=sys.stderr)
        return WRONG_USAGE
    return FITS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
