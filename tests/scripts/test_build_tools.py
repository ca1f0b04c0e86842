"""The tools that decide what is built and checked, and estimate how long it takes."""

import io
import unittest

import lib_path  # noqa: F401
import build
import changes
import test_report


class Build(unittest.TestCase):
    def test_reads_the_steps_that_ninja_tells(self):
        self.assertEqual(build.step_of("[3/112] Building CXX object a.o"), (3, 112))

    def test_cmakes_own_steps_and_compilers_words_are_none(self):
        self.assertIsNone(build.step_of("[0/2] Re-checking globbed directories..."))
        self.assertIsNone(build.step_of("[1/2] Re-running CMake..."))
        self.assertIsNone(build.step_of("ninja: no work to do."))
        self.assertIsNone(build.step_of("a.cc:1: error: [1/2] x"))

    def test_guesses_no_rest_from_the_first_steps(self):
        self.assertIsNone(build.left_s(4, 100, 60))
        self.assertIsNone(build.left_s(50, 100, 1))
        self.assertEqual(build.left_s(25, 100, 50), 150)

    def test_says_durations_as_people_do(self):
        self.assertEqual([build.duration(seconds) for seconds in (1, 44, 89, 90, 299)],
                         ["10 s", "40 s", "90 s", "2 min", "5 min"])

    def test_off_a_terminal_a_line_comes_now_and_then(self):
        out, now_s = io.StringIO(), [0.0]
        progress = build.Progress(out, 0.0, clock=lambda: now_s[0])
        for done in range(1, 101):
            now_s[0] = float(done)
            progress.show(done, 100)
        progress.end()
        self.assertEqual(out.getvalue().splitlines()[0], "  step 20 of 100, about 80 s left")
        self.assertEqual(len(out.getvalue().splitlines()), 5)


class FakeGit:
    """Answers by the first word of the command, and notes all commands."""

    def __init__(self, **answers):
        self.answers = answers
        self.commands = []

    def __call__(self, *arguments):
        self.commands.append(arguments)
        return self.answers[arguments[0].replace("-", "_")]


class Changes(unittest.TestCase):
    def test_the_base_is_a_day_older_than_the_newest_commit(self):
        git = FakeGit(log="1000000\n", rev_list="abc\n")
        self.assertEqual(changes.base_commit(git, {}), "abc")
        self.assertIn(f"--before={1000000 - 86400}", git.commands[-1])
        self.assertIn("--first-parent", git.commands[-1])

    def test_a_named_base_wins(self):
        git = FakeGit(rev_parse="def\n")
        self.assertEqual(changes.base_commit(git, {"TRANCHE_BASE": "v1"}), "def")

    def test_without_a_base_everything_has_changed(self):
        git = FakeGit(log="1000000\n", rev_list="\n", ls_files="a/b.cc\0c.h\0")
        self.assertEqual(changes.changed_files(git, {}), ["a/b.cc", "c.h"])

    def test_what_git_does_not_know_yet_has_changed(self):
        git = FakeGit(rev_parse="def\n", diff="quota/a.cc\0", ls_files="quota/new.cc\0")
        self.assertEqual(changes.changed_files(git, {"TRANCHE_BASE": "v1"}), ["quota/a.cc", "quota/new.cc"])

    def test_a_folder_is_not_a_prefix_of_a_name(self):
        self.assertEqual(changes.below(["quota/a.cc", "quota_b/c.cc"], ["quota"]), ["quota/a.cc"])
        self.assertEqual(changes.below(["x"], []), ["x"])


class Report(unittest.TestCase):
    XML = """<testsuite>
      <testcase name="quick" time="0.5" status="run"/>
      <testcase name="slow" time="61.25" status="run"/>
      <testcase name="broken" time="2" status="fail"/>
      <testcase name="chaos" time="0" status="notrun"/>
    </testsuite>"""

    def test_says_what_was_slow_and_what_did_not_pass(self):
        lines = test_report.report(list(test_report.results(self.XML, "asan")))
        self.assertEqual(lines[1], "  slow (asan)      61.2 s")
        self.assertIn("failed: broken (asan)", lines)
        self.assertEqual(lines[-1], "2 passed, 1 failed, 1 skipped")

    def test_says_why_a_test_failed(self):
        xml = """<testsuite><testcase name="broken" time="2" status="fail"><system-out>[ RUN      ] A.Fine
[       OK ] A.Fine (1 ms)
[ RUN      ] A.Wrong
a_test.cc:7: Failure
Expected: 1
[  FAILED  ] A.Wrong (3 ms)</system-out></testcase></testsuite>"""
        self.assertEqual(list(test_report.reasons(xml, "asan")),
                         [("broken (asan)", ["a_test.cc:7: Failure", "Expected: 1", "[  FAILED  ] A.Wrong (3 ms)"])])

    def test_shows_the_end_of_an_output_that_names_no_failure(self):
        self.assertEqual(test_report.reason("\n".join(f"line {n}" for n in range(100)))[-1], "line 99")
        self.assertEqual(test_report.reason(""), [])

    def test_bounds_what_it_shows_of_a_test(self):
        self.assertEqual(len(test_report.reason("a.cc:1: Failure\n" * 1000)), test_report.REASON_LINES)

    def test_lists_ten_at_most(self):
        lines = test_report.report([(f"t{n}", float(n), "passed") for n in range(30)])
        self.assertEqual(len(lines), 12)


if __name__ == "__main__":
    unittest.main()
