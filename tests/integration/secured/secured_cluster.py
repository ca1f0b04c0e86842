"""The secured cluster that all tests share, and tranchectl, tranche-load, psql and a receiver of messages around it.

Everything that a command prints is kept, to be searched for secrets.
"""

import http.server
import os
import pathlib
import secrets
import socket
import subprocess
import sys
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))

import authority  # noqa: E402
import chaos_zookeeper  # noqa: E402
import cluster  # noqa: E402
import security  # noqa: E402
import tranchectl  # noqa: E402

TIMEOUT_S = 60
BUYERS, OPERATORS = "endpoint", "admin"  # the doors of a node, as in the cluster's state


class Receiver:
    """Takes the messages. It refuses the first, so that the worker has something to complain about."""

    def __init__(self):
        refusals = iter((503,))

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # noqa: N802 (the base class's name)
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(next(refusals, 200))
                self.end_headers()

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hooks/tranche"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Cluster:
    """Two nodes, a balancer, and a worker with a webhook. Goes when the module's tests are done."""

    def __init__(self):
        self.folder = cluster.make_scratch_folder("secured")
        unittest.addModuleCleanup(cluster.remove, self.folder)
        self.authority = authority.Authority(self.folder / "authority")
        self.secured = security.Security(self.folder / "security").make(self.authority)
        self.outputs = []
        self.webhook_secret = secrets.token_hex(32)
        secret_file = self.secured.folder / "shop.secret"
        security.write_secret(secret_file, self.webhook_secret)
        receiver = Receiver()
        unittest.addModuleCleanup(receiver.stop)
        sink = ["--sink", f"shop=webhook:{receiver.url}", "--sink-secret-file", f"shop={secret_file}"]
        process, self.state = cluster.start(self.folder, self.folder / "state.json", 2, 1, keep=False, metrics=True,
                                            admin_ports=True, secured=self.secured, worker_args=sink)
        unittest.addModuleCleanup(cluster.stop, process.pid, process)

    def keep(self, *texts):
        self.outputs += [text for text in texts if text]

    def ctl(self, principal, *args, by_token=False):
        """How tranchectl ended."""
        done = tranchectl.run(self.state, *args, principal=principal, by_token=by_token)
        self.keep(done.stdout, done.stderr)
        return done

    def create_sku(self, sku, stock):
        done = self.ctl("operator", "sku", "create", sku, "--stock", stock, "--price", "499.00", "--currency", "EUR")
        assert done.returncode == 0, done.stderr
        tranchectl.wait_until_announced(self.state, [sku])

    def run(self, program, *args, **environment):
        """How it ended. `environment`: more variables."""
        done = subprocess.run([str(part) for part in (program, *args)], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, env={**cluster.environment(), **environment}, timeout=TIMEOUT_S)
        self.keep(done.stdout, done.stderr)
        return done

    def psql(self, dsn, password):
        return self.run("psql", "-X", "-A", "-t", "-c", "SELECT current_user", dsn, PGPASSWORD=password)

    def load(self, principal, sku, *args, by_token=False):
        """The command tranche-load."""
        command = [cluster.BIN / "tranche-load", "--endpoints", security.endpoints(self.state, principal), "--sku", sku,
                   "--no-progress", *self.secured.client_flags(principal, by_token), *args]
        return [str(part) for part in command]

    def zookeeper_auth(self):
        return self.secured.zookeeper_auth_file.read_text().strip()

    def zookeeper(self, auth=None):
        """A session; `auth`: USER:PASSWORD."""
        host, _, port = self.state["zookeeper"]["address"].rpartition(":")
        return chaos_zookeeper.Session("zookeeper", lambda: socket.create_connection((host, int(port)), TIMEOUT_S), auth)

    def token_of(self, principal):
        return self.secured.token_file(principal).read_text().strip()

    def postgres_password(self):
        return self.secured.postgres_password_file.read_text().strip()


def make_stubs(folder):
    """gRPC's Python of the API; afterwards, tranche.v1 can be imported."""
    os.makedirs(folder)
    files = [f"google/rpc/{name}.proto" for name in ("status", "error_details")]
    files += [str(file.relative_to(ROOT / "proto")) for file in (ROOT / "proto" / "tranche" / "v1").glob("*.proto")]
    subprocess.run(["protoc", "-I", "proto", f"--python_out={folder}", f"--grpc_python_out={folder}",
                    "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin", *files], cwd=ROOT, check=True)
    sys.path.insert(0, str(folder))
