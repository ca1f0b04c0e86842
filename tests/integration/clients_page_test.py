"""The Python and the Node of docs/clients.md, as its readers run them: cut out of the page, against real nodes and
against a server that loses answers. The program of docs/groups.md. And the line of docs/reservations.md with which
Stripe's library verifies messages.

    clients_page_test.py BIN_DIR
"""

import concurrent.futures
import json
import os
import pathlib
import re
import select
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRATCH = tempfile.TemporaryDirectory(prefix="tranche-clients-page-")  # goes with the process
FOLDER = pathlib.Path(SCRATCH.name)
os.environ["TRANCHE_BIN"] = sys.argv.pop(1)
sys.path[:0] = [str(ROOT / "scripts" / "lib"), str(ROOT / "tests" / "integration" / "pages")]

from page_commands import blocks, code_in_text, commands  # noqa: E402

PAGE, MESSAGES_PAGE, GROUPS_PAGE = "docs/clients.md", "docs/reservations.md", "docs/groups.md"
# What the page's commands are about; the tests have their own.
EXAMPLE = "10.0.0.1:7400,10.0.0.2:7400 tv alice"
# Where the page's programs have defined all that they use.
BEGIN_OF_MAIN = "\ntry:\n    reservation = "
BEGIN_OF_NODES_MAIN = "\nconst client = "
# Debian's python3-grpcio is for no other interpreter than this one.
ENVIRONMENT = {**os.environ, "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}
VERIFIED_TIMEOUT_S = 60


def entering_program():
    """The page's program, which enters the sale first and prints what it would tell the buyer's page."""
    (program,) = blocks(PAGE, ("python",))
    (enter,) = (block for block in blocks(PAGE, ("py",)) if "def enter(" in block)
    (wait,) = (block for block in blocks(PAGE, ("py",)) if "def wait_for_turn(" in block)
    definitions, main, _ = program.partition(BEGIN_OF_MAIN)
    assert main, "the page's program has another form"
    return f"""{definitions}
{enter}
{wait}
import json
channel = connect(sys.argv[1])
told = (wait_for_turn(door_of(channel), *sys.argv[3:5], time.time() + float(sys.argv[5]), *sys.argv[6:])
        if sys.argv[2] == "--wait" else enter(door_of(channel), *sys.argv[2:]))
if told.get("token"):
    told["reserved"] = reserve(
        rpc.ReservationServiceStub(channel), sys.argv[2], sys.argv[3], str(uuid.uuid4()), told["token"]).sku_id
print(json.dumps(told))
"""


def nodes_entering_program():
    """The same in Node, which says times in seconds here, as Python does."""
    (program,) = blocks(PAGE, ("js",))
    (enter,) = (block for block in blocks(PAGE, ("javascript",)) if "function enter(" in block)
    definitions, main, _ = program.partition(BEGIN_OF_NODES_MAIN)
    assert main, "the page's program has another form"
    return f"""{definitions}
{enter}
const [nodes, sku, user, ...words] = process.argv.slice(2);
const door = connect(nodes, FrontDoorService);
const client = connect(nodes, ReservationService);
(async () => {{
  const told = await enter(door, sku, user, ...words);
  if (told.token) {{
    const claim = await reserve(client, sku, user, randomUUID(), {{purchase_token: told.token}});
    told.reserved = claim.sku_id;
  }}
  for (const name of ['retry_after', 'expected_wait']) {{
    if (!(`${{name}}_ms` in told)) continue;
    told[`${{name}}_s`] = told[`${{name}}_ms`] / 1000;
    delete told[`${{name}}_ms`];
  }}
  console.log(JSON.stringify(told));
}})().finally(() => [door, client].forEach(one => one.close()));
"""


def queueing_program(joins):
    """The page's program, with what it says of claims that are queued: prints what became of one, or of one that joins
    a group."""
    (program,) = blocks(PAGE, ("python",))
    (joining,) = (block for block in blocks(PAGE, ("py",)) if "def join_group(" in block)
    (decision,) = (block for block in blocks(PAGE, ("py",)) if "def decision(" in block)
    definitions, main, _ = program.partition(BEGIN_OF_MAIN)
    assert main, "the page's program has another form"
    return f"""{definitions}
{joining}
{decision}
channel, new_id = connect(sys.argv[1]), str(uuid.uuid4())
stub, groups = rpc.ReservationServiceStub(channel), group_rpc.GroupServiceStub(channel)
if {joins}:
    answer = join_group(groups, "tv", "a-group", "alice", new_id, accept_queued=True)
else:
    answer = reserve(stub, "tv", "alice", new_id, accept_queued=True)
reservation, reason = decision(stub, answer, time.time() + float(sys.argv[2]), lambda ticket: print("kept", ticket))
print(reservation.reservation_id if reservation else reason)
"""


def nodes_queueing_program(joins):
    """The same in Node."""
    (program,) = blocks(PAGE, ("js",))
    (joining,) = (block for block in blocks(PAGE, ("javascript",)) if "const joinGroup = " in block)
    (decision,) = (block for block in blocks(PAGE, ("javascript",)) if "function decision(" in block)
    definitions, main, _ = program.partition(BEGIN_OF_NODES_MAIN)
    assert main, "the page's program has another form"
    return f"""{definitions}
{joining}
{decision}
const client = connect(process.argv[2], ReservationService);
const groups = connect(process.argv[2], GroupService);
(async () => {{
  const answer = await ({str(joins).lower()}
      ? joinGroup(groups, 'tv', 'a-group', 'alice', randomUUID(), {{accept_queued: true}})
      : reserve(client, 'tv', 'alice', randomUUID(), {{accept_queued: true}}));
  const until = Date.now() + 1000 * Number(process.argv[3]);
  const told = await decision(client, answer, until, ticket => console.log('kept', ticket));
  console.log(told.reservation?.reservation_id ?? told.reason ?? 'None');
}})().finally(() => [groups, client].forEach(one => one.close()));
"""


def grouping_program():
    """The page's program, with what it says of groups: two buyers fill one. Prints what they are told, as JSON."""
    (program,) = blocks(PAGE, ("python",))
    (joining,) = (block for block in blocks(PAGE, ("py",)) if "def join_group(" in block)
    definitions, main, _ = program.partition(BEGIN_OF_MAIN)
    assert main, "the page's program has another form"
    return f"""{definitions}
{joining}
import json
channel = connect(sys.argv[1])
groups, stub = group_rpc.GroupServiceStub(channel), rpc.ReservationServiceStub(channel)
sku, offer, group_id = *sys.argv[2:4], str(uuid.uuid4())
first = open_group(groups, sku, offer, "alice", group_id, str(uuid.uuid4()))
second = join_group(groups, sku, group_id, "bob", str(uuid.uuid4()))
told = {{"amounts": [first.amount_minor, second.amount_minor],
        "paid": [pay(stub, held, held.reservation_id) for held in (first, second)]}}
states = [group.state for group in watch(groups, sku, group_id)]
told["last"] = group_pb.GroupState.Name(states[-1])
try:
    join_group(groups, sku, group_id, "carol", str(uuid.uuid4()))
except grpc.RpcError as error:
    told["carol"] = reason_of(error)[0]
print(json.dumps(told))
"""


def nodes_grouping_program():
    """The same in Node, whose amounts are strings."""
    (program,) = blocks(PAGE, ("js",))
    (joining,) = (block for block in blocks(PAGE, ("javascript",)) if "const joinGroup = " in block)
    definitions, main, _ = program.partition(BEGIN_OF_NODES_MAIN)
    assert main, "the page's program has another form"
    return f"""{definitions}
{joining}
const [nodes, sku, offer] = process.argv.slice(2);
const groups = connect(nodes, GroupService);
const client = connect(nodes, ReservationService);
(async () => {{
  const id = randomUUID();
  const first = await openGroup(groups, sku, offer, 'alice', id, randomUUID());
  const second = await joinGroup(groups, sku, id, 'bob', randomUUID());
  const told = {{amounts: [first, second].map(held => Number(held.amount_minor)), paid: []}};
  for (const held of [first, second]) told.paid.push(await pay(client, held, held.reservation_id));
  await watch(groups, sku, id, ({{state}}) => told.last = state);
  await joinGroup(groups, sku, id, 'carol', randomUUID()).catch(error => told.carol = reasonOf(error).reason);
  console.log(JSON.stringify(told));
}})().finally(() => [groups, client].forEach(one => one.close()));
"""


def prepare():
    """Runs the page's commands up to those that start its programs, and returns these: Python's and Node's."""
    for language, file in (("python", "reserve.py"), ("js", "reserve.js")):
        (program,) = blocks(PAGE, (language,))
        (FOLDER / file).write_text(program)
    (operate,) = blocks(PAGE, ("python3",))
    (FOLDER / "operate.py").write_text(operate)
    (FOLDER / "enter.py").write_text(entering_program())
    (FOLDER / "enter.js").write_text(nodes_entering_program())
    (FOLDER / "decide.py").write_text(queueing_program(joins=False))
    (FOLDER / "decide.js").write_text(nodes_queueing_program(joins=False))
    (FOLDER / "decide_join.py").write_text(queueing_program(joins=True))
    (FOLDER / "decide_join.js").write_text(nodes_queueing_program(joins=True))
    (FOLDER / "group.py").write_text(grouping_program())
    (FOLDER / "group.js").write_text(nodes_grouping_program())
    (FOLDER / "proto").symlink_to(ROOT / "proto")
    for_python, _for_go = blocks(PAGE)
    *stubs, python = commands(for_python)
    for command in stubs:
        subprocess.run(["bash", "-c", command], cwd=FOLDER, env=ENVIRONMENT, check=True)
    (node,) = [span for span in code_in_text(PAGE) if span.startswith("node reserve.js ")]
    return python, node


PYTHON, NODE = prepare()
sys.path.insert(0, str(FOLDER / "gen"))
import cluster  # noqa: E402
import grpc  # noqa: E402
import npm  # noqa: E402
import tranchectl  # noqa: E402
from google.protobuf import any_pb2  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from tranche.v1 import front_door_service_pb2 as door_pb  # noqa: E402
from tranche.v1 import front_door_service_pb2_grpc as door_rpc  # noqa: E402
from tranche.v1 import group_service_pb2 as group_pb  # noqa: E402
from tranche.v1 import group_service_pb2_grpc as group_rpc  # noqa: E402
from tranche.v1 import reservation_service_pb2 as pb  # noqa: E402
from tranche.v1 import reservation_service_pb2_grpc as rpc  # noqa: E402

ENVIRONMENT["NODE_PATH"] = str(npm.install(
    npm.TOOLS / "clients", {"@grpc/grpc-js": "1.14.0", "@grpc/proto-loader": "0.8.0", "stripe": "22.6.2"}))


def reserve(command, nodes, sku, user):
    command = command.replace(EXAMPLE, f"{nodes} {sku} {user}")
    assert nodes in command, command
    return subprocess.run(["bash", "-c", command], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False,
                          env=ENVIRONMENT)


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


def refused_with(reason):
    """The decision of a queued claim that was refused."""
    return pb.GetClaimResponse(refused=status_pb2.Status(
        code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0],
        details=[packed(error_details_pb2.ErrorInfo(domain="tranche", reason=reason))]))


