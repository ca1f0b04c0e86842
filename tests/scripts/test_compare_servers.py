"""The stores of a comparison: how they are set up, when they serve, and that nothing of them is left."""

import contextlib
import os
import pathlib
import socket
import sys
import tempfile
import threading
import unittest
from unittest import mock

import lib_path  # noqa: F401

import compare_servers
from cluster import ClusterError


class Scratch(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)


def value_of(command, flag):
    words = [str(word) for word in command]
    return words[words.index(flag) + 1]


class Commands(Scratch):
    def test_redis_is_as_durable_as_its_peer_is_about(self):
        for peer, appendfsync in (("redis-always", "always"), ("redis-everysec", "everysec")):
            command = compare_servers.make("redis", self.folder, peer).command()
            self.assertEqual(value_of(command, "--appendfsync"), appendfsync)
            self.assertEqual(value_of(command, "--appendonly"), "yes")

    def test_redis_keeps_its_command_line(self):
        command = compare_servers.make("redis", self.folder, "redis-always").command()
        self.assertEqual(value_of(command, "--set-proc-title"), "no")

    def test_mariadb_loses_no_commit(self):
        store = compare_servers.make("mariadb", self.folder, "mariadb-atomic")
        words = [str(word) for word in store.command()]
        self.assertEqual(words[1], "--no-defaults")  # only there it is taken for what it is
        self.assertIn("--innodb-flush-log-at-trx-commit=1", words)
        self.assertIn(f"--socket={store.address}", words)
        self.assertLess(len(store.address), 100)

    def test_only_root_makes_mariadb_run_as_root(self):
        store = compare_servers.make("mariadb", self.folder, "mariadb-atomic")
        for euid, expected in ((0, True), (1000, False)):
            with mock.patch("os.geteuid", return_value=euid):
                self.assertEqual("--user=root" in store.command(), expected)

    def test_postgresql_loses_no_commit(self):
        store = compare_servers.make("postgres", self.folder, "pg-atomic")
        with mock.patch("compare_servers.postgres_programs", return_value=pathlib.Path("/programs")):
            store.require()
        command = store.command()
        self.assertEqual(str(command[0]), "/programs/postgres")
        self.assertIn("synchronous_commit=on", command)
        self.assertIn("fsync=on", command)
        port = next(part for part in command if str(part).startswith("port=")).partition("=")[2]
        self.assertIn(f"port={port} ", store.address)

    def test_a_server_that_is_not_installed_is_named(self):
        nowhere = self.folder / "nowhere"
        for name, program, package in (("mariadb", "MARIADB", "mariadb-server-core"),
                                       ("redis", "REDIS", "redis-server")):
            with (mock.patch.object(compare_servers, program, nowhere),
                  self.assertRaisesRegex(ClusterError, package),
                  compare_servers.start(name, self.folder, name)):
                self.fail("it has started")

    def test_a_url_quotes_its_password(self):
        store = compare_servers.make("rabbitmq", self.folder, "rabbitmq")
        user_file = self.folder / "user"
        user_file.write_text("tranche:a/b@c\n")
        store._servers.state["rabbitmq"] = {"address": "127.0.0.1:5672", "user_file": str(user_file)}
        self.assertEqual(store.address, "amqp://tranche:a%2Fb%40c@127.0.0.1:5672/%2F")


@contextlib.contextmanager
def listening(listener, answer):
    """Answers the first that comes."""
    def serve():
        with listener.accept()[0] as connection:
            connection.sendall(answer)
            with contextlib.suppress(ConnectionResetError):  # who has read enough does not read the rest
                connection.recv(64)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        listener.close()


class Serves(Scratch):
    def redis(self, answer):
        store = compare_servers.make("redis", self.folder, "redis-always")
        listener = socket.create_server(("127.0.0.1", 0))
        store._port = listener.getsockname()[1]
        with listening(listener, answer):
            return store.serves()

    def test_redis_answers(self):
        self.assertTrue(self.redis(b"+PONG\r\n"))

    def test_redis_that_reads_its_file_does_not_serve_yet(self):
        self.assertFalse(self.redis(b"-LOADING Redis is loading the dataset in memory\r\n"))

    def mariadb(self, answer):
        store = compare_servers.make("mariadb", self.folder, "mariadb-atomic")
        store.folder.mkdir()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(store.address)
        listener.listen()
        with listening(listener, answer):
            return store.serves()

    def test_mariadb_greets(self):
        self.assertTrue(self.mariadb(b"\x5a\0\0\0\x0a10.11"))

    def test_mariadb_that_refuses_does_not_serve(self):
        self.assertFalse(self.mariadb(b"\x17\0\0\0\xff\x10\x04Too many connections"))

    def test_nobody_does_not_serve(self):
        for name in ("redis", "mariadb"):
            self.assertFalse(compare_servers.make(name, self.folder, name).serves(), name)


class Sleeper(compare_servers.Store):
    """Serves as soon as it runs."""

    name = "sleeper"

    def command(self):
        return [sys.executable, "-c", "import signal; print('here', flush=True); signal.pause()"]

    def serves(self):
        return self.log_file.exists() and "here" in self.log_file.read_text()


class Deaf(Sleeper):
    def command(self):
        return [sys.executable, "-c", "print('no port', flush=True)"]

    def serves(self):
        return False


class Lives(Scratch):
    def test_it_ends_with_its_context_and_leaves_only_its_log(self):
        with compare_servers.running(Sleeper(self.folder)) as store:
            os.kill(store.pid, 0)
            pid = store.pid
        with self.assertRaises(ProcessLookupError):
            os.kill(pid, 0)
        self.assertEqual(list(self.folder.iterdir()), [store.log_file])

    def test_one_that_was_killed_is_no_error(self):
        with compare_servers.running(Sleeper(self.folder)) as store:
            os.kill(store.pid, 9)
        self.assertEqual(list(self.folder.iterdir()), [store.log_file])

    def test_one_that_ends_at_its_start_says_why(self):
        store = Deaf(self.folder)
        with self.assertRaisesRegex(ClusterError, "no port"), compare_servers.running(store):
            self.fail("it has started")
        self.assertEqual(list(self.folder.iterdir()), [store.log_file])

    def test_two_of_a_kind_share_nothing(self):
        with (compare_servers.running(Sleeper(self.folder)) as one,
              compare_servers.running(Sleeper(self.folder)) as other):
            self.assertNotEqual(one.folder, other.folder)
            self.assertNotEqual(one.log_file, other.log_file)


if __name__ == "__main__":
    unittest.main()
