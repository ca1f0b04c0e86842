"""Refuses functions of more than 70 lines, from the first line of the signature to the closing brace.

A lambda counts as part of the function around it.
"""

import re
import sys

from source_files import cpp_files, relative, without_comments_and_literals

MAX_LINES = 70

_CONTAINER = re.compile(r"(template\s*<.*>\s*)?(inline\s+)?(namespace|class|struct|union|enum|extern)\b", re.DOTALL)
_MEMBER_INIT = re.compile(r"\)[^:]*(?<!:):(?!:).*[\w>]$", re.DOTALL)


def _opens_function(header):
    header = header.strip()
    if "(" not in header or _CONTAINER.match(header):
        return False
    # `Foo() : member_{1}`: the brace belongs to the member.
    return not _MEMBER_INIT.search(header) and not header.endswith(("=", ",", "return"))


def functions(text):
    """Yields (first line, last line, signature) of every outermost function body."""
    code = without_comments_and_literals(text)
    header_start = position = 0
    while position < len(code):
        char = code[position]
        if char in ";}":
            header_start = position + 1
        elif char == "{":
            header = code[header_start:position]
            if _CONTAINER.match(header.strip()):
                header_start = position + 1
            else:
                end = _matching_brace(code, position)
                if _opens_function(header):
                    start = header_start + len(header) - len(header.lstrip())
                    signature = " ".join(header.split())
                    yield code.count("\n", 0, start) + 1, code.count("\n", 0, end) + 1, signature
                    header_start = end + 1
                # Else an initialiser: what follows still belongs to the same declaration.
                position = end
        position += 1


def _matching_brace(code, opening):
    depth = 0
    for position in range(opening, len(code)):
        if code[position] == "{":
            depth += 1
        elif code[position] == "}":
            depth -= 1
            if depth == 0:
                return position
    return len(code) - 1


def too_long(text, limit=MAX_LINES):
    return [found for found in functions(text) if found[1] - found[0] + 1 > limit]


def main():
    bad = 0
    for path in cpp_files():
        for first, last, signature in too_long(path.read_text()):
            bad += 1
            print(f"{relative(path)}:{first}: {last - first + 1} lines, at most {MAX_LINES}: {signature[:80]}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
