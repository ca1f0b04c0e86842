"""Values of command line options, for argparse."""

import argparse
import re


def sku_and_stock(text):
    """NAME=STOCK as a pair."""
    name, separator, stock = text.partition("=")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name) or not separator or not re.fullmatch(r"[0-9]{1,9}", stock):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=STOCK (NAME of letters, digits, '.', '_', '-')")
    return name, int(stock)


def at_least_one(text):
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)
