"""A secured cluster, as scripts/dev up --secure starts it: who gets in, what each may do, certificates that are renewed
during a sale; and that nothing it wrote holds a secret.

    secured_test.py BIN_DIR
"""

import base64
import contextlib
import json
import os
import pathlib
import re
import secrets
import ssl
import subprocess
import sys
import tempfile
import unittest
import urllib.parse
import urllib.request
import uuid

os.environ["TRANCHE_BIN"] = sys.argv.pop(1)
from secured_callers import Sale, Visitors, await_until  # noqa: E402
from secured_cluster import BUYERS, OPERATORS, TIMEOUT_S, Cluster, make_stubs  # noqa: E402

SCRATCH = tempfile.TemporaryDirectory(prefix="tranche-secured-stubs-")  # goes with the process
make_stubs(pathlib.Path(SCRATCH.name) / "gen")
import authority  # noqa: E402
import chaos_zookeeper  # noqa: E402
import cluster  # noqa: E402
import grpc  # noqa: E402
import rotation  # noqa: E402
import security  # noqa: E402
from chaos_process import children_of  # noqa: E402
from tranche.v1 import admin_service_pb2 as admin  # noqa: E402
from tranche.v1 import admin_service_pb2_grpc as admin_rpc  # noqa: E402
from tranche.v1 import catalog_service_pb2 as catalog  # noqa: E402
from tranche.v1 import catalog_service_pb2_grpc as catalog_rpc  # noqa: E402
from tranche.v1 import reservation_service_pb2 as reservations  # noqa: E402
from tranche.v1 import reservation_service_pb2_grpc as reservations_rpc  # noqa: E402

CALL_TIMEOUT_S = 10
ZOOKEEPER_REFUSES = "error -102"  # NOAUTH
# A SKU of this name is looked for like a secret, and must be found: so the search does find what is there.
PLANTED = f"planted-{secrets.token_hex(8)}"
SHARD_PASSWORD = f"shard-{secrets.token_hex(8)}"
STOCK = 1_000_000
UNAUTHENTICATED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED


def setUpModule():  # noqa: N802 (unittest's name)
    global SHARED
    SHARED = Cluster()


@contextlib.contextmanager
def channel(door=BUYERS, principal=None, ca=None):
    """To the first node; with the principal's certificate, or without one. `ca`: whom to trust instead."""
    secured = SHARED.secured
    pair = (None, None)
    if principal:
        pair = (secured.key(principal).read_bytes(), secured.certificate(principal).read_bytes())
    credentials = grpc.ssl_channel_credentials((ca or secured.ca).read_bytes(), *pair)
    # A connection of its own: gRPC shares them otherwise.
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(SHARED.state["nodes"][0][door], credentials, options) as opened:
        yield opened


def bearer(token):
    return [("authorization", f"Bearer {token}")]


def claim(sku, user):
    return reservations.CreateReservationRequest(reservation_id=str(uuid.uuid4()), sku_id=sku, user_id=user, quantity=1)


def payment(reservation, reference):
    return reservations.ConfirmReservationRequest(
        reservation_id=reservation.reservation_id, payment_reference=reference, amount_minor=reservation.amount_minor,
        currency=reservation.currency)


def add_stock(sku):
    return admin.AddStockRequest(sku_id=sku, units=1, preview=True)


