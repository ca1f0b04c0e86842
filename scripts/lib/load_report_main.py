"""Called by scripts/load-report."""

import json
import pathlib
import sys

import load_report
from options import Parser

# The result of the largest scenario is much smaller.
MOST_BYTES = 256 * 1024 * 1024


def read(parser, path):
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES} bytes")
        result = json.loads(path.read_text())
        load_report.check_format(result)
    except (OSError, ValueError) as error:
        parser.error(f"{path}: {error}")
    return result


def main(arguments):
    parser = Parser("scripts/load-report")
    parser.add_argument("results", metavar="RESULT", nargs="+", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args(arguments)
    if len(options.results) > 2:
        parser.error("at most two results can be side by side")
    results = [read(parser, path) for path in options.results]
    page = options.out or options.results[0].with_suffix(".html")
    try:
        page.write_text(load_report.html(results))
    except OSError as error:
        parser.error(f"{page}: {error}")
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
