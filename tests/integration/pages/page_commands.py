"""Cuts commands and SQL out of a Markdown page."""

import pathlib
import re
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[3]
FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
HEREDOC = re.compile(r"<<-?\s*['\"]?(\w+)")
# Up to its semicolon, and the comment behind that. Texts in dollar quotes are not understood.
STATEMENT = re.compile(r"(?:'[^']*'|--[^\n]*|[^;'])+?;(?:[^\S\n]*--[^\n]*)?")
SQL_VERB = r"(?:SELECT|WITH|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|GRANT|REVOKE|COMMIT|ROLLBACK|VACUUM|REINDEX)\b"
# Of a comment such as "-- if it lasts: SELECT ...".
RUN_THEN = re.compile(rf"--[^\n]*: +({SQL_VERB}[^\n]*)$")


def fenced(page):
    """(language, content) of each of the page's fenced blocks, in their order; without the indentation of a list."""
    return [(language, textwrap.dedent(text)) for _, language, text in FENCED.findall((ROOT / page).read_text())]


def blocks(page, languages=("sh",)):
    """The contents of the page's fenced blocks in these languages, in their order."""
    return [text for language, text in fenced(page) if language in languages]


def commands(block):
    """The commands of a block as they are pasted: with their comments, continued lines and here-documents."""
    found, parts, end = [], [], None
    for line in block.splitlines():
        if not parts and (not line.strip() or line.lstrip().startswith("#")):
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


def statements(block):
    """The SQL statements of a block, each with the comment behind it, and then what that comment says to run next."""
    found = [one.strip() for one in STATEMENT.findall(block)]
    if rest := STATEMENT.sub("", block).strip():
        found.append(rest)
    return [text for one in found for text in (one, *RUN_THEN.findall(one))]


def code_in_text(page):
    """What stands between single backquotes outside of the blocks; a span may go over a line's end."""
    text = FENCED.sub("", (ROOT / page).read_text())
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


def sql_in_text(page):
    """The SQL statements, and the commands of psql, between single backquotes. A mere name has no table or function."""
    return [span for span in code_in_text(page) if re.match(rf"(?:psql|{SQL_VERB}) .*\b(?:tranche\.|pg_)\w", span)]