class Calls(unittest.TestCase):
    def assert_refused(self, code, call, *args, **more):
        with self.assertRaises(grpc.RpcError) as refused:
            call(*args, timeout=CALL_TIMEOUT_S, **more)
        self.assertEqual(refused.exception.code(), code, refused.exception.details())
        SHARED.keep(refused.exception.details())

    def test_an_operator_creates_and_a_storefront_sells(self):
        SHARED.create_sku("tv", 20)
        summary = SHARED.folder / "tv-summary"
        load = SHARED.load("storefront", "tv", "--requests", 25, "--streams", 0, "--summary", summary, by_token=True)
        self.assertEqual(SHARED.run(*load).returncode, 0)
        totals = json.loads(summary.read_text())["totals"]
        # On a busy machine some are asked for again.
        self.assertEqual((totals["created"] + totals["replayed"], totals["refused"]), (20, {"SOLD_OUT": 5}))
        self.assertEqual(SHARED.ctl("operator", "verify").returncode, 0)
        # By the certificate, not by what callers call themselves.
        self.assertRegex(SHARED.ctl("viewer", "audit", "--sku", "tv").stdout, r"\boperator\b")

    def test_a_service_is_paid(self):
        SHARED.create_sku("radio", 10)
        with channel(principal="service") as opened:
            service = reservations_rpc.ReservationServiceStub(opened)
            made = service.CreateReservation(claim("radio", "alice"), timeout=CALL_TIMEOUT_S).reservation
            paid = service.ConfirmReservation(payment(made, "ch_1"), timeout=CALL_TIMEOUT_S).reservation
        self.assertEqual(paid.state, reservations.RESERVATION_STATE_CONFIRMED)

    def test_a_viewer_looks_and_changes_nothing(self):
        SHARED.create_sku("lamp", 5)
        self.assertEqual(SHARED.ctl("viewer", "sku", "show", "lamp").returncode, 0)
        for words in (("stock", "add", "lamp", 1, "--yes"), ("sku", "pause", "lamp", "--reason", "no", "--yes")):
            done = SHARED.ctl("viewer", *words)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("ROLE_MISSING", done.stdout + done.stderr)
        self.assertEqual(SHARED.ctl("operator", "stock", "add", "lamp", 1, "--yes", by_token=True).returncode, 0)

    def test_who_is_not_known_is_not_served(self):
        SHARED.create_sku("desk", 10)
        with channel() as nobody:
            create = reservations_rpc.ReservationServiceStub(nobody).CreateReservation
            self.assert_refused(UNAUTHENTICATED, create, claim("desk", "a"))
            nobodys = f"trt_{secrets.token_urlsafe(32)}"
            self.assert_refused(UNAUTHENTICATED, create, claim("desk", "a"), metadata=bearer(nobodys))
            create(claim("desk", "a"), metadata=bearer(SHARED.token_of("storefront")), timeout=CALL_TIMEOUT_S)

    def test_everybody_does_only_what_is_theirs(self):
        SHARED.create_sku("chair", 10)
        with channel(principal="storefront") as opened:
            storefront = reservations_rpc.ReservationServiceStub(opened)
            made = storefront.CreateReservation(claim("chair", "b"), timeout=CALL_TIMEOUT_S).reservation
            self.assert_refused(DENIED, storefront.ConfirmReservation, payment(made, "ch_2"))
        for principal in ("storefront", "service", "risk", "viewer"):
            with channel(OPERATORS, principal) as opened:
                self.assert_refused(DENIED, admin_rpc.AdminServiceStub(opened).AddStock, add_stock("chair"))
        with channel(OPERATORS, "operator") as opened:
            admin_rpc.AdminServiceStub(opened).AddStock(add_stock("chair"), timeout=CALL_TIMEOUT_S)

    def test_operators_are_not_served_at_the_buyers_door(self):
        with channel(BUYERS, "operator") as opened:
            add = admin_rpc.AdminServiceStub(opened).AddStock
            self.assert_refused(grpc.StatusCode.UNIMPLEMENTED, add, add_stock("tv"))

    def test_who_trusts_another_authority_or_speaks_without_tls_gets_no_connection(self):
        other = authority.Authority(SHARED.folder / "another-authority")
        for opening in (channel(ca=other.certificate), grpc.insecure_channel(SHARED.state["nodes"][0][BUYERS])):
            with opening as opened:
                create = reservations_rpc.ReservationServiceStub(opened).CreateReservation
                self.assert_refused(grpc.StatusCode.UNAVAILABLE, create, claim("tv", "a"))

    def test_postgresql_wants_tls_and_the_password(self):
        app, password = SHARED.state["postgres"]["app"], SHARED.postgres_password()
        self.assertIn("sslmode=verify-full", app)
        self.assertEqual(SHARED.psql(app, password).stdout, "tranche_node\n")
        self.assertIn("password authentication failed", SHARED.psql(app, "another").stderr)
        plain = app.replace("sslmode=verify-full", "sslmode=disable")
        self.assertIn("no encryption", SHARED.psql(plain, password).stderr)

    def test_nobody_else_reads_the_tree(self):
        root = SHARED.state["zookeeper"]["root"]
        with SHARED.zookeeper(SHARED.zookeeper_auth()) as session:
            paths = list(session.dump(root))
        self.assertTrue([path for path in paths if path.startswith(f"{root}/nodes/")], paths)
        for auth in (None, "tranche:another"):
            with SHARED.zookeeper(auth) as session:
                for path in paths:
                    try:
                        self.assertIsNone(session.get(path), path)  # it has gone since
                    except chaos_zookeeper.ZookeeperError as refused:
                        self.assertIn(ZOOKEEPER_REFUSES, str(refused))


