"""The load of scripts/compare, and the processes that it strikes, without a seller."""

import os
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

import lib_path  # noqa: F401
import compare_limits
import compare_load
import compare_process
from compare_load import Follower, best_window
from compare_process import Launch, Program


class Windows(unittest.TestCase):
    def best(self, *rates):
        left = list(rates)
        found = best_window(lambda window: left.pop(0))
        return found, len(rates) - len(left)

    def test_as_many_as_help(self):
        self.assertEqual(self.best(1000, 3000, 9000), ((1024, 9000), 3))

    def test_no_more_once_it_does_not_help(self):
        self.assertEqual(self.best(3000, 2900, 9000), ((16, 3000), 2))

    def test_a_little_more_still_counts(self):
        self.assertEqual(self.best(3000, 3050, 9000), ((128, 3050), 2))

    def test_no_more_than_are_answered_soon(self):
        self.assertEqual(self.best(1000, 2000, 9000), ((128, 2000), 2))
        self.assertEqual(self.best(30, 60, 90), ((16, 30), 1))

    def test_one_that_sells_nothing(self):
        self.assertEqual(self.best(0, 0, 0), ((16, 0), 1))


class Stock(unittest.TestCase):
    def test_ten_times_as_many_claims_fill_the_time(self):
        self.assertEqual(compare_load.tail_stock(rate=10_000, duration_s=5), 3500)

    def test_a_slow_seller_sells_some(self):
        self.assertEqual(compare_load.tail_stock(rate=5, duration_s=3), compare_load.LEAST_STOCK)


def line(key, outcome):
    return f"{key}\tsku-0\tbuyer\t1\t{outcome}\t0\t1000000\t2000000\n"


class Followed(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "answers"

    def test_each_answer_once_and_only_whole_ones(self):
        follower = Follower(self.path)
        self.assertEqual(follower.new(), [])
        whole = line("a", "created")
        self.path.write_text(whole + line("b", "created")[:20])
        self.assertEqual([one.reservation_id for one in follower.new()], ["a"])
        self.path.write_text(whole + line("b", "SOLD_OUT"))
        self.assertEqual([one.outcome for one in follower.new()], ["SOLD_OUT"])
        self.assertEqual(follower.new(), [])


class Clock:
    """Time passes only where somebody sleeps."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class AwaitSold(unittest.TestCase):
    def seconds(self, stock, *answers):
        """`answers`: (second, outcome)."""
        clock, left = Clock(), sorted(answers)

        class Script:
            def new(self):
                due = [outcome for at, outcome in left if at <= clock.now]
                del left[:len(due)]
                return [compare_load.chaos_answers.parse(line("x", outcome)) for outcome in due]

        compare_load.await_sold([Script()], stock, clock, clock.sleep)
        return round(clock.now)

    def test_until_all_is_sold(self):
        self.assertEqual(self.seconds(2, (0, "created"), (5, "created"), (6, "SOLD_OUT")), 5)

    def test_units_that_come_back_late_are_waited_for(self):
        self.assertEqual(self.seconds(2, (1, "created"), (8, "created")), 8)

    def test_what_stays_is_given_up(self):
        self.assertEqual(self.seconds(2, (1, "created"), (3, "SOLD_OUT")), 1 + compare_load.QUIET_S)

    def test_what_may_be_sold_is_not_waited_for_as_long(self):
        self.assertEqual(self.seconds(2, (1, "created"), (2, "UNKNOWN")), 2 + compare_load.QUIET_IN_DOUBT_S)

    def test_a_seller_without_its_store_is_waited_for(self):
        away = [(second, "LEDGER_UNAVAILABLE") for second in range(2, 20)]
        self.assertEqual(self.seconds(2, (1, "created"), *away, (20, "created")), 20)

    def test_not_for_ever(self):
        self.assertEqual(self.seconds(1000, *((second, "created") for second in range(0, 200, 5))), compare_load.MOST_S)


SERVER = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
port = pathlib.Path(sys.argv[2])
port.with_suffix(".new").write_text(f"{child.pid}\\n")
port.with_suffix(".new").rename(port)
time.sleep(1000)
"""


class Struck(unittest.TestCase):
    """A server with a child; what it writes as its port is the child's pid."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        port_file = self.folder / "port"
        command = (sys.executable, "-c", SERVER, "--port-file", str(port_file))
        launch = Launch(command, dict(os.environ), str(self.folder))
        self.server = Program("server", launch, self.folder / "log", port_file).start()
        self.addCleanup(self.server.kill)

    def test_its_children_die_with_it(self):
        child = self.server.port
        self.assertEqual(compare_process.family([self.server.pid]), [self.server.pid, child])
        self.server.kill()
        self.assertFalse(self.server.running())
        self.assertFalse(compare_process.cluster.alive(child))

    def test_it_starts_again_as_it_was(self):
        before = self.server.pid
        adopted = Program.adopt("server", before, self.folder)
        adopted.kill()
        adopted.start()
        self.addCleanup(adopted.kill)
        self.assertNotEqual(adopted.pid, before)
        again = Launch.of(adopted.pid)
        self.assertEqual((again.command[-1], again.folder), (str(self.folder / "port"), str(self.folder)))
        self.assertIn(adopted.port, compare_process.family([adopted.pid]))

    def test_cpu_time_grows(self):
        self.assertGreater(compare_process.cpu_s([self.server.pid]), 0)
        self.server.kill()
        self.assertEqual(compare_process.cpu_s([self.server.pid]), 0)

    def test_one_that_ends_at_once_is_said(self):
        launch = Launch(("sh", "-c", "echo no such flag >&2; exit 3"), dict(os.environ), str(self.folder))
        with self.assertRaisesRegex(compare_process.ClusterError, "ended at its start with 3: no such flag"):
            Program("peer", launch, self.folder / "other.log", self.folder / "other.port").start()


class Flag(unittest.TestCase):
    def test_both_ways_to_write_it(self):
        for command in (["x", "--port-file", "p"], ["x", "--port-file=p", "y"]):
            self.assertEqual(compare_process._flag(command, "--port-file"), "p")
        self.assertIsNone(compare_process._flag(["x", "--port-file"], "--port-file"))
        self.assertIsNone(compare_process._flag(["java", "-Dx=y"], "-D"))


class Flushes(unittest.TestCase):
    def test_per_second_of_the_time_that_it_took(self):
        ticks = iter([0.0, 0.1, 0.2, 0.5])  # began, two pages, over
        with tempfile.TemporaryDirectory() as folder, mock.patch("os.fdatasync") as flush:
            rate = compare_limits.fsync_per_s(pathlib.Path(folder), 0.5, clock=lambda: next(ticks))
            self.assertEqual(os.listdir(folder), [])
        self.assertEqual((rate, flush.call_count), (4, 2))


if __name__ == "__main__":
    unittest.main()
