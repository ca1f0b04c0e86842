"""Checks proto/ with buf: its style and comments, and that callers of what was released can still use it."""

import subprocess
import sys

import npm
from source_files import ROOT

PROTO = ROOT / "proto"
# The descriptors of the last release; proto/README.md says how to renew them.
RELEASED = PROTO / "released.binpb.gz"


def complaints(folder):
    """What buf says about a folder of protos."""
    buf = npm.install(npm.TOOLS, {"@bufbuild/buf": "1.47.2"}) / ".bin" / "buf"
    lines = []
    for command in (["lint", "."], ["breaking", ".", "--against", RELEASED]):
        done = subprocess.run([buf, *command], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            lines += (done.stdout + done.stderr).splitlines() or [f"buf {command[0]}: status {done.returncode}"]
    return lines


if __name__ == "__main__":
    found = complaints(PROTO)
    print("\n".join(found), end="\n" if found else "")
    sys.exit(bool(found))