class Certificates(unittest.TestCase):
    def test_new_ones_during_a_sale_lose_no_call(self):
        SHARED.create_sku("book", STOCK)
        before = SHARED.secured.certificate("server").read_bytes()
        with Sale(SHARED, "book") as sale, Visitors(self.visit, grpc.RpcError) as visitors:
            sale.await_more(50)
            visitors.await_more(5)
            doors = rotation.rotate(SHARED.state, SHARED.authority)
            self.assertGreater(len(doors), 2 * len(SHARED.state["nodes"]))
            sale.await_more(50)
            visitors.await_more(5)
        self.assertNotEqual(SHARED.secured.certificate("server").read_bytes(), before)
        self.assertEqual(visitors.failures, [])
        self.assertEqual((sale.totals["refused"], sale.totals["unknown"]), ({}, 0))
        self.assertGreaterEqual(sale.totals["created"] + sale.totals["replayed"], 100)

    @staticmethod
    def visit():
        with channel() as opened:
            catalog_rpc.CatalogServiceStub(opened).GetSku(
                catalog.CatalogServiceGetSkuRequest(sku_id="book"), timeout=CALL_TIMEOUT_S,
                metadata=bearer(SHARED.token_of("storefront")))

    def test_half_a_pair_keeps_the_former_one(self):
        """A key that does not belong to the certificate, as in the middle of a copy."""
        secured, node = SHARED.secured, SHARED.state["nodes"][0]
        key = secured.key("server")
        former_key, lines = key.read_bytes(), self.complaints(node)
        shown = rotation.shown_certificate(node[BUYERS], secured.ca)
        authority.make_key(key)

        def complains():
            # A server may look at its files only when somebody connects.
            self.assertEqual(rotation.shown_certificate(node[BUYERS], secured.ca), shown)
            return self.complaints(node) > lines

        try:
            await_until(complains, "the node to say that the key is wrong")
            self.assertEqual(rotation.shown_certificate(node[BUYERS], secured.ca), shown)
        finally:
            key.write_bytes(former_key)

    @staticmethod
    def complaints(node):
        """How many lines of its log above INFO name the key's or the certificate's file."""
        text = pathlib.Path(node["log_file"]).read_text(errors="replace")
        return len(re.findall(r"(?m)^\S+ (?:WARNING|ERROR) .*\bserver\.(?:key|pem)\b", text))


