"""Checks that dependencies point one way: client -> proto; server -> quota -> storage -> proto.

All of them may use storage/base, which uses none of them. Nothing in quota or storage knows gRPC or its services. Inside
the folders, rooms.py says who may include whom; fakes.py keeps the fakes in the tests.
"""

import re
import sys

import fakes
import rooms
from source_files import ROOT, cpp_files, relative

# What a folder's files may include of the project, by the path's first parts.
ALLOWED = {
    "storage": ("storage/", "tranche/internal/"),
    "quota": ("quota/", "storage/", "tranche/internal/"),
    "server": ("server/", "quota/", "storage/", "tranche/v1/", "tranche/internal/"),
    "client": ("storage/base/", "client/", "tranche/"),
}
OURS = ("storage/", "quota/", "server/", "client/", "tests/", "tranche/")
GRPC_FREE = ("storage", "quota")
GRPC_INCLUDE = re.compile(r"^(grpc|grpcpp|google/rpc)/|\.grpc\.pb\.h$")
GRPC_LINK = re.compile(r"\bgRPC::|\btranche_proto\b")


def violations(folder, text):
    """(line, include) of every include in the text that a file of the folder must not have."""
    for match in rooms.INCLUDE.finditer(text):
        include = match.group(1)
        ours = include.startswith(OURS)
        if (ours and not include.startswith(ALLOWED[folder])) or (
            folder in GRPC_FREE and GRPC_INCLUDE.search(include)
        ):
            yield text.count("\n", 0, match.start(1)) + 1, include


def _source_complaints(folder, path, text):
    for line, include in violations(folder, text):
        yield line, f"{folder} must not include {include}"
    yield from rooms.violations(path, text)
    yield from fakes.includes(path, text)


def _build_complaints(folder, text):
    if folder in GRPC_FREE:
        for number, line in enumerate(text.splitlines(), 1):
            if GRPC_LINK.search(line.split("#")[0]):
                yield number, f"{folder} must not link gRPC: {line.strip()}"
    yield from fakes.links(text)


def complaints():
    """What is wrong in the project, as lines for people."""
    for folder, table in rooms.ROOMS.items():
        if found := rooms.circle(table):
            yield f"scripts/lib/rooms.py: a circle in {folder}: {' -> '.join(found)}"
    for folder in ALLOWED:
        for path in cpp_files((folder,)):
            for line, complaint in _source_complaints(folder, str(relative(path)), path.read_text()):
                yield f"{relative(path)}:{line}: {complaint}"
        for path in sorted((ROOT / folder).rglob("CMakeLists.txt")):
            for line, complaint in _build_complaints(folder, path.read_text()):
                yield f"{relative(path)}:{line}: {complaint}"


def main():
    found = list(complaints())
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
