"""Rules of the numbered migrations that can be checked without a database."""

import pathlib
import re
import unittest

MIGRATIONS = pathlib.Path(__file__).resolve().parents[2] / "storage" / "sql" / "migrations"
PROCEDURES = MIGRATIONS.parent / "procedures"
# Statements that wait for a lock on a table that sales use, with all sales queued behind them.
LOCKING = re.compile(r"^\s*(ALTER TABLE|LOCK TABLE|CREATE (UNIQUE )?INDEX|DROP INDEX)\b", re.MULTILINE)
# Databases have already run these, so they cannot be changed.
BEFORE_THE_RULE = {"0004_shards.sql"}
DROPPED = re.compile(r"DROP FUNCTION IF EXISTS tranche\.(\w+)\(([^)]*)\)")
# Only from this one on are procedures called by the text of those that they replace.
FIRST_WITH_OLD_CALLS = "0017"


def without_comments(text):
    return re.sub(r"--[^\n]*", "", text)


def count(arguments):
    return sum(1 for argument in arguments.split(",") if argument.strip())


def needed_arguments(name, text):
    """How many parameters of this procedure have no default."""
    begin = text.index("(", text.index(f"FUNCTION tranche.{name}("))
    depth, end = 1, begin + 1
    while depth:
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        end += 1
    parameters = re.sub(r"\([^()]*\)", "", text[begin + 1 : end - 1])
    given = [parameter for parameter in parameters.split(",") if not parameter.strip().startswith("OUT ")]
    return sum(1 for parameter in given if parameter.strip() and " DEFAULT " not in parameter)


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

    def test_leave_procedures_that_can_be_called_as_before(self):
        """A call that waits for a lock goes on, after the migration, with the body that it had, and with its calls."""
        for path in sorted(MIGRATIONS.glob("*.sql")):
            if path.name < FIRST_WITH_OLD_CALLS:
                continue
            for name, arguments in DROPPED.findall(without_comments(path.read_text())):
                successor = PROCEDURES / f"{name}.sql"
                if successor.exists():
                    needed = needed_arguments(name, successor.read_text())
                    self.assertLessEqual(needed, count(arguments),
                                         f"after {path.name}, {name} cannot be called as before: give it a DEFAULT")


if __name__ == "__main__":
    unittest.main()
