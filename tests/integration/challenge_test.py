"""Our challenges against npm's altcha-lib, both ways: it solves and verifies ours, and we verify what it makes.

    challenge_test.py BIN_DIR
"""

import base64
import json
import os
import pathlib
import subprocess
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(sys.argv.pop(1))
sys.path.insert(0, str(ROOT / "scripts" / "lib"))

import npm  # noqa: E402

ENVIRONMENT = {**os.environ, "NODE_PATH": str(npm.install(npm.TOOLS / "altcha", {"altcha-lib": "2.8.0"}))}
KEY = bytes(range(32)).hex()
LIFETIME_S = 300


def run(*command):
    return subprocess.run([str(word) for word in command], env=ENVIRONMENT, capture_output=True, text=True, timeout=60,
                          check=True).stdout.strip()


def altcha(*words):
    return run("node", ROOT / "tests/integration/altcha_oracle.js", *words)


def now_s():
    return int(time.time())


def issue(bits, user="alice"):
    return json.loads(run(BIN / "challenge_tool", "issue", KEY, "tv", user, bits, LIFETIME_S, now_s()))


def check(solution, bits, user="alice", later_s=0):
    return run(BIN / "challenge_tool", "check", KEY, "tv", user, bits, now_s() + later_s, solution)


def made_by_altcha(parameters, **changes):
    """A challenge of the same parameters, but for these changes, with a nonce and a salt of altcha-lib."""
    wanted = {name: value for name, value in parameters.items() if name not in ("nonce", "salt")}
    return json.loads(altcha("make", SECRET, json.dumps({**wanted, **changes})))


SECRET = run(BIN / "challenge_tool", "secret", KEY)


class Challenge(unittest.TestCase):
    def test_altcha_lib_solves_and_verifies_what_we_issue(self):
        for bits in range(4, 10):
            solution = altcha("solve", json.dumps(issue(bits)))
            self.assertEqual(check(solution, bits), "ok", bits)
            verified = json.loads(altcha("verify", SECRET, solution))
            self.assertTrue(verified["verified"], (bits, verified))

    def test_both_notice_a_changed_signature(self):
        challenge = issue(4)
        challenge["signature"] = ("1" if challenge["signature"][0] == "0" else "0") + challenge["signature"][1:]
        solution = altcha("solve", json.dumps(challenge))
        self.assertEqual(check(solution, 4), "unreadable")
        self.assertTrue(json.loads(altcha("verify", SECRET, solution))["invalidSignature"])

    def test_both_notice_a_wrong_counter(self):
        solved = json.loads(base64.b64decode(altcha("solve", json.dumps(issue(8)))))
        solved["solution"]["counter"] += 1
        solution = base64.b64encode(json.dumps(solved).encode()).decode()
        self.assertEqual(check(solution, 8), "wrong")
        self.assertTrue(json.loads(altcha("verify", SECRET, solution))["invalidSolution"])

    def test_we_verify_what_altcha_lib_makes_and_solves(self):
        for bits in (4, 7, 8):
            made = made_by_altcha(issue(bits)["parameters"])
            solution = altcha("solve", json.dumps(made))
            self.assertEqual(check(solution, bits), "ok", bits)
            self.assertEqual(check(solution, bits, user="bob"), "not_for_this")
            self.assertEqual(check(solution, bits + 1), "too_easy")
            self.assertEqual(check(solution, bits, later_s=LIFETIME_S + 1), "expired")

    def test_we_take_nothing_that_we_would_not_issue(self):
        parameters = issue(8)["parameters"]
        for changes in ({"keyPrefix": "0"}, {"cost": 1}, {"keyLength": 16}):
            solution = altcha("solve", json.dumps(made_by_altcha(parameters, **changes)))
            self.assertTrue(json.loads(altcha("verify", SECRET, solution))["verified"], changes)
            self.assertEqual(check(solution, 8), "unreadable", changes)


if __name__ == "__main__":
    unittest.main(verbosity=2)
