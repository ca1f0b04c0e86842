"""The Python and the Node of docs/clients.md, as its readers run them: cut out of the page, against real nodes and against
a server that loses answers.

    clients_page_test.py BIN_DIR
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRATCH = tempfile.TemporaryDirectory(prefix="tranche-clients-page-")  # goes with the process
FOLDER = pathlib.Path(SCRATCH.name)
os.environ["TRANCHE_BIN"] = sys.argv.pop(1)
sys.path[:0] = [str(ROOT / "scripts" / "lib"), str(FOLDER / "gen")]


def prepare():
    """The page's programs, with stubs beside them and the protos where they expect them."""
    page = (ROOT / "docs" / "clients.md").read_text()
    for language, file in (("python", "reserve.py"), ("js", "reserve.js")):
        (program,) = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
        (FOLDER / file).write_text(program)
    (FOLDER / "gen").mkdir()
    (FOLDER / "proto").symlink_to(ROOT / "proto")
    plugin = "/usr/bin/grpc_python_plugin"
    subprocess.run(
        ["protoc", "-I", "proto", "--python_out=gen", "--grpc_python_out=gen", f"--plugin=protoc-gen-grpc_python={plugin}",
         "google/rpc/status.proto", "google/rpc/error_details.proto", "tranche/v1/reservation_service.proto"],
        cwd=FOLDER, check=True)


prepare()
import cluster  # noqa: E402
import grpc  # noqa: E402
import npm  # noqa: E402
import tranchectl  # noqa: E402
from google.protobuf import any_pb2  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from tranche.v1 import reservation_service_pb2 as pb  # noqa: E402
from tranche.v1 import reservation_service_pb2_grpc as rpc  # noqa: E402


NODE_MODULES = npm.install(npm.TOOLS / "clients", {"@grpc/grpc-js": "1.14.0", "@grpc/proto-loader": "0.8.0"})
PYTHON = [sys.executable, "reserve.py"]
NODE = ["node", "reserve.js"]


def reserve(program, nodes, sku, user):
    return subprocess.run([*program, nodes, sku, user], cwd=FOLDER, capture_output=True, text=True, timeout=60,
                          check=False, env={**os.environ, "PYTHONPATH": "gen", "NODE_PATH": str(NODE_MODULES)})


def packed(message):
    detail = any_pb2.Any()
    detail.Pack(message)
    return detail


class Scripted(rpc.ReservationServiceServicer):
    """Answers claims as it was told, and remembers them."""

    def __init__(self, answers):
        self.answers = list(answers)
        self.claims = []

    def CreateReservation(self, request, context):  # noqa: N802 (gRPC's name)
        self.claims.append(request)
        reason = self.answers.pop(0)
        if reason == "OK":
            return pb.CreateReservationResponse(reservation=pb.Reservation(
                reservation_id=request.reservation_id, state=pb.RESERVATION_STATE_PENDING))
        if reason:  # an error of Tranche; otherwise one of gRPC, without details
            details = [packed(error_details_pb2.ErrorInfo(domain="tranche", reason=reason)),
                       packed(error_details_pb2.RetryInfo())]
            status = status_pb2.Status(code=grpc.StatusCode.UNAVAILABLE.value[0], details=details)
            context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
        context.abort(grpc.StatusCode.UNAVAILABLE, "as scripted")


class WhenAnswersAreLost(unittest.TestCase):
    program = PYTHON

    def reserve(self, *answers):
        service = Scripted(answers)
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=1))
        rpc.add_ReservationServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.addCleanup(server.stop, None)
        done = reserve(self.program, f"127.0.0.1:{port}", "tv", "alice")
        self.assertEqual(len({claim.reservation_id for claim in service.claims}), 1, done.stderr)
        return done, [claim.may_exist for claim in service.claims]

    def test_a_refusal_leaves_no_doubt(self):
        done, may_exist = self.reserve("EXHAUSTED_HERE", "OK")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(may_exist, [False, False])

    def test_a_lost_answer_does_and_the_doubt_stays(self):
        done, may_exist = self.reserve("", "EXHAUSTED_HERE", "OK")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(may_exist, [False, True, True])

    def test_so_does_an_unknown_outcome(self):
        _, may_exist = self.reserve("COMMIT_UNKNOWN", "OK")
        self.assertEqual(may_exist, [False, True])


class WhenAnswersToNodeAreLost(WhenAnswersAreLost):
    program = NODE


class AgainstRealNodes(unittest.TestCase):
    def test_it_reserves_until_all_is_sold(self):
        folder = cluster.make_scratch_folder("clients-page")
        self.addCleanup(cluster.remove, folder)
        process, state = cluster.start(folder, folder / "state.json", 2, 1, keep=False)
        self.addCleanup(cluster.stop, process.pid, process)
        nodes = ",".join(node["endpoint"] for node in state["nodes"])
        for sku, program in (("tv", PYTHON), ("radio", NODE)):
            tranchectl.create_sku(state, sku, 1, 49900, "EUR")
            tranchectl.wait_until_announced(state, [sku])

            first = reserve(program, nodes, sku, "alice")
            self.assertEqual(first.returncode, 0, first.stderr)
            self.assertRegex(first.stdout, r"^[0-9a-f-]{36} RESERVATION_STATE_PENDING\n$")

            second = reserve(program, nodes, sku, "bob")
            self.assertEqual(second.returncode, 1)
            self.assertRegex(second.stderr, r"^SOLD_OUT:? .*holds_may_lapse")


if __name__ == "__main__":
    unittest.main(verbosity=2)
