"""What scripts/test runs: a copy of it, with programs that only say that they were called."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"
SAYS_ITS_NAME = '#!/usr/bin/env bash\necho "$(basename "$0") $*" >>"$CALLS"\n'


class Deep(unittest.TestCase):
    def calls(self, *options):
        """Of scripts/test --deep, in their order."""
        with tempfile.TemporaryDirectory() as name:
            top = pathlib.Path(name)
            (top / "scripts" / "lib").mkdir(parents=True)
            for file in ("test", "lib/common.sh"):
                shutil.copy(SCRIPTS / file, top / "scripts" / file)
            for preset in ("asan", "release", "tsan"):
                (top / "build" / preset).mkdir(parents=True)
                (top / "build" / preset / "build.ninja").touch()  # so it counts as configured
            for program in ("scripts/simulate", "scripts/chaos", "bin/ctest", "bin/python3"):
                path = top / program
                path.parent.mkdir(exist_ok=True)
                path.write_text(SAYS_ITS_NAME)
                path.chmod(0o755)
            calls = top / "calls"
            environment = os.environ | {"PATH": f"{top / 'bin'}:{os.environ['PATH']}", "CALLS": str(calls)}
            subprocess.run([str(top / "scripts" / "test"), "--deep", "--no-install", *options], env=environment,
                           check=True, capture_output=True, timeout=60)
            return calls.read_text().splitlines()

    def programs(self, *options):
        return {line.split()[0] for line in self.calls(*options)}

    def test_everything(self):
        self.assertLessEqual({"ctest", "simulate", "chaos"}, self.programs())

    def test_a_selection_has_neither_seeds_nor_chaos(self):
        for option in ("--filter", "--label"):
            self.assertIn("ctest", self.programs(option, "some"))
            self.assertFalse({"simulate", "chaos"} & self.programs(option, "some"), option)


if __name__ == "__main__":
    unittest.main()
