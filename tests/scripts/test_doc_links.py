"""The check of links, paths and names of tests in the pages finds all that lead nowhere, and only those."""

import pathlib
import tempfile
import unittest

import lib_path  # noqa: F401
import doc_links


class DocLinks(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)
        for file in ("storage/pool.h", "storage/sql/a_lock.sql", "scripts/run", "docs/life.md", "build/old/pool.cc"):
            (self.root / file).parent.mkdir(parents=True, exist_ok=True)
            (self.root / file).write_text("# One `pool`, two things: a b\n")
        self.suites = {"PoolTest": ["Holds", "HoldsOne"], "Words": ["Rhyme"]}

    def problems(self, text, page="docs/page.md"):
        (self.root / page).write_text(text)
        return [problem for _, problem in doc_links.problems(self.root / page, self.root, self.suites)]

    def test_links_to_files_folders_and_headings(self):
        for target in ("life.md", "../storage", "life.md#one-pool-two-things-a-b", "https://a.example/b", "#here"):
            self.assertEqual(self.problems(f"# Here\n[x]({target}) ![`y`]({target})"), [], target)

    def test_links_that_lead_nowhere(self):
        for target in ("gone.md", "../storage/gone.h", "life.md#gone", "#gone"):
            self.assertEqual(len(self.problems(f"# Here\n[x]({target})")), 1, target)
            self.assertEqual(len(self.problems(f"# Here\n[`x`]({target})")), 1, target)

    def test_paths_from_the_root_or_from_the_page(self):
        for word in ("storage/pool.h", "storage/pool", "storage/", "pool.h", "storage/sql/*_lock.sql", "scripts/run --keep"):
            self.assertEqual(self.problems(f"see `{word}`"), [], word)
        self.assertEqual(self.problems("see `sql/` and `sql/a_lock`", "storage/README.md"), [])

    def test_paths_that_are_not_there(self):
        for word in ("storage/gone.h", "storage/gone/", "gone.h", "storage/*_gone.sql", "scripts/gone --keep", "pool.cc"):
            self.assertEqual(len(self.problems(f"see `{word}`")), 1, word)

    def test_what_is_no_path(self):
        for word in ("either/or", "build/release/bin/x", "/nodes/17", "a.csv", "text/plain", "Suite.*", "storage/<name>"):
            self.assertEqual(self.problems(f"see `{word}`"), [], word)

    def test_of_code_only_our_commands(self):
        self.assertEqual(self.problems("```sh\nscripts/run --nodes 4  # [x](gone.md)\ncat storage/gone.h\n```"), [])
        self.assertEqual(self.problems("```sh\nscripts/gone\n```"), ["no such path: scripts/gone"])

    def test_says_the_line(self):
        (self.root / "README.md").write_text("```\n```\n\n[x](gone.md)\n")
        found = doc_links.problems(self.root / "README.md", self.root, self.suites)
        self.assertEqual([line for line, _ in found], [4])

    def test_tests_of_the_sources(self):
        (self.root / "tests").mkdir()
        (self.root / "tests/pool_test.cc").write_text(
            "TEST(PoolTest, Holds) {}\n// TEST(PoolTest, Gone)\nTEST_F(PoolTest,\n       HoldsOne) {}\n")
        (self.root / "tests/words.h").write_text("TEST_P(Words, Rhyme) {}\n")
        self.assertEqual(doc_links.cpp_tests(self.root), self.suites)

    def test_tests_that_are_there(self):
        for word in ("PoolTest.Holds", "PoolTest.*", "PoolTest.Hold*", "Words.Rhyme", "AdminService.GetSku"):
            self.assertEqual(self.problems(f"see `{word}`"), [], word)

    def test_tests_that_are_not_there(self):
        for word in ("PoolTest.Hold", "PoolTest.Gone*", "GoneTest.*", "GoneContract.Holds", "Words.Holds"):
            self.assertEqual(self.problems(f"see `{word}`"), [f"no such test: {word}"], word)


if __name__ == "__main__":
    unittest.main()
