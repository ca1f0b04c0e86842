#!/usr/bin/env python3
"""Recomputes a buyer's rank in a lottery or a waiting room of Tranche.

Needs nothing but this file and Python 3.8 or later.
"""

import argparse
import base64
import binascii
import hashlib
import hmac
import os
import re
import struct
import sys

KEY_BYTES = 32
EVERYBODY = 1_000_000
HIGHEST = 2**64 - 1  # as a threshold: everybody
NOT_ADMITTED, WRONG_USAGE, ANOTHER_KEY = 3, 1, 2

HELP = """\
Recomputes a buyer's rank in a lottery round, or with --room in a round of a waiting room, and says whether they were
admitted.

While a round runs, its commitment is public and its key is secret. When it has ended, the key is public, too. The
commitment is the SHA-256 of the key, so the key was chosen before anybody tried to buy. The rank is computed from the
key, the SKU, the round and the user id, and from nothing else: neither when nor how often a buyer tried matters.

FrontDoorService.ListLotteryRounds, or your shop, tells key, commitment, policy_sku_id, round and admitted_per_million.
Compare the commitment with the one that you were told while the round ran, and the rank with that of your ticket.

In a waiting room this is the rank of who joined before the sale opened. Who joined later has 2^63 plus the microseconds
since 1970 at which they did, which needs no key.
"""
EXAMPLE = """\
example:
  verify_rank.py --key 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f \\
    --commitment 630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd \\
    --sku tv --round 1 --user alice --admitted-per-million 100000

how it is computed:
  rank       the first 64 bits, big-endian, of HMAC-SHA256 with the key over four fields: "tranche-rank-v1", the SKU,
             the round (8 bytes, big-endian) and the user id, each behind its length (4 bytes, big-endian)
             --room: half of that, rounded down
  threshold  admitted_per_million x 2^64 / 1,000,000, rounded down; 2^64 - 1 stands for everybody
  admitted   if the rank is below the threshold

exit status:
  0  admitted: the rank is below the threshold
  1  wrong usage
  2  the key is not that of the commitment: whoever gave you one of them is wrong
  3  not admitted
"""


def field(data):
    return struct.pack(">I", len(data)) + data


def rank(key, policy_sku_id, number, user_id):
    """Of bytes, except the round's number."""
    message = b"".join(map(field, (b"tranche-rank-v1", policy_sku_id, struct.pack(">q", number), user_id)))
    return int.from_bytes(hmac.new(key, message, hashlib.sha256).digest()[:8], "big")


def shuffled_rank(key, policy_sku_id, number, user_id):
    """In a waiting room, of who joined before the sale opened."""
    return rank(key, policy_sku_id, number, user_id) >> 1


def threshold(admitted_per_million):
    return HIGHEST if admitted_per_million == EVERYBODY else (admitted_per_million << 64) // EVERYBODY


def admits(at, own_rank):
    return own_rank < at or at == HIGHEST


def thirty_two_bytes(text):
    """From hex, or from base64 as JSON has it."""
    try:
        data = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        data = b""
    if len(data) != KEY_BYTES:
        raise argparse.ArgumentTypeError(f"{text!r} is not {KEY_BYTES} bytes in hex or base64")
    return data


def whole_number(least, most):
    def parse(text):
        if not re.fullmatch(r"[0-9]{1,20}", text) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)
    return parse


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(WRONG_USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def parse(arguments):
    # As it was called: a buyer has this file alone.
    parser = Parser(prog=sys.argv[0], description=HELP, epilog=EXAMPLE, allow_abbrev=False,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--key", required=True, type=thirty_two_bytes, help="the round's key, in hex or base64")
    parser.add_argument("--commitment", required=True, type=thirty_two_bytes,
                        help="the SHA-256 that was told while the round ran, in hex or base64")
    parser.add_argument("--sku", required=True, metavar="ID",
                        help="policy_sku_id of the round: the SKU, or '*' if the policy is that of all SKUs")
    parser.add_argument("--round", required=True, type=whole_number(1, 2**63 - 1), metavar="N", help="from 1")
    parser.add_argument("--user", required=True, metavar="ID", help="the buyer, as the shop calls them")
    parser.add_argument("--room", action="store_true",
                        help="the round is one of a waiting room, which the buyer joined before the sale opened")
    admitted = parser.add_mutually_exclusive_group(required=True)
    admitted.add_argument("--admitted-per-million", type=whole_number(1, EVERYBODY), metavar="N",
                          help="of the round, as it was last set")
    admitted.add_argument("--threshold", type=whole_number(0, HIGHEST), metavar="N", help="instead: of a ticket")
    args = parser.parse_args(arguments)
    if args.room and args.threshold is None:
        parser.error("argument --admitted-per-million: not allowed with argument --room, which has a --threshold")
    return args


def main(arguments):
    args = parse(arguments)
    found = hashlib.sha256(args.key).digest()
    if found != args.commitment:
        print(f"commitment: {args.commitment.hex()}\nof the key: {found.hex()}")
        print("The key is not that of the commitment.", file=sys.stderr)
        return ANOTHER_KEY
    rank_of = shuffled_rank if args.room else rank
    own_rank = rank_of(args.key, os.fsencode(args.sku), args.round, os.fsencode(args.user))
    at = args.threshold if args.threshold is not None else threshold(args.admitted_per_million)
    admitted = admits(at, own_rank)
    print(f"rank:      {own_rank}\nthreshold: {at}\nadmitted:  {'yes' if admitted else 'no'}")
    return 0 if admitted else NOT_ADMITTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
