"""Cuts the commands out of a Markdown page."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[3]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HEREDOC = re.compile(r"<<-?\s*['\"]?(\w+)")


def blocks(page, languages=("sh",)):
    """The contents of the page's fenced blocks in these languages, in their order."""
    return [text for language, text in FENCED.findall((ROOT / page).read_text()) if language in languages]


def commands(block):
    """The commands of a block as they are pasted: with their comments, continued lines and here-documents."""
    found, parts, end = [], [], None
    for line in block.splitlines():
        if not parts and (not line.strip() or line.startswith("#")):
            continue
        parts.append(line)
        if end is None and (document := HEREDOC.search(line)):
            end = document.group(1)
        elif line == end:
            end = None
        if end is None and not line.endswith("\\"):
            found.append("\n".join(parts))
            parts = []
    return found + (["\n".join(parts)] if parts else [])


def code_in_text(page):
    """What stands between single backquotes outside of the blocks; a span may go over a line's end."""
    text = FENCED.sub("", (ROOT / page).read_text())
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]
