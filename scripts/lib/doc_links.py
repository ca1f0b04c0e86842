"""Checks that what the Markdown pages point at exists: relative links with their anchors, and in code paths of the
repository and names of C++ tests."""

import fnmatch
import re
import sys

from source_files import ROOT, SKIPPED_FOLDERS, relative

FENCE = re.compile(r"^ {0,3}(```|~~~)")
# Links and pictures; a link may have a title.
LINK = re.compile(r'\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)')
CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"[\w.*-]+(?:/[\w.*-]+)*/?")
# A command of ours in a block of code.
COMMAND = re.compile(r"(?<![\w./-])scripts/[\w.-]+(?:/[\w.-]+)*")
TEST = re.compile(r"^TEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\s*\)", re.MULTILINE)
# A test, or with `*` several of a suite.
TEST_NAME = re.compile(r"([A-Z]\w*)\.(\w*\*?)")
# A suite that is not there is known by its name's end.
SUITE_SUFFIXES = ("Test", "Contract")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
# A name without a folder is a path if it ends like one of our sources.
SOURCE_SUFFIXES = (".h", ".cc", ".sql", ".proto", ".py", ".md", ".dot", ".svg")
SKIPPED = SKIPPED_FOLDERS | {".git"}


def pages(root):
    """All Markdown pages of the repository, sorted."""
    return sorted(path for path in root.rglob("*.md") if not SKIPPED & set(path.relative_to(root).parts))


def blocks(text):
    """(line number, line, whether it is in a block of code) of each line but the fences."""
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if FENCE.match(line):
            inside = not inside
        else:
            yield number, line, inside


def anchors(text):
    """What a link can name behind `#`: the headings as GitHub spells them."""
    found = set()
    for _, line, inside in blocks(text):
        if not inside and re.match(r"#{1,6} ", line):
            title = line.lstrip("#").strip().lower()
            found.add(re.sub(r"[^\w\- ]", "", title).replace(" ", "-"))
    return found


def link_problem(target, page):
    """What is wrong with a link, or None."""
    if ELSEWHERE.match(target):
        return None
    path, _, anchor = target.partition("#")
    file = page.parent / path if path else page
    if not file.exists():
        return f"no such file: {target}"
    if anchor and file.suffix == ".md" and anchor not in anchors(file.read_text()):
        return f"no such heading: {target}"
    return None


def names_a_path(word, page, root):
    """Whether the word means a file or folder of the repository: it starts with one of the root's or the page's folders."""
    if not PATH.fullmatch(word):
        return False
    first, slash, _ = word.partition("/")
    if not slash:
        return word.endswith(SOURCE_SUFFIXES) and not word.startswith((".", "*"))
    if first in SKIPPED:
        return False
    return any((base / first).is_dir() for base in (root, page.parent))


def path_exists(word, page, root):
    """By its path from the root or from the page, with or without the suffix; a bare name anywhere. `*` is a wildcard."""
    path = word.rstrip("/")
    if "/" not in word:
        return any(not SKIPPED & set(found.relative_to(root).parts) for found in root.rglob(path))
    return any(any(base.glob(pattern)) for base in (root, page.parent) for pattern in (path, path + ".*"))


def cpp_tests(root):
    """The names of the tests of each suite."""
    suites = {}
    for file in (root / "tests").rglob("*"):
        if file.suffix in (".cc", ".h"):
            for suite, name in TEST.findall(file.read_text()):
                suites.setdefault(suite, []).append(name)
    return suites


def test_problem(word, suites):
    """What is wrong with a word that names a test, or None."""
    match = TEST_NAME.fullmatch(word)
    if not match or not (match[1] in suites or match[1].endswith(SUITE_SUFFIXES)):
        return None
    return None if fnmatch.filter(suites.get(match[1], []), match[2]) else f"no such test: {word}"


def problems(page, root, suites):
    """(line number, what is wrong) of each link, path and test on the page that leads nowhere."""
    for number, line, inside in blocks(page.read_text()):
        if inside:
            words = COMMAND.findall(line)
        else:
            # Code is not a link, but may be the text of one.
            for target in LINK.findall(CODE.sub("code", line)):
                problem = link_problem(target, page)
                if problem:
                    yield number, problem
            words = [code.split()[0] for code in CODE.findall(line) if code.strip()]
        for word in words:
            if names_a_path(word, page, root) and not path_exists(word, page, root):
                yield number, f"no such path: {word}"
            if not inside and (problem := test_problem(word, suites)):
                yield number, problem


def main():
    bad = 0
    suites = cpp_tests(ROOT)
    for page in pages(ROOT):
        for number, problem in problems(page, ROOT, suites):
            bad += 1
            print(f"{relative(page)}:{number}: {problem}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