def forms_of(secret):
    """The bytes by which a text may be written: as it is, percent-encoded, and, wherever it begins in what is encoded,
    in hex and in both kinds of base64."""
    text = secret.encode()
    forms = {text, urllib.parse.quote(secret, safe="").encode(), urllib.parse.quote_plus(secret).encode(),
             text.hex().encode(), text.hex().upper().encode()}
    for before in range(3):
        # Without the characters at either end that hold bits of what is beside it.
        begin = -(-before * 8 // 6)
        coded = base64.b64encode(bytes(before) + text)[begin:(before + len(text)) * 8 // 6]
        forms |= {coded, coded.translate(bytes.maketrans(b"+/", b"-_"))}
    return forms


class WhatItWrote(unittest.TestCase):
    """Searched as a whole for every secret."""

    def setUp(self):
        self.needles = dict(SHARED.secured.all_secrets())
        self.needles |= {"shop.secret": SHARED.webhook_secret, "a shard's password": SHARD_PASSWORD, "planted": PLANTED}
        self.forms = {name: forms_of(secret) for name, secret in self.needles.items()}

    def found_in(self, data):
        """The names of the secrets that the bytes hold."""
        return {name for name, forms in self.forms.items() if any(form in data for form in forms)}

    def test_the_search_finds_what_is_encoded(self):
        for secret in ("a/secret+of two?>words~", PLANTED):
            self.forms = {"planted": forms_of(secret)}
            for lead in ("", "u", "us", "user:"):
                text = f"{lead}{secret}:and more".encode()
                for encoded in (text, base64.b64encode(text), base64.urlsafe_b64encode(text), text.hex().encode(),
                                text.hex().upper().encode(), urllib.parse.quote(text, safe="").encode(),
                                urllib.parse.quote_plus(text).encode()):
                    self.assertEqual(self.found_in(b"before " + encoded + b" behind"), {"planted"}, encoded)
            self.assertEqual(self.found_in(b"nothing of it"), set())

    def test_holds_no_secret(self):
        SHARED.create_sku(PLANTED, STOCK)
        self.let_commands_fail()
        self.let_servers_fail()
        with Sale(SHARED, PLANTED) as sale:
            sale.await_more(50)
            places = {"command lines": self.command_lines(sale.pid), "metrics": self.metrics(), "znodes": self.znodes()}
        SHARED.ctl("operator", "sku", "show", PLANTED)
        SHARED.ctl("admin", "zk", "dump")
        places["the ledger"] = self.ledger()
        places["what commands print"] = {str(number): text.encode() for number, text in enumerate(SHARED.outputs)}
        for place, contents in places.items():
            with self.subTest(place):
                self.judge(place, contents)
        self.judge_files()

    def judge(self, place, contents):
        """`contents`: bytes by a name. The planted one must be found there, and no other."""
        found = {name: self.found_in(data) for name, data in contents.items()}
        planted = [name for name, there in found.items() if "planted" in there]
        self.assertTrue(planted, f"the search does not find what is in {place}")
        self.assertEqual({name: there - {"planted"} for name, there in found.items() if there - {"planted"}}, {})

    def judge_files(self):
        """All files that anybody wrote, those of PostgreSQL and ZooKeeper included; but for those that keep secrets."""
        log = pathlib.Path(SHARED.state["balancers"][0]["log_file"])
        await_until(lambda: PLANTED.encode() in log.read_bytes(), "the balancer to tell that the sale has opened")
        contents, keepers = {}, {SHARED.secured.folder, SHARED.folder / "authority", SHARED.folder / "another-authority"}
        for parent, folders, files in os.walk(SHARED.folder):
            folders[:] = [name for name in folders if pathlib.Path(parent, name) not in keepers]
            for file in (pathlib.Path(parent, name) for name in files):
                with contextlib.suppress(OSError):  # a socket, or gone since
                    contents[str(file)] = file.read_bytes()
        self.assertIn("planted", self.found_in(contents[str(log)]))
        self.judge("files", contents)

    def let_commands_fail(self):
        """Those that complain about credentials."""
        wrong = SHARED.secured.folder / "wrong.token"
        token = SHARED.token_of("operator")
        for text in (secrets.token_hex(32), token[:-1], f"{token} {SHARED.token_of('storefront')}"):
            security.write_secret(wrong, text)
            done = SHARED.run(cluster.BIN / "tranchectl", "--endpoint", security.endpoints(SHARED.state), "--tls-ca",
                              SHARED.secured.ca, "--token-file", wrong, "sku", "list")
            self.assertNotEqual(done.returncode, 0)
        dsn = f"{SHARED.state['postgres']['app']} password={SHARD_PASSWORD}"
        self.assertNotEqual(SHARED.ctl("admin", "shard", "add", "hot", "--postgres", dsn, "--yes").returncode, 0)

    def let_servers_fail(self):
        app, secured = SHARED.state["postgres"]["app"], SHARED.secured
        wrong = secured.folder / "wrong.password"
        security.write_secret(wrong, f"{SHARED.postgres_password()}x")
        for flags in (["--postgres", f"{app} password={SHARD_PASSWORD}"],
                      ["--postgres", app, "--postgres-password-file", wrong],
                      # A key for a password: it has several lines.
                      ["--postgres", app, "--postgres-password-file", secured.key("server")]):
            done = SHARED.run(cluster.BIN / "tranche-worker", *flags, "--startup-timeout-ms", 1000)
            self.assertNotEqual(done.returncode, 0, flags)
        done = SHARED.run(cluster.BIN / "tranched", "--postgres", app, "--postgres-password-file",
                          secured.postgres_password_file, "--zookeeper", SHARED.state["zookeeper"]["address"],
                          "--listen", "127.0.0.1:0", "--tls-certificate", secured.certificate("server"),
                          "--tls-key", secured.key("viewer"))
        self.assertNotEqual(done.returncode, 0)

    def command_lines(self, load_pid):
        pids = [load_pid, SHARED.state["pid"]]
        for pid in pids:
            pids += children_of(pid)
        found = {}
        for pid in pids:
            with contextlib.suppress(OSError):  # it has ended
                found[pid] = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        self.assertLessEqual({process["pid"] for process in cluster.servers(SHARED.state)}, set(found))
        return found

    def metrics(self):
        secured = SHARED.secured
        context = ssl.create_default_context(cafile=str(secured.ca))
        context.load_cert_chain(secured.certificate("viewer"), secured.key("viewer"))
        pages = {}
        for process in cluster.servers(SHARED.state):
            address = f"https://{process['metrics']}/metrics"
            with urllib.request.urlopen(address, timeout=CALL_TIMEOUT_S, context=context) as page:
                pages[process["name"]] = page.read()
        return pages

    def znodes(self):
        with SHARED.zookeeper(SHARED.zookeeper_auth()) as session:
            tree = session.dump(SHARED.state["zookeeper"]["root"])
        return {path: path.encode() + b"\n" + (data or b"") for path, data in tree.items()}

    def ledger(self):
        done = subprocess.run(["pg_dump", "--inserts", "--dbname", SHARED.state["postgres"]["superuser"]],
                              capture_output=True, timeout=TIMEOUT_S, check=True)
        return {"pg_dump": done.stdout}


if __name__ == "__main__":
    unittest.main(verbosity=2)
