"""The reasons of errors are spelled in the proto, in the client library and in the servers: they are the same."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def of_proto():
    text = (ROOT / "proto/tranche/v1/error_reason.proto").read_text()
    return {name: int(number) for name, number in re.findall(r"ERROR_REASON_(\w+) = (\d+);", text)}


def enumerators(path, enum):
    text = (ROOT / path).read_text()
    body = re.search(r"enum class %s \{(.*?)\};" % enum, text, re.DOTALL).group(1)
    return {shouted(name): int(number) for name, number in re.findall(r"\bk(\w+) = (\d+),", body)}


def shouted(name):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


class Reasons(unittest.TestCase):
    def test_of_the_client_library_are_all_of_the_proto(self):
        self.assertEqual(enumerators("client/include/tranche/error.h", "Reason"), of_proto())

    def test_of_the_servers_are_among_those_of_the_proto(self):
        refusals = enumerators("storage/ledger/refusal.h", "Refusal")
        self.assertEqual(refusals.pop("NONE"), 0)
        self.assertGreater(len(refusals), 20)
        for name, number in refusals.items():
            self.assertEqual(of_proto().get(name), number, name)

    def test_the_page_for_callers_says_what_to_do_about_each(self):
        table = (ROOT / "docs/clients.md").read_text().split("## What to do about an error")[1].split("\n## ")[0]
        rows = " ".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE))
        invalid_argument = range(12)  # one row for all of them but CART_SPANS_SHARDS; it goes by the code
        missing = [name for name, number in of_proto().items()
                   if number not in invalid_argument and f"`{name}`" not in rows]
        self.assertEqual(missing, [])

    def test_every_refusal_has_its_words(self):
        text = (ROOT / "storage/ledger/refusal.h").read_text()
        words = re.findall(r'\{Refusal::k(\w+), "(\w+)", "\w*"\}', text)
        self.assertEqual({shouted(name): reason for name, reason in words},
                         {name: name for name in enumerators("storage/ledger/refusal.h", "Refusal") if name != "NONE"})


if __name__ == "__main__":
    unittest.main()
