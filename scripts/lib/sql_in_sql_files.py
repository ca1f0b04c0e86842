"""Checks that SQL statements are in .sql files and not in string literals of the servers and clients."""

import re
import sys

from source_files import cpp_files, relative, string_literals

# A call of a procedure does not count as SQL.
CALL = re.compile(r'SELECT \* FROM tranche\.\w*(\(|"$)')
FOLDERS = ("storage", "quota", "server", "client")
STATEMENT = re.compile(
    r"\b(SELECT\s[^\"]*\bFROM|INSERT\s+INTO|UPDATE\s+\S+\s+SET|DELETE\s+FROM|TRUNCATE"
    r"|(CREATE|ALTER|DROP)\s+(OR\s+REPLACE\s+)?(TABLE|FUNCTION|PROCEDURE|INDEX|SCHEMA|ROLE|TYPE|VIEW)"
    r"|(GRANT|REVOKE)\s+\S+\s+ON)\b",
    re.DOTALL,
)


def statements(text):
    """(line, literal) of every string that holds an SQL statement."""
    for line, literal in string_literals(text):
        if STATEMENT.search(literal) and not CALL.search(literal):
            yield line, literal


def main():
    bad = 0
    for path in cpp_files(FOLDERS):
        for line, literal in statements(path.read_text()):
            bad += 1
            print(f"{relative(path)}:{line}: SQL belongs into a .sql file: {literal[:80]!r}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
