"""The help of `tranchectl audit` lists every action that the ledger writes into the audit log."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
INSERT = re.compile(r"INSERT INTO (?:tranche\.)?audit_log\b.*?(?:VALUES\s*\(|SELECT)\s*(?:p_\w+|'\w+'),\s*"
                    r"(?P<action>CASE WHEN .*? END|'\w+'|p_action)", re.DOTALL)


def of_procedures():
    actions, inserts = set(), 0
    for file in (ROOT / "storage/sql/procedures").glob("*.sql"):
        text = file.read_text()
        found = [match.group("action") for match in INSERT.finditer(text)]
        assert len(found) == text.count("INSERT INTO audit_log"), f"{file.name}: an entry of another form"
        inserts += len(found)
        actions |= {word for action in found for word in re.findall(r"'([a-z_]+)'", action)}
    assert inserts > 25, "they were not found"
    return actions


class AuditActions(unittest.TestCase):
    def test_the_help_lists_those_of_the_procedures(self):
        command = (ROOT / "client/ctl/audit_command.cc").read_text()
        listed = command[command.index("Actions of SKUs:"):command.index("OUTCOME UNKNOWN")]
        self.assertEqual(sorted(of_procedures() - set(re.findall(r"\w+", listed))), [])


if __name__ == "__main__":
    unittest.main()
