"""A buyer's whole way through the front door, in Python and with nothing but its standard library besides gRPC: the
challenge, the token, the claim and the payment, and after the round the rank that was drawn; and the same with a draw,
and with a waiting room.

    enter_sale_test.py BIN_DIR
"""

import base64
import hashlib
import hmac
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRATCH = tempfile.TemporaryDirectory(prefix="tranche-enter-sale-")  # goes with the process
os.environ["TRANCHE_BIN"] = sys.argv.pop(1)
sys.path.insert(0, str(ROOT / "scripts" / "lib"))

CALL_TIMEOUT_S = 10
PATIENCE_S = 60
SKU = "tv"
DRAWN_SKU = "guitar"
ROOM_SKU = "concert"
FIRST_LATE_RANK = 2**63


def make_stubs(folder):
    """gRPC's Python of the API."""
    folder.mkdir()
    files = [f"google/rpc/{name}.proto" for name in ("status", "error_details")]
    files += [str(file.relative_to(ROOT / "proto")) for file in (ROOT / "proto" / "tranche" / "v1").glob("*.proto")]
    subprocess.run(["protoc", "-I", "proto", f"--python_out={folder}", f"--grpc_python_out={folder}",
                    "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin", *files], cwd=ROOT, check=True)
    sys.path.insert(0, str(folder))


make_stubs(pathlib.Path(SCRATCH.name) / "gen")
import cluster  # noqa: E402
import grpc  # noqa: E402
import tranchectl  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from tranche.v1 import front_door_service_pb2 as door  # noqa: E402
from tranche.v1 import front_door_service_pb2_grpc as door_rpc  # noqa: E402
from tranche.v1 import reservation_service_pb2 as reservations  # noqa: E402
from tranche.v1 import reservation_service_pb2_grpc as reservations_rpc  # noqa: E402


def solve(altcha):
    """What the widget sends for a challenge: it tries counters until the derived key begins as asked."""
    challenge = json.loads(altcha)
    asked = challenge["parameters"]
    assert asked["algorithm"] == "PBKDF2/SHA-256", asked
    nonce, salt = bytes.fromhex(asked["nonce"]), bytes.fromhex(asked["salt"])
    for counter in range(2**32):
        password = nonce + counter.to_bytes(4, "big")
        key = hashlib.pbkdf2_hmac("sha256", password, salt, asked["cost"], asked["keyLength"]).hex()
        if key.startswith(asked["keyPrefix"]):
            solution = {"counter": counter, "derivedKey": key}
            return base64.b64encode(json.dumps({"challenge": challenge, "solution": solution}).encode()).decode()
    raise AssertionError("no counter solves it")


def behind_their_lengths(*parts):
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def rank(key, policy_sku, round_number, user):
    """As docs/front-door.md has it."""
    message = behind_their_lengths(b"tranche-rank-v1", policy_sku.encode(), round_number.to_bytes(8, "big"),
                                   user.encode())
    return int.from_bytes(hmac.digest(key, message, "sha256")[:8], "big")


def draw_rank(draw, entry_id):
    """As docs/draws.md has it."""
    message = behind_their_lengths(b"tranche-draw-v1", draw.sku_id.encode(), draw.number.to_bytes(8, "big"),
                                   draw.entries.to_bytes(8, "big"), draw.merkle_root)
    return hmac.digest(hmac.digest(draw.seed, message, "sha256"), uuid.UUID(entry_id).bytes, "sha256")


def root_of(entry):
    """Where the audit path leads from the entry (RFC 9162, section 2.1.3.2)."""
    place, last = entry.leaf_index, entry.draw.entries - 1
    found = hashlib.sha256(b"\0" + uuid.UUID(entry.entry_id).bytes).digest()
    for beside in entry.audit_path:
        if place & 1 or place == last:
            found = hashlib.sha256(b"\1" + beside + found).digest()
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\1" + found + beside).digest()
        place, last = place >> 1, last >> 1
    return found if last == 0 else b""


