"""Unit tests of compare_peers.Part."""

import unittest

import lib_path  # noqa: F401
import compare_peers


class Stores:
    """Fail so many times."""

    def __init__(self, fails):
        self.fails, self.asked = fails, 0

    def count(self):
        self.asked += 1
        if self.asked <= self.fails:
            raise RuntimeError("not yet accepting connections")


class Program:
    name = "postgres"


class AwaitBack(unittest.TestCase):
    def test_until_the_stores_answer(self):
        stores = Stores(fails=3)
        compare_peers.Part(Program(), stores.count).await_back(clock=lambda: 0, sleep=lambda _: None)
        self.assertEqual(stores.asked, 4)

    def test_not_for_ever(self):
        times = iter(range(0, 1000, 20))
        with self.assertRaisesRegex(RuntimeError, "not yet accepting"):
            compare_peers.Part(Program(), Stores(fails=1000).count).await_back(clock=lambda: next(times),
                                                                              sleep=lambda _: None)


if __name__ == "__main__":
    unittest.main()
