"""The HTTP gateway before a real cluster, called with curl: a buyer's way from the catalogue to the payment, refusals,
where buyers are, roles, and its end.

    web_gateway_test.py BIN_DIR
"""

import contextlib
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import time
import unittest
import urllib.request
import uuid

os.environ["TRANCHE_BIN"] = sys.argv.pop(1)
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
import authority  # noqa: E402
import cluster  # noqa: E402
import gateway  # noqa: E402
import security  # noqa: E402
import tranchectl  # noqa: E402

PATIENCE_S = 60
# The entry of the gateway and, before it, that of the proxy that the test plays.
TRUSTED_PROXIES = 2


class Answer:
    """What curl has got."""

    def __init__(self, text):
        head, _, self.body = text.partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    def json(self):
        return json.loads(self.body)


def curl(url, *options, body=None):
    data = [] if body is None else ["-H", "content-type: application/json", "--data", json.dumps(body)]
    done = subprocess.run(["curl", "-sS", "-i", "--http1.1", "--max-time", str(PATIENCE_S), *options, *data, url],
                          capture_output=True, check=True, timeout=2 * PATIENCE_S)
    return Answer(done.stdout.decode())  # with its line ends, which text=True would change


class Events:
    """Server-sent events, as curl prints them."""

    def __init__(self, url, *options):
        self._curl = subprocess.Popen(["curl", "-sSN", *options, url], stdout=subprocess.PIPE,
                                      preexec_fn=cluster.terminate_with_parent)
        self._text = b""

    def next(self):
        """(id, name, data) of the next one; None: the answer has ended."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            block, found, rest = self._text.partition(b"\n\n")
            if found:
                self._text = rest
                fields = dict(line.split(": ", 1) for line in block.decode().splitlines() if ": " in line)
                if "data" in fields:
                    return fields.get("id", ""), fields.get("event", ""), json.loads(fields["data"])
                continue
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._curl.stdout], [], [], left)[0]:
                raise AssertionError("no event came")
            more = os.read(self._curl.stdout.fileno(), 65536)
            if not more:
                return None
            self._text += more

    def close(self):
        self._curl.terminate()
        self._curl.wait()
        self._curl.stdout.close()


def start(test, name, secured=None, **more):
    """A cluster with a gateway, for all tests of the class: their state, and the gateway's process."""
    folder = cluster.make_scratch_folder(name)
    test.addClassCleanup(cluster.remove, folder)
    if secured:
        secured = security.Security(folder / "security").make(authority.Authority(folder / "authority"))
    process, state = cluster.start(folder, folder / "state.json", 2, 1, keep=False, secured=secured, **more)
    test.addClassCleanup(cluster.stop, process.pid, process)
    child = gateway.start(state, folder, keep=False)
    test.addClassCleanup(child.wait)
    test.addClassCleanup(gateway.stop, state)
    return state, child


def sell(state, sku, stock):
    tranchectl.create_sku(state, sku, stock, 49900, "EUR")
    tranchectl.wait_until_announced(state, [sku])