QUEUED = pb.QueuedClaim(ticket="the-ticket")
QUEUED.poll_after.FromMilliseconds(1)


class Queueing(rpc.ReservationServiceServicer):
    """Queues each claim that accepts it, and tells what became of it as it was told; None: an error of gRPC; the name
    of a reason: that error."""

    def __init__(self, outcomes):
        self.outcomes = list(outcomes)
        self.tickets = []

    def CreateReservation(self, request, context):  # noqa: N802 (gRPC's name)
        if not request.accept_queued:
            return pb.CreateReservationResponse(reservation=pb.Reservation(reservation_id="at once"))
        return pb.CreateReservationResponse(queued=QUEUED)

    def GetClaim(self, request, context):  # noqa: N802 (gRPC's name)
        self.tickets.append(request.ticket)
        outcome = self.outcomes.pop(0)
        if outcome is None:
            context.abort(grpc.StatusCode.INTERNAL, "as scripted")
        if isinstance(outcome, str):
            details = [packed(error_details_pb2.ErrorInfo(domain="tranche", reason=outcome))]
            status = status_pb2.Status(code=grpc.StatusCode.INVALID_ARGUMENT.value[0], details=details)
            context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "as scripted")
        return outcome


class QueueingGroups(group_rpc.GroupServiceServicer):
    """Queues each join that accepts it."""

    def JoinGroup(self, request, context):  # noqa: N802 (gRPC's name)
        if not request.accept_queued:
            return group_pb.JoinGroupResponse(reservation=pb.Reservation(reservation_id="at once"))
        return group_pb.JoinGroupResponse(queued=QUEUED)