def reason_of(error):
    """The reason of an error's ErrorInfo, and its metadata."""
    for name, value in error.trailing_metadata():
        if name == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info.reason, dict(info.metadata)
    return "", {}


class EnterSale(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = cluster.make_scratch_folder("enter-sale")
        cls.addClassCleanup(cluster.remove, folder)
        process, cls.state = cluster.start(folder, folder / "state.json", 2, 1, keep=False)
        cls.addClassCleanup(cluster.stop, process.pid, process)
        tranchectl.create_sku(cls.state, SKU, 1000, 49900, "EUR")
        tranchectl.wait_until_announced(cls.state, [SKU])

    def setUp(self):
        self.doors, self.counters = [], []
        for node in self.state["nodes"]:
            channel = grpc.insecure_channel(node["endpoint"])
            self.addCleanup(channel.close)
            self.doors.append(door_rpc.FrontDoorServiceStub(channel))
            self.counters.append(reservations_rpc.ReservationServiceStub(channel))
        self.addCleanup(self.open_door)

    def ctl(self, *words):
        return tranchectl.ctl(self.state, *words)

    def open_door(self):
        """The next test sets a policy of its own, and must not meet this one at a node."""
        self.ctl("door", "remove", SKU, "--yes")
        self.await_everywhere(lambda entered: not entered.HasField("challenge") and not entered.HasField("lottery"),
                              "the door is not open again")

    def enter(self, user, node=0, solution="", sku=SKU):
        return self.doors[node].EnterSale(
            door.EnterSaleRequest(sku_id=sku, user_id=user, challenge_solution=solution), timeout=CALL_TIMEOUT_S)

    def claim(self, user, node=0, token="", sku=SKU):
        request = reservations.CreateReservationRequest(
            reservation_id=str(uuid.uuid4()), sku_id=sku, user_id=user, quantity=1, purchase_token=token)
        return self.counters[node].CreateReservation(request, timeout=CALL_TIMEOUT_S).reservation

    def refusal_of(self, *args, call=None, **kwargs):
        """Of a claim, or of another call."""
        with self.assertRaises(grpc.RpcError) as refused:
            (call or self.claim)(*args, **kwargs)
        return reason_of(refused.exception)

    def until(self, holds, what):
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.02)

    def await_everywhere(self, asked, what):
        """Until an answer to EnterSale is so at each node. Nobody claims by this name."""
        for node in range(len(self.doors)):
            self.until(lambda node=node: asked(self.enter("nobody", node)), what)

    def test_challenge_token_claim_payment(self):
        self.ctl("door", "set", SKU, "--token", "--challenge", "8", "--yes")
        self.await_everywhere(lambda entered: entered.HasField("challenge"), "no challenge")
        self.assertEqual(self.refusal_of("alice")[0], "PURCHASE_TOKEN_REQUIRED")
        first = self.enter("alice")
        self.assertTrue(first.admitted)
        self.assertEqual((first.purchase_token, first.challenge_problem), ("", ""))

        solution = solve(first.challenge.altcha)
        other = self.enter("bob", 1, solution)
        self.assertEqual(other.purchase_token, "", "alice's work earns bob a token")
        self.assertNotEqual(other.challenge_problem, "")
        self.assertTrue(other.HasField("challenge"), "who is not believed gets another challenge")
        # Any node takes what another one has asked.
        entered = self.enter("alice", 1, solution)
        self.assertEqual(entered.challenge_problem, "")
        self.assertNotEqual(entered.purchase_token, "")
        self.assertGreater(entered.token_expire_time.ToSeconds(), time.time())

        self.assertEqual(self.refusal_of("bob", token=entered.purchase_token)[0], "PURCHASE_TOKEN_INVALID")
        held = self.claim("alice", token=entered.purchase_token)
        paid = self.counters[1].ConfirmReservation(reservations.ConfirmReservationRequest(
            reservation_id=held.reservation_id, payment_reference="pay-1", amount_minor=held.amount_minor,
            currency=held.currency), timeout=CALL_TIMEOUT_S)
        self.assertEqual(paid.outcome, reservations.CONFIRM_OUTCOME_CONFIRMED)

    def test_a_wrong_solution_earns_nothing(self):
        self.ctl("door", "set", SKU, "--token", "--challenge", "8", "--yes")
        self.await_everywhere(lambda entered: entered.HasField("challenge"), "no challenge")
        solved = json.loads(base64.b64decode(solve(self.enter("carol").challenge.altcha)))
        wrong, easier, longer = (json.loads(json.dumps(solved)) for _ in range(3))
        wrong["solution"] = {"counter": solved["solution"]["counter"] + 1, "derivedKey": "00" * 32}
        easier["challenge"]["parameters"]["data"]["bits"] -= 4
        longer["challenge"]["parameters"]["expiresAt"] += 1000
        texts = [base64.b64encode(json.dumps(one).encode()).decode() for one in (wrong, easier, longer)]
        for text in ("%", "e30=", *texts):
            answer = self.enter("carol", solution=text)
            self.assertEqual(answer.purchase_token, "", text)
            self.assertNotEqual(answer.challenge_problem, "", text)

    def test_a_loser_recomputes_the_rank(self):
        self.ctl("door", "set", SKU, "--lottery", "50%", "--yes")
        self.await_everywhere(lambda entered: entered.HasField("lottery"), "no lottery")
        tickets = {f"user-{number}": self.enter(f"user-{number}", number % 2) for number in range(100)}
        # At both nodes, whichever they entered at.
        for number, (user, ticket) in enumerate(tickets.items()):
            self.assertEqual(ticket.admitted, ticket.lottery.rank < ticket.lottery.threshold)
            node = number // 2 % 2
            if ticket.admitted:
                self.claim(user, node)
            else:
                self.assertEqual(self.refusal_of(user, node)[0], "NOT_ADMITTED")
        self.assertTrue(0 < sum(ticket.admitted for ticket in tickets.values()) < 100)

        self.ctl("door", "round", SKU, "--yes")
        drawn = tickets["user-0"].lottery
        self.until(lambda: self.round(drawn.round).key, "the key is not told")
        ended = self.round(drawn.round)
        self.assertEqual(hashlib.sha256(ended.key).digest(), drawn.commitment)
        for user, ticket in tickets.items():
            self.assertEqual(rank(ended.key, ended.policy_sku_id, ended.round, user), ticket.lottery.rank, user)

    def enter_draw(self, user, node, token=""):
        return self.doors[node].EnterDraw(
            door.EnterDrawRequest(sku_id=DRAWN_SKU, user_id=user, purchase_token=token), timeout=CALL_TIMEOUT_S)

    def draw_entry(self, user, node=0):
        return self.doors[node].GetDrawEntry(door.GetDrawEntryRequest(sku_id=DRAWN_SKU, user_id=user),
                                             timeout=CALL_TIMEOUT_S)

    def asks_for_a_challenge(self, node):
        """Whether the node knows the SKU of the draw, and its policy."""
        try:
            return self.enter("nobody", node, sku=DRAWN_SKU).HasField("challenge")
        except grpc.RpcError:
            return False

    def test_challenge_token_entry_draw_payment(self):
        self.ctl("sku", "create", DRAWN_SKU, "--stock", "1", "--price", "499.00", "--currency", "EUR", "--no-presplit")
        self.ctl("door", "set", DRAWN_SKU, "--draw", "--token", "--challenge", "8", "--yes")
        for node in range(len(self.doors)):
            self.until(lambda node=node: self.asks_for_a_challenge(node), "the policy is not known")
        seed = hashlib.sha256(b"of this test").digest()
        commitment = hashlib.sha256(seed).hexdigest()
        self.ctl("draw", "create", DRAWN_SKU, "--winners", "1", "--seed-commitment", commitment, "--yes")

        self.assertEqual(self.refusal_of("alice", sku=DRAWN_SKU)[0], "DRAW_DECIDES")
        self.assertEqual(self.refusal_of("alice", 0, call=self.enter_draw)[0], "PURCHASE_TOKEN_REQUIRED")
        tokens, entry_ids = {}, {}
        for number, user in enumerate(("alice", "bob", "carol", "dave", "eve")):
            node = number % 2
            solution = solve(self.enter(user, node, sku=DRAWN_SKU).challenge.altcha)
            tokens[user] = self.enter(user, node, solution, sku=DRAWN_SKU).purchase_token
            entered = self.enter_draw(user, node, tokens[user])
            self.assertEqual(entered.draw_number, 1)
            entry_ids[user] = entered.entry_id
            again = self.enter_draw(user, 1 - node, tokens[user])
            self.assertEqual((again.entry_id, again.replayed), (entered.entry_id, True))
        self.assertEqual(len(set(entry_ids.values())), len(entry_ids))
        self.assertEqual(self.refusal_of("bob", 0, tokens["alice"], call=self.enter_draw)[0], "PURCHASE_TOKEN_INVALID")

        self.ctl("draw", "close", DRAWN_SKU, "--yes")
        self.assertEqual(self.refusal_of("frank", call=self.draw_entry)[0], "DRAW_ENTRY_NOT_FOUND")
        self.ctl("draw", "seed", DRAWN_SKU, "--seed-hex", seed.hex(), "--yes")
        pending, waiting = door.GetDrawEntryResponse.OUTCOME_PENDING, door.GetDrawEntryResponse.OUTCOME_WAITING
        told = {}

        def drawn():
            told.update({user: self.draw_entry(user) for user in entry_ids})
            return any(entry.outcome == pending for entry in told.values()) and all(
                entry.draw.state == door.Draw.STATE_DRAWN and entry.draw.cutoff for entry in told.values())

        self.until(drawn, "nobody has won")
        for user, entry in told.items():
            self.assertEqual(entry.entry_id, entry_ids[user])
            self.assertEqual(entry.draw.entries, len(entry_ids))
            self.assertEqual(hashlib.sha256(entry.draw.seed).digest(), entry.draw.seed_commitment)
            self.assertEqual(root_of(entry), entry.draw.merkle_root, user)
            self.assertEqual(draw_rank(entry.draw, entry.entry_id), entry.rank, user)
        winner = min(told, key=lambda user: told[user].rank)
        self.assertEqual({user: entry.outcome for user, entry in told.items()},
                         {user: pending if user == winner else waiting for user in told})
        self.assertEqual(told[winner].draw.cutoff, told[winner].rank)
        paid = self.counters[0].ConfirmReservation(reservations.ConfirmReservationRequest(
            reservation_id=told[winner].reservation_id, payment_reference="pay-2", amount_minor=49900,
            currency="EUR"), timeout=CALL_TIMEOUT_S)
        self.assertEqual(paid.outcome, reservations.CONFIRM_OUTCOME_CONFIRMED)
        self.until(lambda: self.draw_entry(winner).draw.state == door.Draw.STATE_FINISHED, "it does not end")

    def enter_room(self, user, node=0, ticket=""):
        return self.doors[node].EnterSale(
            door.EnterSaleRequest(sku_id=ROOM_SKU, user_id=user, waiting_ticket=ticket), timeout=CALL_TIMEOUT_S)

    def has_room(self, node):
        """Whether the node knows the SKU and its policy."""
        try:
            return self.enter_room("nobody", node).HasField("place")
        except grpc.RpcError:
            return False

    def room(self):
        """As operators see it."""
        (room,) = json.loads(self.ctl("door", "rooms", ROOM_SKU, "-o", "json"))["rooms"]
        return room

    def wait_for_turns(self, places):
        """The answers by which these users were let in. Each asks at one node after another, with their tickets."""
        waiting, let_in, tries = dict(places), {}, itertools.count()

        def all_are_let_in():
            for user, place in list(waiting.items()):
                entered = self.enter_room(user, next(tries) % len(self.doors), place.ticket)
                self.assertEqual((entered.place.rank, entered.place.shuffled), (place.rank, place.shuffled), user)
                waiting[user] = entered.place
                if entered.admitted:
                    let_in[user] = entered
                    del waiting[user]
            return not waiting

        self.until(all_are_let_in, "not all are let in")
        return let_in

    def test_room_wait_token_claim_payment(self):
        self.ctl("sku", "create", ROOM_SKU, "--stock", "100", "--price", "499.00", "--currency", "EUR",
                 "--opens-at", "2099-01-01T00:00:00Z")
        tranchectl.wait_until_announced(self.state, [ROOM_SKU])
        self.ctl("door", "set", ROOM_SKU, "--room", "50/s,poll=2s", "--token", "--limit", "user=1000/1s", "--yes")
        for node in range(len(self.doors)):
            self.until(lambda node=node: self.has_room(node), "the policy is not known")

        early = {}
        for number, user in enumerate(("alice", "bob", "carol", "dave", "eve", "frank")):
            entered = self.enter_room(user, number % 2)
            self.assertFalse(entered.admitted)
            self.assertEqual(entered.purchase_token, "")
            self.assertGreater(entered.retry_after.ToMilliseconds(), 0)
            early[user] = entered.place
            self.assertNotEqual(early[user].ticket, "")
            self.assertTrue(early[user].shuffled)
            self.assertLess(early[user].rank, FIRST_LATE_RANK)
            again = self.enter_room(user, 1 - number % 2)
            self.assertEqual(again.place.rank, early[user].rank, "a second tab has the same place")
        self.assertEqual(len({place.rank for place in early.values()}), len(early))

        self.ctl("sku", "update", ROOM_SKU, "--opens-at", "now", "--yes")
        let_in = self.wait_for_turns(early)
        late = self.enter_room("mary").place
        self.assertFalse(late.shuffled)
        self.assertGreaterEqual(late.rank, FIRST_LATE_RANK)
        let_in |= self.wait_for_turns({"mary": late})

        self.assertEqual(self.refusal_of("zoe", sku=ROOM_SKU)[0], "PURCHASE_TOKEN_REQUIRED")
        for number, user in enumerate(("alice", "mary")):
            held = self.claim(user, number, let_in[user].purchase_token, sku=ROOM_SKU)
            paid = self.counters[1].ConfirmReservation(reservations.ConfirmReservationRequest(
                reservation_id=held.reservation_id, payment_reference=f"pay-{user}", amount_minor=held.amount_minor,
                currency=held.currency), timeout=CALL_TIMEOUT_S)
            self.assertEqual(paid.outcome, reservations.CONFIRM_OUTCOME_CONFIRMED)

        self.ctl("door", "set", ROOM_SKU, "--hold-room", "--yes")

        def is_held():
            self.enter_room(str(uuid.uuid4()))  # a room where nobody waits is not said to be held
            return self.room()["held"] == "HELD_RATE_ZERO"

        self.until(is_held, "the room is not held")
        held = self.enter_room("nina")
        self.assertFalse(held.admitted)
        self.ctl("door", "set", ROOM_SKU, "--room", "50/s", "--yes")
        self.wait_for_turns({"nina": held.place})

        self.ctl("door", "round", ROOM_SKU, "--yes")
        ended = early["alice"].round
        self.until(lambda: self.round(ended, ROOM_SKU).key, "the key is not told")
        told = self.round(ended, ROOM_SKU)
        for user, place in early.items():
            self.assertEqual(hashlib.sha256(told.key).digest(), place.commitment)
            self.assertEqual(rank(told.key, told.policy_sku_id, told.round, user) >> 1, place.rank, user)
        for node in range(len(self.doors)):
            self.until(lambda node=node: self.enter_room("alice", node, early["alice"].ticket).place.round == ended + 1,
                       "the new round is not known")
        self.assertFalse(self.enter_room("alice", 0, early["alice"].ticket).place.shuffled, "that place has ended")

    def round(self, number, sku=SKU):
        rounds = self.doors[0].ListLotteryRounds(door.ListLotteryRoundsRequest(sku_id=sku),
                                                 timeout=CALL_TIMEOUT_S).rounds
        (found,) = [one for one in rounds if one.round == number]
        return found


if __name__ == "__main__":
    unittest.main(verbosity=2)