class Buying(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.state, _ = start(cls, "web-gateway", node_args=["--trusted-proxies", str(TRUSTED_PROXIES)])
        cls.url = cls.state["gateway"]["url"]

    def claim(self, sku, user, key, *options, **more):
        body = {"sku_id": sku, "user_id": user, "quantity": 1, **more}
        return curl(f"{self.url}/v1/reservations", "-H", f"Idempotency-Key: {key}", *options, body=body)

    def test_a_buyer_looks_claims_and_pays(self):
        sell(self.state, "tv", 10)
        shown = curl(f"{self.url}/v1/skus/tv")
        self.assertEqual(shown.status, 200, shown.body)
        sku = shown.json()["sku"]
        self.assertEqual((sku["sku_id"], sku["price_minor"], sku["state"]), ("tv", "49900", "SALE_STATE_OPEN"))
        self.assertIn("tv", [one["sku_id"] for one in curl(f"{self.url}/v1/skus").json()["skus"]])

        key = str(uuid.uuid4())
        first = self.claim("tv", "alice", key)
        self.assertEqual(first.status, 200, first.body)
        reservation = first.json()["reservation"]
        self.assertEqual((reservation["reservation_id"], reservation["state"]), (key, "RESERVATION_STATE_PENDING"))
        again = self.claim("tv", "alice", key).json()
        self.assertTrue(again["replayed"])
        self.assertEqual(again["reservation"]["create_time"], reservation["create_time"])

        watched = Events(f"{self.url}/v1/reservations/{key}:watch")
        self.addCleanup(watched.close)
        known, _, state = watched.next()
        self.assertEqual(state["reservation"]["state"], "RESERVATION_STATE_PENDING")
        payment = {"payment_reference": "ch_1", "amountMinor": reservation["amount_minor"], "currency": "EUR"}
        paid = curl(f"{self.url}/v1/reservations/{key}:confirm", body=payment)
        self.assertEqual(paid.json()["outcome"], "CONFIRM_OUTCOME_CONFIRMED", paid.body)
        _, name, state = watched.next()
        self.assertEqual((name, state["reservation"]["state"]), ("", "RESERVATION_STATE_CONFIRMED"))
        over, name, _ = watched.next()
        self.assertEqual(name, "end")
        self.assertIsNone(watched.next())

        resumed = Events(f"{self.url}/v1/reservations/{key}:watch", "-H", f"Last-Event-ID: {known}")
        self.addCleanup(resumed.close)
        self.assertEqual(resumed.next()[2]["reservation"]["state"], "RESERVATION_STATE_CONFIRMED")
        stopped = curl(f"{self.url}/v1/reservations/{key}:watch", "-H", f"Last-Event-ID: {over}")
        self.assertEqual(stopped.status, 204)

    def test_a_refusal_is_a_problem(self):
        sell(self.state, "radio", 1)
        self.assertEqual(self.claim("radio", "alice", uuid.uuid4()).status, 200)
        refused = self.claim("radio", "bob", uuid.uuid4())
        self.assertEqual(refused.status, 409, refused.body)
        self.assertTrue(refused.headers["content-type"].startswith("application/problem+json"))
        problem = refused.json()
        self.assertEqual((problem["reason"], problem["metadata"]["holds_may_lapse"]), ("SOLD_OUT", "true"))
        self.assertEqual(problem["type"], "/docs#SOLD_OUT")
        self.assertIn("another try", problem["next_step"])

    def test_wrong_requests_name_what_is_wrong(self):
        reused, key = "RESERVATION_ID_REUSED", uuid.uuid4()
        sell(self.state, "phone", 10)
        self.assertEqual(self.claim("phone", "alice", key).status, 200)
        for answer, status, reason in (
                (self.claim("phone", "bob", key), 409, reused),
                (self.claim("phone", "alice", "no-uuid"), 400, "RESERVATION_ID_MALFORMED"),
                (self.claim("phone", "alice", uuid.uuid4(), colour="red"), 400, "FIELD_INVALID"),
                (curl(f"{self.url}/v1/skus/nothing"), 404, "SKU_NOT_FOUND"),
                (curl(f"{self.url}/v1/reservations/{uuid.uuid4()}"), 404, "RESERVATION_NOT_FOUND"),
                (curl(f"{self.url}/v1/reservations/{uuid.uuid4()}:watch"), 404, "RESERVATION_NOT_FOUND"),
                (curl(f"{self.url}/tranche.v1.AdminService/ListSkus", body={}), 404, "NO_SUCH_PATH")):
            self.assertEqual((answer.status, answer.json()["reason"]), (status, reason), answer.body)

    def test_a_limit_by_address_counts_where_the_buyer_is(self):
        sell(self.state, "lamp", 100)
        tranchectl.ctl(self.state, "door", "set", "lamp", "--limit", "address=1/60s", "--yes")

        def enter(address):
            return curl(f"{self.url}/v1/skus/lamp:enter", "-H", f"X-Forwarded-For: {address}", body={"user_id": "alice"})

        deadline = time.monotonic() + PATIENCE_S
        while (limited := enter("203.0.113.7")).status != 429:  # each node has the policy a moment later
            self.assertLess(time.monotonic(), deadline, limited.body)
        self.assertEqual(limited.json()["reason"], "RATE_LIMITED")
        self.assertEqual(limited.json()["metadata"]["limit"], "address")
        self.assertGreaterEqual(int(limited.headers["retry-after"]), 1)
        self.assertEqual(enter("198.51.100.7").status, 200)

    def test_the_reference_is_served(self):
        document = curl(f"{self.url}/openapi.json").json()
        self.assertEqual(document["openapi"], "3.1.0")
        self.assertIn("/v1/reservations/{reservation_id}:confirm", document["paths"])
        self.assertIn('id="SOLD_OUT"', curl(f"{self.url}/docs").body)

    def test_its_metrics_count_what_was_answered(self):
        curl(f"{self.url}/v1/skus/nothing")
        with urllib.request.urlopen(f"http://{self.state['gateway']['metrics']}/metrics", timeout=PATIENCE_S) as answer:
            self.assertRegex(answer.read().decode(),
                             r'tranche_gateway_requests_total{operation="CatalogService.GetSku",status="404"} [1-9]')


class Secured(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.state, cls.child = start(cls, "web-gateway-secured", secured=True, admin_ports=True)
        cls.url = cls.state["gateway"]["url"]

    def token(self, principal):
        token = security.of_state(self.state).token_file(principal).read_text().strip()
        return ["-H", f"Authorization: Bearer {token}"]

    def test_roles_are_those_of_the_token(self):
        unknown = curl(f"{self.url}/v1/skus")
        self.assertEqual((unknown.status, unknown.json()["reason"]), (401, "CALLER_UNKNOWN"))
        self.assertEqual(unknown.headers["www-authenticate"], "Bearer")
        self.assertEqual(curl(f"{self.url}/v1/skus", *self.token("storefront")).status, 200)
        missing = curl(f"{self.url}/v1/reservations?user_id=alice", *self.token("storefront"))
        self.assertEqual((missing.status, missing.json()["reason"]), (403, "ROLE_MISSING"), missing.body)
        self.assertEqual(missing.json()["metadata"]["principal"], "storefront")

    def test_it_ends_when_it_is_asked_to(self):
        with contextlib.ExitStack() as cleanup:
            folder = cluster.make_scratch_folder("web-gateway-end")
            cleanup.callback(cluster.remove, folder)
            state = {name: self.state[name] for name in ("nodes", "secure")}
            child = gateway.start(state, folder, keep=False)
            cleanup.callback(child.wait)
            cleanup.callback(gateway.stop, state)
            sell(self.state, "vase", 5)
            url, key = state["gateway"]["url"], str(uuid.uuid4())
            body = {"reservation_id": key, "sku_id": "vase", "user_id": "alice", "quantity": 1}
            self.assertEqual(curl(f"{url}/v1/reservations", *self.token("storefront"), body=body).status, 200)
            watched = Events(f"{url}/v1/reservations/{key}:watch", *self.token("storefront"))
            cleanup.callback(watched.close)
            self.assertEqual(watched.next()[2]["reservation"]["reservation_id"], key)
            child.send_signal(signal.SIGTERM)
            self.assertIsNone(watched.next(), "its readers go elsewhere")
            self.assertEqual(child.wait(PATIENCE_S), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
