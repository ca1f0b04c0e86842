"""scripts/verify_rank.py computes what the nodes do, and says clearly when something does not fit."""

import base64
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "verify_rank.py"
# tests/unit/server/admission/lottery_test.cc has the same.
KEY = bytes(range(32)).hex()
COMMITMENT = "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd"
RANKS = (("tv", 1, "alice", 321476234449534394), ("tv", 2, "alice", 4263119479053859609),
         ("*", 1, "alice", 2926730063174215987), ("tv", 1, "bob", 10090665809342819140),
         ("tv", 1, "J\u00fcrgen", 3744473803517786751))
# tests/unit/server/admission/room_rank_test.cc has the same.
SHUFFLED_RANKS = (("tv", 1, "alice", 160738117224767197), ("tv", 2, "alice", 2131559739526929804),
                  ("tv", 1, "bob", 5045332904671409570), ("tv", 1, "J\u00fcrgen", 1872236901758893375))
THRESHOLDS = ((1, 18446744073709), (100_000, 1844674407370955161), (500_000, 2**63),
              (999_999, 18446725626965477906), (1_000_000, 2**64 - 1))


def run(*arguments, script=SCRIPT):
    # Without the folder of the script and without packages: only the standard library is there.
    return subprocess.run([sys.executable, "-I", str(script), *map(str, arguments)], capture_output=True, text=True,
                          timeout=60, check=False)


def verify(sku="tv", number=1, user="alice", key=KEY, commitment=COMMITMENT, admitted=("--threshold", 2**64 - 1)):
    return run("--key", key, "--commitment", commitment, "--sku", sku, "--round", number, "--user", user, *admitted)


class VerifyRank(unittest.TestCase):
    def test_ranks_are_those_of_the_nodes(self):
        for sku, number, user, rank in RANKS:
            done = verify(sku, number, user)
            self.assertEqual(done.stdout.splitlines()[0], f"rank:      {rank}", done)
            self.assertEqual(done.returncode, 0)

    def test_thresholds_are_those_of_the_nodes(self):
        for per_million, threshold in THRESHOLDS:
            done = verify(admitted=("--admitted-per-million", per_million))
            self.assertEqual(done.stdout.splitlines()[1], f"threshold: {threshold}", done)

    def test_who_is_below_the_threshold_is_admitted(self):
        rank = RANKS[0][3]
        for threshold, status, word in ((rank + 1, 0, "yes"), (rank, 3, "no"), (0, 3, "no"), (2**64 - 1, 0, "yes")):
            done = verify(admitted=("--threshold", threshold))
            self.assertEqual((done.returncode, done.stdout.splitlines()[2]), (status, f"admitted:  {word}"))
        self.assertEqual(verify(admitted=("--admitted-per-million", 100_000)).returncode, 0)
        self.assertEqual(verify(user="bob", admitted=("--admitted-per-million", 100_000)).returncode, 3)

    def test_ranks_in_a_room_are_those_of_the_nodes(self):
        for sku, number, user, rank in SHUFFLED_RANKS:
            for threshold, status, word in ((rank + 1, 0, "yes"), (rank, 3, "no"), (0, 3, "no"), (2**63, 0, "yes")):
                done = verify(sku, number, user, admitted=("--threshold", threshold, "--room"))
                self.assertEqual(done.stdout.splitlines(),
                                 [f"rank:      {rank}", f"threshold: {threshold}", f"admitted:  {word}"], done)
                self.assertEqual(done.returncode, status)

    def test_a_room_admits_no_part_of_all(self):
        done = verify(admitted=("--admitted-per-million", 100_000, "--room"))
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1), done)
        self.assertIn("--room", done.stderr)

    def test_base64_is_taken_as_well(self):
        key, commitment = (base64.b64encode(bytes.fromhex(text)).decode() for text in (KEY, COMMITMENT))
        self.assertEqual(verify(key=key, commitment=commitment).stdout, verify().stdout)

    def test_a_key_that_is_not_that_of_the_commitment_tells_no_rank(self):
        done = verify(key="ff" + KEY[2:])
        self.assertEqual(done.returncode, 2)
        self.assertNotIn("rank", done.stdout)
        self.assertIn("not that of the commitment", done.stderr)

    def test_wrong_values_are_one_line_that_names_the_option(self):
        for option, done in (("--key", verify(key="00")), ("--key", verify(key="g" * 64)),
                             ("--commitment", verify(commitment="")), ("--round", verify(number=0)),
                             ("--round", verify(number="one")),
                             ("--threshold", verify(admitted=("--threshold", 2**64))),
                             ("--admitted-per-million", verify(admitted=("--admitted-per-million", 0))),
                             ("--admitted-per-million", verify(admitted=("--admitted-per-million", 1_000_001))),
                             ("--threshold", verify(admitted=()))):
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1), done)
            self.assertIn(option, done.stderr)

    def test_the_help_has_an_example_that_works(self):
        shown = run("--help").stdout
        example = shown.split("example:\n", 1)[1].split("\n\n", 1)[0].replace("\\\n", " ").split()
        self.assertEqual(example.pop(0), "verify_rank.py")
        with tempfile.TemporaryDirectory() as folder:
            alone = shutil.copy(SCRIPT, folder)
            done = run(*example, script=alone)
        self.assertEqual((done.returncode, done.stdout.splitlines()[0]), (0, f"rank:      {RANKS[0][3]}"), done)


if __name__ == "__main__":
    unittest.main()
