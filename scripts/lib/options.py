"""Command line options of the scripts, and their values."""

import argparse
import re


class Parser(argparse.ArgumentParser):
    """For `prog`, "scripts/NAME", whose help is in the script itself. Wrong usage is one line and exit status 1."""

    def __init__(self, prog, **more):
        super().__init__(prog=prog, **{"add_help": False, "allow_abbrev": False, **more})

    def error(self, message):
        self.exit(1, f"{self.prog}: {message}; see {self.prog.split()[0]} --help\n")


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
