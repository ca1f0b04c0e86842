"""RabbitMQ and consumers beside a private cluster: their files, how they are named, found and ended."""

import contextlib
import io
import os
import pathlib
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import unittest
from unittest import mock

import lib_path  # noqa: F401

import cluster
import dev
import queue_servers
import rabbitmq

NODE = "tranche@10.77.0.51"
PORTS = {"amqp": 5672, "dist": 25672, "epmd": 4369}


class Files(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.user_file = rabbitmq.make_user_file(self.folder / "queue.user")
        self.server = rabbitmq.Rabbitmq(self.folder / "broker", NODE, PORTS, "cookie")
        self.server.write(self.user_file, [NODE, "tranche@10.77.0.52"])

    def test_it_has_the_user_of_the_file_and_knows_the_others(self):
        settings = dict(line.split(" = ") for line in (self.folder / "broker/rabbitmq.conf").read_text().splitlines())
        self.assertEqual(f"{settings['default_user']}:{settings['default_pass']}\n", self.user_file.read_text())
        self.assertEqual(settings["listeners.tcp.one"], "10.77.0.51:5672")
        self.assertEqual(settings["cluster_formation.classic_config.nodes.2"], "tranche@10.77.0.52")

    def test_only_we_may_read_its_secrets(self):
        for file in (self.user_file, self.folder / "broker/rabbitmq.conf", self.folder / "broker/.erlang.cookie"):
            self.assertEqual(stat.S_IMODE(file.stat().st_mode) & 0o077, 0, file)

    def test_nothing_of_the_machine_s_own_service_is_used(self):
        variables = self.server.environment
        for name in ("HOME", "RABBITMQ_CONF_ENV_FILE", "RABBITMQ_CONFIG_FILE", "RABBITMQ_ADVANCED_CONFIG_FILE",
                     "RABBITMQ_ENABLED_PLUGINS_FILE", "RABBITMQ_MNESIA_BASE", "RABBITMQ_LOG_BASE", "RABBITMQ_PID_FILE"):
            self.assertTrue(variables[name].startswith(str(self.folder)), name)
        self.assertIn("{10,77,0,51}", variables["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"])

    def test_its_commands_are_run_where_it_is(self):
        with mock.patch("subprocess.run", return_value=subprocess.CompletedProcess([], 0, "done", "")) as run:
            self.server.set_memory_alarm(True, wrap=lambda command: ["on-host", *command])
        words = run.call_args.args[0]
        self.assertEqual(words[:2], ["on-host", "env"])
        self.assertIn(f"HOME={self.folder / 'broker'}", words)
        self.assertEqual(words[-2:], ["set_vm_memory_high_watermark", "0"])

    def test_a_command_that_fails_says_why(self):
        with (mock.patch("subprocess.run", return_value=subprocess.CompletedProcess([], 69, "", "no node\n")),
              self.assertRaisesRegex(cluster.ClusterError, "set_vm_memory_high_watermark 0.4: no node")):
            self.server.set_memory_alarm(False)


class Serves(unittest.TestCase):
    def serves(self, answer):
        """Of a server that answers so; None: that nobody runs."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]

            def serve():
                with listener.accept()[0] as connection:
                    connection.recv(8)
                    connection.sendall(answer)

            thread = threading.Thread(target=serve)
            if answer is not None:
                thread.start()
            else:
                listener.close()
            server = rabbitmq.Rabbitmq("/none", "tranche@127.0.0.1", PORTS | {"amqp": port}, "")
            found = server.serves()
            if answer is not None:
                thread.join()
            return found

    def test_a_broker_begins_with_a_method(self):
        self.assertTrue(self.serves(b"\x01\0\0"))

    def test_a_broker_of_another_protocol_says_which(self):
        self.assertFalse(self.serves(b"AMQP\0\0\x09\x01"))

    def test_one_that_closes_does_not_serve_yet(self):
        self.assertFalse(self.serves(b""))

    def test_nobody_does_not_serve(self):
        self.assertFalse(self.serves(None))


def start(*command):
    return subprocess.Popen([sys.executable, "-c", *command], stdout=subprocess.PIPE, text=True)


class Ends(unittest.TestCase):
    def process(self, program):
        child = start(program)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        child.stdout.readline()
        return child, {"pid": child.pid, "birth": queue_servers.birth(child.pid)}

    def test_a_process_is_asked(self):
        child, process = self.process("print(flush=True); import signal; signal.pause()")
        self.assertTrue(queue_servers.runs(process))
        queue_servers.end(process)
        self.assertEqual(child.wait(), -signal.SIGTERM)
        self.assertFalse(queue_servers.runs(process))

    def test_and_killed_if_it_does_not_listen(self):
        child, process = self.process("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
                                      "print(flush=True); [signal.pause() for _ in iter(int, 1)]")
        queue_servers.end(process, timeout_s=0.1)
        self.assertEqual(child.wait(), -signal.SIGKILL)

    def test_somebody_else_with_that_pid_is_left_alone(self):
        child, process = self.process("print(flush=True); import signal; signal.pause()")
        queue_servers.end(process | {"birth": process["birth"] - 1})
        self.assertIsNone(child.poll())

    def test_who_is_gone_does_not_run(self):
        child, process = self.process("print(flush=True)")
        child.wait()
        self.assertFalse(queue_servers.runs(process))
        queue_servers.end(process)


class State(unittest.TestCase):
    STATE = {"pid": os.getpid(), "dir": "/none", "nodes": [{"name": "node-1"}], "postgres": {"log_file": "p"},
             "zookeeper": {"log_file": "z"}}
    QUEUE = {"rabbitmq": {"log_file": "r"}, "consumers": [{"name": "consumer-1"}]}

    def test_consumers_are_servers_of_ours(self):
        self.assertEqual([one["name"] for one in cluster.servers(self.STATE | self.QUEUE)], ["consumer-1", "node-1"])
        self.assertEqual(len(cluster.servers(self.STATE)), 1)

    def test_the_broker_has_a_log(self):
        self.assertEqual([one["log_file"] for one in cluster.backends(self.STATE | self.QUEUE)], ["p", "z", "r"])
        self.assertEqual(len(cluster.backends(self.STATE)), 2)

    def test_it_is_written_whole(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "state.json"
            queue_servers.add_to_file(self.STATE | self.QUEUE, file)
            self.assertEqual(cluster.read_state(file), self.STATE | self.QUEUE)
            self.assertEqual(list(pathlib.Path(folder).iterdir()), [file])

    def test_a_cluster_of_another_kind_is_not_taken(self):
        for state, wanted, words in ((self.STATE, ["--queue"], "without --queue"),
                                     (self.STATE | self.QUEUE, [], "with --queue"),
                                     (self.STATE | {"secure": "/folder"}, [], "with --secure")):
            with self.assertRaisesRegex(cluster.ClusterError, words):
                dev.refuse_another_kind(state, dev.parse_options(["up", *wanted]))
        dev.refuse_another_kind(self.STATE | self.QUEUE, dev.parse_options(["up", "--queue"]))


class Dev(unittest.TestCase):
    """In which order scripts/dev starts and ends things."""

    def start(self, fails=None):
        """What was done, in its order. `fails`: the step that does."""
        done = []

        def step(name, result=None):
            def do(*_, **__):
                done.append(name)
                if name == fails:
                    raise cluster.ClusterError(name)
                return result
            return do

        process, state = mock.Mock(pid=7), {"pid": 7}
        options = dev.parse_options(["up", "--queue", "--sku", "tv=10"])
        with (mock.patch.object(queue_servers.QueueServers, "start_broker", step("broker")),
              mock.patch.object(queue_servers.QueueServers, "queue_args", lambda self: ["--queue-broker", "b"]),
              mock.patch.object(queue_servers.QueueServers, "stop_consumers", step("stop consumers")),
              mock.patch.object(queue_servers.QueueServers, "stop_all", step("stop all")),
              mock.patch("dev.begin_to_queue", step("consumers")),
              mock.patch("cluster.start", step("cluster", (process, state))),
              mock.patch("cluster.stop", step("stop cluster")), mock.patch("cluster.remove", step("remove")),
              mock.patch("tranchectl.create_sku", step("sku")), mock.patch("tranchectl.wait_until_announced"),
              mock.patch("dev.STATE_FILE", mock.Mock()),
              contextlib.redirect_stdout(io.StringIO())):
            try:
                dev.start(options, pathlib.Path("/none"))
            except cluster.ClusterError:
                self.assertIsNotNone(fails)
        return done

    def test_the_broker_comes_first(self):
        self.assertEqual(self.start(), ["broker", "cluster", "consumers", "sku"])

    def test_what_fails_is_undone_from_the_end(self):
        self.assertEqual(self.start("sku")[4:], ["stop consumers", "stop cluster", "stop all", "remove"])
        self.assertEqual(self.start("cluster")[2:], ["stop all", "remove"])
        self.assertEqual(self.start("broker")[1:], ["stop all", "remove"])


if __name__ == "__main__":
    unittest.main()
