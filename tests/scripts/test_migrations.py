"""Rules of the numbered migrations that can be checked without a database."""

import pathlib
import re
import unittest

MIGRATIONS = pathlib.Path(__file__).resolve().parents[2] / "storage" / "sql" / "migrations"
# Statements that wait for a lock on a table that sales use, with all sales queued behind them.
LOCKING = re.compile(r"^\s*(ALTER TABLE|LOCK TABLE|CREATE (UNIQUE )?INDEX|DROP INDEX)\b", re.MULTILINE)
# Databases have already run these, so they cannot be changed.
BEFORE_THE_RULE = {"0004_shards.sql"}


def without_comments(text):
    return re.sub(r"--[^\n]*", "", text)


class Migrations(unittest.TestCase):
    def test_are_numbered_without_gaps(self):
        names = sorted(path.name for path in MIGRATIONS.glob("*.sql"))
        self.assertEqual([int(name[:4]) for name in names], list(range(1, len(names) + 1)))

    def test_do_not_wait_for_locks_without_limit(self):
        for path in sorted(MIGRATIONS.glob("*.sql"))[1:]:
            text = without_comments(path.read_text())
            found = LOCKING.search(text)
            if not found or path.name in BEFORE_THE_RULE:
                continue
            limit = text.find("SET LOCAL lock_timeout")
            self.assertTrue(0 <= limit < found.start(), f"{path.name} waits for locks before it has set lock_timeout")


if __name__ == "__main__":
    unittest.main()
