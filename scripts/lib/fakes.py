"""Keeps the fakes out of what is shipped: only tests and simulations may have them.

A fake is a file in a folder `fake`, and a CMake target whose name ends in `_fake`.
"""

import re

from rooms import INCLUDE

_COMMAND = re.compile(r"\b(add_library|add_executable|target_link_libraries|target_sources)\s*\(([^()]*)\)")
_FAKE = re.compile(r"\w+_fake\b|(?:^|/)fake/\S*")


def includes(path, text):
    """(line, complaint) of every include of a fake in the text of a file that is none itself."""
    if "/fake/" in path:
        return
    for match in INCLUDE.finditer(text):
        if "/fake/" in match.group(1):
            yield text.count("\n", 0, match.start(1)) + 1, f"only tests may include {match.group(1)}"


def links(text):
    """(line, complaint) of every target in a CMakeLists.txt that is no fake and is made of one."""
    text = re.sub(r"#[^\n]*", "", text)
    for command in _COMMAND.finditer(text):
        target, *arguments = command.group(2).split() or [""]
        if target.endswith("_fake"):
            continue
        line = text.count("\n", 0, command.start()) + 1
        for argument in arguments:
            if fake := _FAKE.search(argument):
                yield line, f"{target} must not be made of {fake.group()}: only tests may link a fake"
