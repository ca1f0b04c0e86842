"""Wrong usage of the scripts: said at once, in words that a reader of --help knows."""

import os
import pathlib
import subprocess
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"
# What tells of the scripts' insides: a line of bash, a stack of Python, a flag that is not for people.
INSIDES = (": line ", "Traceback", "parse-only", "unbound variable")
# The exit status of wrong usage, where 1 says something else.
OTHER_STATUS = {"verify_draw.py": 2}


def run(name, *arguments):
    return subprocess.run([str(SCRIPTS / name), *arguments], capture_output=True, text=True, timeout=60, check=False)


class Usage(unittest.TestCase):
    def refuse(self, *command):
        ended = run(*command)
        self.assertEqual(ended.returncode, OTHER_STATUS.get(command[0], 1), f"{command}: {ended}")
        self.assertEqual(ended.stdout, "", command)
        for word in INSIDES:
            self.assertNotIn(word, ended.stderr, command)
        return ended.stderr

    def test_every_script_refuses_an_option_that_it_does_not_have(self):
        scripts = sorted(path.name for path in SCRIPTS.iterdir() if path.is_file() and os.access(path, os.X_OK))
        self.assertIn("simulate", scripts)
        for name in scripts:
            command = (name, "up") if name == "dev" else (name,)
            self.assertIn(f"scripts/{name}", self.refuse(*command, "--no-such-option"))

    def test_a_wrong_value_is_one_line_that_names_the_option(self):
        for command, words in ((("dev", "up", "--nodes", "0"), "scripts/dev up: argument --nodes: '0'"),
                               (("run", "--nodes", "x"), "scripts/run: argument --nodes: 'x'"),
                               (("benchmark", "nope"), "scripts/benchmark: no figure nope"),
                               (("benchmark", "--rounds", "0"), "scripts/benchmark: argument --rounds"),
                               (("benchmark", "--rows", "0"), "scripts/benchmark: argument --rows"),
                               (("compare", "--peers", "nope"), "scripts/compare: no peer nope"),
                               (("compare", "--quick", "--full"), "scripts/compare: --quick or --full"),
                               (("compare", "limiters", "--limiters", "nope"), "scripts/compare limiters: no limiter"),
                               (("compare", "limiters", "--peers", "nginx"), "scripts/compare limiters: "),
                               (("compare", "report"), "scripts/compare report: the following arguments"),
                               (("compare", "report", "/no/such"), "scripts/compare report: /no/such: "),
                               (("chaos", "--nodes", "1"), "scripts/chaos: --nodes")):
            said = self.refuse(*command)
            self.assertTrue(said.startswith(words), said)
            self.assertEqual(said.count("\n"), 1, said)
            self.assertTrue(said.endswith(f"; see scripts/{command[0]} --help\n"), said)

    def test_an_option_without_its_value_is_named(self):
        for command in (("simulate", "--seed"), ("simulate", "--jobs"), ("test", "--filter"), ("test", "--preset"),
                        ("chaos", "--bin-dir"), ("scale", "--nodes"), ("scale", "--seed", "")):
            self.assertEqual(self.refuse(*command), f"{command[0]}: {command[1]} needs a value\n")


if __name__ == "__main__":
    unittest.main()
