"""Checks that dependencies point one way: client -> proto; server -> quota -> storage -> proto.

Nothing in quota or storage knows gRPC or its services.
"""

import re
import sys

from source_files import ROOT, cpp_files, relative

# What a folder's files may include of the project, by the path's first parts.
ALLOWED = {
    "storage": ("storage/", "tranche/internal/"),
    "quota": ("quota/", "storage/", "tranche/internal/"),
    "server": ("server/", "quota/", "storage/", "tranche/v1/", "tranche/internal/"),
    "client": ("client/", "tranche/"),
}
OURS = ("storage/", "quota/", "server/", "client/", "tests/", "tranche/")
GRPC_FREE = ("storage", "quota")
GRPC_INCLUDE = re.compile(r"^(grpc|grpcpp|google/rpc)/|\.grpc\.pb\.h$")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
GRPC_LINK = re.compile(r"\bgRPC::|\btranche_proto\b")


def violations(folder, text):
    """(line, include) of every include in the text that a file of the folder must not have."""
    for match in INCLUDE.finditer(text):
        include = match.group(1)
        ours = include.startswith(OURS)
        if (ours and not include.startswith(ALLOWED[folder])) or (
            folder in GRPC_FREE and GRPC_INCLUDE.search(include)
        ):
            yield text.count("\n", 0, match.start(1)) + 1, include


def main():
    bad = 0
    for folder in ALLOWED:
        for path in cpp_files((folder,)):
            for line, include in violations(folder, path.read_text()):
                bad += 1
                print(f"{relative(path)}:{line}: {folder} must not include {include}")
    for folder in GRPC_FREE:
        for path in sorted((ROOT / folder).rglob("CMakeLists.txt")):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if GRPC_LINK.search(line.split("#")[0]):
                    bad += 1
                    print(f"{relative(path)}:{number}: {folder} must not link gRPC: {line.strip()}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
