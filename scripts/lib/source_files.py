"""Finds the project's own sources and reads C++ without its comments and literals."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE_FOLDERS = ("server", "quota", "storage", "client", "tests")
SKIPPED_FOLDERS = {"node_modules", "build"}

# A raw string, a comment, a string or a character, whichever starts first; digit separators are not characters.
_TOKEN = re.compile(
    r'R"(?P<delimiter>[^ ()\\\t\n]*)\(.*?\)(?P=delimiter)"'
    r"|//[^\n]*|/\*.*?\*/"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'",
    re.DOTALL,
)


def cpp_files(folders=SOURCE_FOLDERS, suffixes=(".cc", ".h")):
    """All C++ files below the folders, sorted."""
    found = []
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in suffixes and not SKIPPED_FOLDERS & set(path.parts):
                found.append(path)
    return sorted(found)


def relative(path):
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


def without_comments_and_literals(text):
    """The same text with comments, literals and preprocessor lines blanked out; line numbers stay."""
    text = _TOKEN.sub(lambda match: _blank(match.group()), text)
    return re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", lambda match: _blank(match.group()), text, flags=re.MULTILINE)


def string_literals(text):
    """(line number, literal) of every string in the text, comments left out."""
    for match in _TOKEN.finditer(text):
        if match.group().startswith(('"', "R")):
            yield text.count("\n", 0, match.start()) + 1, match.group()