class WhenClaimsAreQueued(unittest.TestCase):
    program = (sys.executable, "decide.py")
    queued = pb.GetClaimResponse(queued=QUEUED)

    def buy(self, *outcomes, until_s=60):
        service = Queueing(outcomes)
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=1))
        rpc.add_ReservationServiceServicer_to_server(service, server)
        group_rpc.add_GroupServiceServicer_to_server(QueueingGroups(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.addCleanup(server.stop, None)
        done = subprocess.run([*self.program, f"127.0.0.1:{port}", str(until_s)], cwd=FOLDER, capture_output=True,
                              text=True, timeout=60, check=False, env={**ENVIRONMENT, "PYTHONPATH": "gen"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(set(service.tickets) - {"the-ticket"}, set())
        return done.stdout.splitlines(), len(service.tickets)

    def test_the_decision_is_waited_for(self):
        sold = pb.GetClaimResponse(created=pb.CreateReservationResponse(
            reservation=pb.Reservation(reservation_id="mine")))
        self.assertEqual(self.buy(self.queued, None, sold), (["kept the-ticket", "mine"], 3))

    def test_another_node_may_read_the_ticket(self):
        self.assertEqual(self.buy("CLAIM_TICKET_INVALID", refused_with("SOLD_OUT")),
                         (["kept the-ticket", "SOLD_OUT"], 2))

    def test_a_refusal_is_told_with_its_reason(self):
        self.assertEqual(self.buy(self.queued, refused_with("SOLD_OUT")), (["kept the-ticket", "SOLD_OUT"], 2))

    def test_the_wait_has_an_end(self):
        told, asked = self.buy(*[self.queued] * 10, until_s=0.2)
        self.assertEqual(told, ["kept the-ticket", "None"])
        self.assertGreater(asked, 0)


class WhenNodesClaimsAreQueued(WhenClaimsAreQueued):
    program = ("node", "decide.js")


class WhenJoinsAreQueued(WhenClaimsAreQueued):
    program = (sys.executable, "decide_join.py")


class WhenNodesJoinsAreQueued(WhenClaimsAreQueued):
    program = ("node", "decide_join.js")


WITH_PYTHON, WITH_NODE = (sys.executable, "enter.py"), ("node", "enter.js")


def enter(nodes, *words, program=WITH_PYTHON):
    """What the page's function would tell the buyer's page."""
    done = subprocess.run([*program, nodes, *words], cwd=FOLDER, capture_output=True, text=True, timeout=60,
                          check=False, env={**ENVIRONMENT, "PYTHONPATH": "gen"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class EnteringASale(unittest.TestCase):
    """Against a front door that answers as it was told."""

    program = WITH_PYTHON

    def enter(self, answer, *words, code=grpc.StatusCode.RESOURCE_EXHAUSTED):
        requests = []

        class Door(door_rpc.FrontDoorServiceServicer):
            def EnterSale(self, request, context):  # noqa: N802 (gRPC's name)
                requests.append(request)
                if isinstance(answer, door_pb.EnterSaleResponse):
                    return answer
                if answer is not None:  # otherwise an error of gRPC, without details
                    context.set_trailing_metadata([("grpc-status-details-bin", answer.SerializeToString())])
                context.abort(code, "as scripted")

        server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=1))
        door_rpc.add_FrontDoorServiceServicer_to_server(Door(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.addCleanup(server.stop, None)
        told = enter(f"127.0.0.1:{port}", "tv", "alice", "203.0.113.7", *words, program=self.program)
        # gRPC itself repeats what is UNAVAILABLE.
        request = requests[0]
        if code != grpc.StatusCode.UNAVAILABLE:
            self.assertEqual(len(requests), 1)
        return told, request

    def test_who_has_to_wait_is_told_how_long(self):
        not_admitted = door_pb.EnterSaleResponse()
        not_admitted.retry_after.FromMilliseconds(20500)
        told, request = self.enter(not_admitted)
        self.assertEqual(told, {"retry_after_s": 20.5})
        self.assertEqual((request.sku_id, request.user_id, request.buyer_address, request.challenge_solution),
                         ("tv", "alice", "203.0.113.7", ""))

    def test_who_waits_in_a_room_is_told_their_place_and_keeps_it(self):
        waits = door_pb.EnterSaleResponse()
        waits.retry_after.FromMilliseconds(2500)
        waits.place.ticket = "the-next-ticket"
        told, request = self.enter(waits, "", "the-last-ticket")
        self.assertEqual(told, {"retry_after_s": 2.5, "ticket": "the-next-ticket", "in_room": True},
                         "the rest is not known")
        self.assertEqual(request.waiting_ticket, "the-last-ticket")
        waits.place.ahead = 0
        waits.place.expected_wait.FromMilliseconds(1500)
        told, request = self.enter(waits)
        self.assertEqual(told, {"retry_after_s": 2.5, "ticket": "the-next-ticket", "in_room": True, "ahead": 0,
                                "expected_wait_s": 1.5})
        self.assertEqual(request.waiting_ticket, "")

    def test_who_waits_is_told_why_nobody_is_let_in(self):
        waits = door_pb.EnterSaleResponse()
        waits.retry_after.FromMilliseconds(20000)
        waits.place.ticket = "the-next-ticket"
        waits.place.sale_refusal = "SALE_PAUSED"
        waits.place.sale_refusal_text = "We are back soon."
        self.assertEqual(self.enter(waits)[0], {
            "retry_after_s": 20, "ticket": "the-next-ticket", "in_room": True, "sale_refusal": "SALE_PAUSED",
            "sale_refusal_text": "We are back soon."})

    def test_who_is_let_in_keeps_the_ticket(self):
        let_in = door_pb.EnterSaleResponse(admitted=True)
        let_in.place.ticket = "the-next-ticket"
        self.assertEqual(self.enter(let_in)[0], {"token": "", "ticket": "the-next-ticket", "in_room": True})

    def test_a_challenge_in_a_room_does_not_cost_the_place(self):
        asked = door_pb.EnterSaleResponse(admitted=True)
        asked.challenge.altcha = "{}"
        asked.place.ticket = "the-next-ticket"
        self.assertEqual(self.enter(asked)[0],
                         {"challenge": "{}", "problem": "", "ticket": "the-next-ticket", "in_room": True})

    def test_a_rate_limit_is_passed_on_after_one_try(self):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(700)
        limited = status_pb2.Status(code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], details=[
            packed(error_details_pb2.ErrorInfo(domain="tranche", reason="RATE_LIMITED")), packed(retry)])
        told, _ = self.enter(limited)
        self.assertEqual(told, {"retry_after_s": 0.7})

    def test_what_passes_does_not_end_the_waiting(self):
        empty_here = status_pb2.Status(code=grpc.StatusCode.UNAVAILABLE.value[0], details=[
            packed(error_details_pb2.ErrorInfo(domain="tranche", reason="EXHAUSTED_HERE"))])
        for what, answer, code in (("no details", None, grpc.StatusCode.INTERNAL),
                                   ("EXHAUSTED_HERE", empty_here, grpc.StatusCode.UNAVAILABLE)):
            with self.subTest(what):
                told, _ = self.enter(answer, "", "the-last-ticket", code=code)
                self.assertEqual(set(told), {"retry_after_s"})
                self.assertTrue(5 <= told["retry_after_s"] <= 10, told)

    def test_what_is_final_ends_it(self):
        sold_out = status_pb2.Status(code=grpc.StatusCode.FAILED_PRECONDITION.value[0], details=[
            packed(error_details_pb2.ErrorInfo(domain="tranche", reason="SOLD_OUT"))])
        with self.assertRaisesRegex(AssertionError, "as scripted"):  # what the program ended with
            self.enter(sold_out, code=grpc.StatusCode.FAILED_PRECONDITION)

    def test_a_challenge_goes_to_the_page_and_its_solution_comes_back(self):
        asked = door_pb.EnterSaleResponse(admitted=True, challenge_problem="expired")
        asked.challenge.altcha = "{}"
        told, request = self.enter(asked, "solved")
        self.assertEqual(told, {"challenge": "{}", "problem": "expired"})
        self.assertEqual(request.challenge_solution, "solved")


    def test_a_captcha_goes_to_the_page_and_its_response_comes_back(self):
        asked = door_pb.EnterSaleResponse(admitted=True, captcha_problem="refused")
        asked.captcha.site_key = "a-site"
        asked.place.ticket = "the-next-ticket"
        told, request = self.enter(asked, "", "the-last-ticket", "clicked")
        self.assertEqual(told, {"captcha": "a-site", "problem": "refused", "ticket": "the-next-ticket",
                                "in_room": True})
        self.assertEqual((request.captcha_response, request.waiting_ticket), ("clicked", "the-last-ticket"))

    def test_a_challenge_in_place_of_a_captcha_says_why(self):
        asked = door_pb.EnterSaleResponse(admitted=True, captcha_problem="unknown")
        asked.challenge.altcha = "{}"
        self.assertEqual(self.enter(asked, "", "", "clicked")[0], {"challenge": "{}", "problem": "unknown"})

    def test_who_has_to_wait_for_a_delay_is_not_let_in_yet(self):
        asked = door_pb.EnterSaleResponse(admitted=True)
        asked.delay.ticket = "the-delay"
        asked.retry_after.FromMilliseconds(60000)
        told, request = self.enter(asked, "", "", "", "the-last-delay")
        self.assertEqual(told, {"delay": "the-delay", "retry_after_s": 60})
        self.assertEqual(request.delay_ticket, "the-last-delay")


class WaitingInARoom(unittest.TestCase):
    """The page's loop, against a front door that answers as it was told."""

    def wait(self, answers, seconds):
        requests = []

        class Door(door_rpc.FrontDoorServiceServicer):
            def EnterSale(self, request, context):  # noqa: N802 (gRPC's name)
                requests.append(request)
                return answers[len(requests) - 1]

        server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=1))
        door_rpc.add_FrontDoorServiceServicer_to_server(Door(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.addCleanup(server.stop, None)
        told = enter(f"127.0.0.1:{port}", "--wait", "tv", "alice", str(seconds))
        self.delay_tickets = [request.delay_ticket for request in requests]
        return told, [request.waiting_ticket for request in requests]

    @staticmethod
    def place(ticket, retry_after_ms):
        answer = door_pb.EnterSaleResponse()
        answer.retry_after.FromMilliseconds(retry_after_ms)
        answer.place.ticket = ticket
        return answer

    def test_each_try_has_the_ticket_of_the_answer_before(self):
        told, tickets = self.wait([self.place("first", 10), self.place("second", 10),
                                   door_pb.EnterSaleResponse(admitted=True)], seconds=60)
        self.assertEqual(tickets, ["", "first", "second"])
        self.assertEqual(told, {"ticket": "second", "token": ""})

    def test_a_delay_is_waited_for_and_its_ticket_is_sent(self):
        asked = door_pb.EnterSaleResponse(admitted=True)
        asked.delay.ticket = "the-delay"
        asked.retry_after.FromMilliseconds(10)
        told, tickets = self.wait([asked, door_pb.EnterSaleResponse(admitted=True)], seconds=60)
        self.assertEqual(tickets, ["", ""])
        self.assertEqual(self.delay_tickets, ["", "the-delay"])
        self.assertEqual(told, {"ticket": "", "token": ""})

    def test_who_is_not_let_in_in_time_keeps_the_ticket(self):
        told, tickets = self.wait([self.place("first", 10), self.place("second", 3_600_000)], seconds=60)
        self.assertEqual(tickets, ["", "first"])
        self.assertEqual(told, {"ticket": "second", "in_room": True, "retry_after_s": 3600.0})


class EnteringASaleInNode(EnteringASale):
    program = WITH_NODE


def write_certificates(folder):
    """An authority, and what it vouches for: a node and a shop."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "1")
    for name, dns in (("node", "tranche.internal"), ("shop", "shop.internal")):
        (folder / "names").write_text(f"subjectAltName=DNS:{dns}\n")
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "1", "-extfile", "names", "-out", f"{name}.pem")


class OverTls(unittest.TestCase):
    def test_the_pages_connect_shows_certificate_and_token(self):
        folder = FOLDER / "secured"
        folder.mkdir()
        write_certificates(folder)
        (folder / "shop.token").write_text("a-token\n")
        (connect,) = (block for block in blocks(PAGE, ("py",)) if "def connect(" in block)
        begin, program = BEGIN_OF_MAIN, (FOLDER / "reserve.py").read_text()
        self.assertIn(begin, program)
        connect = connect.replace("/etc/tranche/", f"{folder}/")
        (FOLDER / "reserve_secured.py").write_text(program.replace(begin, f"\n{connect}{begin}"))

        callers = []

        class Noting(Scripted):
            def CreateReservation(self, request, context):  # noqa: N802 (gRPC's name)
                callers.append((context.auth_context()["x509_common_name"],
                                dict(context.invocation_metadata())["authorization"]))
                return super().CreateReservation(request, context)

        server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=1))
        rpc.add_ReservationServiceServicer_to_server(Noting(["OK"]), server)
        own = ((folder / "node.key").read_bytes(), (folder / "node.pem").read_bytes())
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(
            [own], (folder / "ca.pem").read_bytes(), require_client_auth=True))
        server.start()
        self.addCleanup(server.stop, None)
        # Nobody listens at port 1.
        nodes = f"127.0.0.1:{port},127.0.0.1:1"
        done = reserve(PYTHON.replace("reserve.py", "reserve_secured.py"), nodes, "tv", "alice")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(callers, [([b"shop"], "Bearer a-token")])


class AgainstRealNodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = cluster.make_scratch_folder("clients-page")
        cls.addClassCleanup(cluster.remove, folder)
        process, cls.state = cluster.start(folder, folder / "state.json", 2, 1, keep=False)
        cls.addClassCleanup(cluster.stop, process.pid, process)
        cls.nodes = ",".join(node["endpoint"] for node in cls.state["nodes"])

    def sell(self, sku, stock):
        tranchectl.create_sku(self.state, sku, stock, 49900, "EUR")
        tranchectl.wait_until_announced(self.state, [sku])

    def test_it_reserves_until_all_is_sold(self):
        for sku, program in (("tv", PYTHON), ("radio", NODE)):
            self.sell(sku, 1)

            first = reserve(program, self.nodes, sku, "alice")
            self.assertEqual(first.returncode, 0, first.stderr)
            self.assertRegex(first.stdout, r"^[0-9a-f-]{36} RESERVATION_STATE_PENDING\n$")

            second = reserve(program, self.nodes, sku, "bob")
            self.assertEqual(second.returncode, 1)
            self.assertRegex(second.stderr, r"^SOLD_OUT:? .*holds_may_lapse")

    def test_an_operators_program_pauses_a_sale_and_says_who_and_why(self):
        self.sell("phone", 1)
        node = self.state["nodes"][0]
        # Where operators connect, if that is another port than buyers'.
        operators = node.get("admin", node["endpoint"])
        done = subprocess.run([sys.executable, "operate.py", operators, "phone"], cwd=FOLDER, text=True, timeout=60,
                              capture_output=True, check=False, env={**ENVIRONMENT, "PYTHONPATH": "gen"})
        self.assertEqual((done.returncode, done.stdout), (0, "SKU_STATE_PAUSED\n"), done.stderr)
        (entry,) = json.loads(tranchectl.ctl(self.state, "audit", "--action", "pause_sku", "-o", "json"))["entries"]
        self.assertEqual((entry["actor"], entry["reason"]), ("pricing-bot", "wrong price"))
        refused = reserve(PYTHON, self.nodes, "phone", "alice")
        self.assertRegex(refused.stderr, r"^SALE_PAUSED: .*'pause_reason': 'We are back soon.'")

    def test_a_buyer_enters_a_sale_that_asks_for_a_token(self):
        self.sell("ticket", 2)
        for program in (WITH_PYTHON, WITH_NODE):
            told = enter(self.nodes, "ticket", "alice", program=program)
            self.assertEqual(told, {"token": ""}, "there is no front door")
        tranchectl.ctl(self.state, "door", "set", "ticket", "--token", "--yes")
        # Each node has the policy a moment later, and then refuses a claim without a token.
        deadline = time.monotonic() + VERIFIED_TIMEOUT_S
        for node in self.nodes.split(","):
            channel = grpc.insecure_channel(node)
            self.addCleanup(channel.close)
            door = door_rpc.FrontDoorServiceStub(channel)
            nobody = door_pb.EnterSaleRequest(sku_id="ticket", user_id="nobody")
            while not door.EnterSale(nobody, timeout=10).purchase_token:
                self.assertLess(time.monotonic(), deadline, "the node has no policy")
        refused = reserve(PYTHON, self.nodes, "ticket", "alice")
        self.assertRegex(refused.stderr, "^PURCHASE_TOKEN_REQUIRED: ")
        for program, user in ((WITH_PYTHON, "alice"), (WITH_NODE, "bob")):
            told = enter(self.nodes, "ticket", user, program=program)
            self.assertNotEqual(told["token"], "")
            self.assertEqual(told["reserved"], "ticket")

    def test_two_buyers_fill_a_group(self):
        for sku, program in (("grill", (sys.executable, "group.py")), ("oven", ("node", "group.js"))):
            self.sell(sku, 4)
            tranchectl.ctl(self.state, "group", "offer", "create", sku, "duo", "--seats", "2", "--price", "399.00",
                           "--open-for", "1h", "--pay-within", "15m", "--yes")
            done = subprocess.run([*program, self.nodes, sku, "duo"], cwd=FOLDER, capture_output=True, text=True,
                                  timeout=60, check=False, env={**ENVIRONMENT, "PYTHONPATH": "gen"})
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout), {
                "amounts": [39900, 39900], "last": "GROUP_STATE_FILLED", "carol": "GROUP_FULL",
                "paid": ["CONFIRM_OUTCOME_GROUP_WAITING", "CONFIRM_OUTCOME_CONFIRMED"]})

    def test_the_program_of_the_page_about_groups_fills_one(self):
        (program,) = blocks(GROUPS_PAGE, ("py",))
        (FOLDER / "trio.py").write_text(program)
        (block,) = [one for one in blocks(GROUPS_PAGE) if "trio.py" in one]
        self.sell("kettle", 20)
        tranchectl.ctl(self.state, "group", "offer", "create", "kettle", "trio", "--seats", "3", "--price", "399.00",
                       "--open-for", "1h", "--pay-within", "15m", "--yes")
        for command in commands(block):
            done = subprocess.run(["bash", "-c", command.replace(" grill ", " kettle ")], cwd=FOLDER, text=True,
                                  capture_output=True, timeout=60, check=False, env={**ENVIRONMENT, "NODES": self.nodes})
            self.assertEqual(done.returncode, 0, f"{command}: {done.stderr}")
        self.assertEqual(done.stdout.splitlines(), [
            "GROUP_STATE_FORMING 0 of 3", "ann CONFIRM_OUTCOME_GROUP_WAITING",
            "GROUP_STATE_FORMING 1 of 3", "ben CONFIRM_OUTCOME_GROUP_WAITING",
            "GROUP_STATE_FORMING 2 of 3", "cleo CONFIRM_OUTCOME_CONFIRMED", "GROUP_STATE_FILLED 3 of 3"])

    def start(self, *command):
        log = open(FOLDER / f"{pathlib.Path(command[0]).name}.log", "w+b")
        self.addCleanup(log.close)
        process = subprocess.Popen([str(part) for part in command], env=ENVIRONMENT, text=True, stderr=log,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   preexec_fn=cluster.terminate_with_parent)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        return process

    def await_sink(self, name, worker):
        deadline = time.monotonic() + VERIFIED_TIMEOUT_S
        while name not in tranchectl.ctl(self.state, "outbox", "sink", "list"):
            self.assertIsNone(worker.poll(), "the worker has ended")
            self.assertLess(time.monotonic(), deadline, "the worker has no sink")
            time.sleep(0.05)

    def test_stripes_library_verifies_a_message(self):
        (verify,) = [span for span in code_in_text(MESSAGES_PAGE) if span.startswith("stripe.webhooks.")]
        secrets = ["the-old-secret-of-this-test", "the-new-secret-of-this-test"]
        secret_file = FOLDER / "shop.secret"
        secret_file.touch(0o600)
        secret_file.write_text("".join(f"{secret}\n" for secret in secrets))
        shop = self.start("node", ROOT / "tests/integration/stripe_receiver.js", verify, *secrets)
        worker = self.start(cluster.BIN / "tranche-worker", "--postgres", self.state["postgres"]["app"],
                            "--sink", f"shop=webhook:http://127.0.0.1:{shop.stdout.readline().strip()}/hooks/tranche",
                            "--sink-secret-file", f"shop={secret_file}")
        self.await_sink("shop", worker)
        self.sell("lamp", 1)
        reservation = reserve(PYTHON, self.nodes, "lamp", "alice").stdout.split()[0]
        tranchectl.ctl(self.state, "reservation", "cancel", reservation, "--reason", "no room, \u00e4h", "--yes")

        self.assertTrue(select.select([shop.stdout], [], [], VERIFIED_TIMEOUT_S)[0], "no message came")
        refused = "StripeSignatureVerificationError"
        self.assertEqual(json.loads(shop.stdout.readline()), {
            "with the first secret": reservation, "with the second secret": reservation, "with another secret": refused,
            "with a changed body": refused, "4 minutes later": reservation, "6 minutes later": refused})


if __name__ == "__main__":
    unittest.main(verbosity=2)
