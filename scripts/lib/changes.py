"""Which files have changed, for checks that are too dear to be run on all of them each time.

  changes.py [FOLDER]...   prints the changed files below these folders (all without one); exit status 3 if there are none

What counts is the difference between the working tree and a base:
  - the commit that TRANCHE_BASE names, which CI that knows it should set, or else
  - the newest first-parent commit that is at least a day older than HEAD: what came within a day counts as changed, also
    when it was merged from an older branch. A younger history has no base: then every file counts as changed.
"""

import os
import subprocess
import sys

DAY_S = 24 * 60 * 60
NONE_CHANGED = 3


def git(*arguments):
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


def base_commit(run=git, environment=None):
    """The commit to compare with, or None."""
    named = (os.environ if environment is None else environment).get("TRANCHE_BASE")
    if named:
        return run("rev-parse", "--verify", "--end-of-options", named + "^{commit}").strip()
    newest_s = int(run("log", "-1", "--format=%ct", "HEAD"))
    return run("rev-list", "--first-parent", "-1", f"--before={newest_s - DAY_S}", "HEAD").strip() or None


def changed_files(run=git, environment=None):
    """Paths from the top, sorted; files that were removed are among them."""
    base = base_commit(run, environment)
    if base is None:
        listed = run("ls-files", "-co", "--exclude-standard", "-z")
    else:
        listed = run("diff", "--name-only", "--no-renames", "-z", base)
        listed += run("ls-files", "-o", "--exclude-standard", "-z")
    return sorted({path for path in listed.split("\0") if path})


def below(files, folders):
    return [path for path in files if not folders or any(path.startswith(folder.rstrip("/") + "/") for folder in folders)]


if __name__ == "__main__":
    found = below(changed_files(), sys.argv[1:])
    print("\n".join(found))
    # Not 1: a failure to find out must not look like "nothing changed".
    sys.exit(0 if found else NONE_CHANGED)
