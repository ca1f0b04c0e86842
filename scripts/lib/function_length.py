"""Refuses functions of more than 70 lines, from the first line of the signature to the closing brace.

A constructor's initializer list belongs to it. A lambda counts as part of the function around it; one that is kept
outside of functions, by a constant or in a table, is a function.
"""

import re
import sys

from source_files import cpp_files, relative, without_comments_and_literals

MAX_LINES = 70

_CONTAINER = re.compile(r"(template\s*<.*>\s*)?(inline\s+)?(namespace|class|struct|union|enum|extern)\b", re.DOTALL)
_ACCESS = re.compile(r"\s*(?:(?:public|protected|private)\s*:\s*)*")
_INITIALIZER_LIST = re.compile(r"\)\s*(?:noexcept\s*)?:(?!:)")
_LAMBDA = re.compile(r"\[[^\[\]]*\]\s*(?:\([^{}]*\)\s*)?(?:\w+\s*)*(?:->[^{}]*)?$")


def _outermost(header):
    """The header without what is in its parentheses and braces, and how many of these are still open."""
    depth = 0
    kept = []
    for char in header:
        if char in ")}":
            depth -= 1
        if depth == 0:
            kept.append(char)
        if char in "({":
            depth += 1
    return "".join(kept).strip(), depth


def _opens_function(header):
    """Is the brace after the header that of a function's body?"""
    outermost, depth = _outermost(header)
    if _INITIALIZER_LIST.search(outermost):
        # `Foo() : member_{1}, other_([] {})`: these braces belong to members; the body comes after a whole initializer.
        return depth == 0 and outermost.endswith((")", "}"))
    if depth > 0 or "(" not in header:
        return bool(_LAMBDA.search(header))
    return not outermost.endswith(("=", ",", "return"))


def functions(text):
    """Yields (first line, last line, signature) of every outermost function body."""
    code = without_comments_and_literals(text)
    header_start = position = 0
    while position < len(code):
        char = code[position]
        if char in ";}":
            header_start = position + 1
        elif char == "{":
            start = _ACCESS.match(code, header_start, position).end()
            header = code[start:position].rstrip()
            if _CONTAINER.match(header):
                header_start = position + 1
            elif _opens_function(header):
                end = _matching_brace(code, position)
                if _outermost(header)[1] == 0:
                    header_start = end + 1
                else:
                    # A lambda among the arguments of a declaration, which is not over yet.
                    start += _LAMBDA.search(header).start()
                signature = " ".join(code[start:position].split())
                yield code.count("\n", 0, start) + 1, code.count("\n", 0, end) + 1, signature
                position = end
            else:
                # An initialiser: what follows still belongs to the same declaration.
                end = _matching_brace(code, position)
                if not _INITIALIZER_LIST.search(_outermost(header)[0]):
                    yield from _lambdas(code, position + 1, end)
                position = end
        position += 1


def _lambdas(code, begin, end):
    """The outermost lambdas in a piece of data."""
    position = begin
    while position < end:
        if code[position] == "{" and (found := _LAMBDA.search(code[begin:position].rstrip())):
            closing = _matching_brace(code, position)
            yield code.count("\n", 0, begin + found.start()) + 1, code.count("\n", 0, closing) + 1, found.group()
            position = closing
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
