"""The certificates and secrets of secured private clusters, and whether a server shows a new certificate."""

import contextlib
import fcntl
import json
import os
import pathlib
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import threading
import unittest
from unittest import mock

import lib_path  # noqa: F401

import authority
import cluster
import dev
import rotation
import security

sys.path.insert(0, str(cluster.ROOT / "tests" / "integration" / "pages"))
from page_commands import blocks  # noqa: E402


class Files(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = pathlib.Path(scratch.name)
        cls.authority = authority.Authority(cls.folder / "authority")
        cls.secured = security.Security(cls.folder / "security").make(cls.authority, ["10.0.0.7", "db.shop"])

    def test_only_we_may_read_a_secret(self):
        files = [*self.secured.folder.iterdir(), *self.authority.folder.iterdir()]
        secret = [file for file in files if file.suffix in (".key", ".password", ".auth", ".token")]
        self.assertEqual(len(secret), 1 + 2 + len(security.ROLES) + 2 + len(security.WITH_TOKEN))
        for file in secret:
            self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600, file)

    def test_the_authority_has_signed_them_for_what_they_are_for(self):
        for name, purpose in (("server", "sslserver"), ("postgres", "sslserver"), ("operator", "sslclient")):
            authority.openssl("verify", "-CAfile", self.secured.ca, "-purpose", purpose, self.secured.certificate(name))
        with self.assertRaises(cluster.ClusterError):
            authority.openssl("verify", "-CAfile", self.secured.ca, "-purpose", "sslserver",
                              self.secured.certificate("operator"))

    def names_of(self, name):
        return authority.openssl("x509", "-in", self.secured.certificate(name), "-noout", "-ext", "subjectAltName")

    def test_the_names_are_those_of_hosts_and_principals(self):
        for name in ("DNS:localhost", "IP Address:127.0.0.1", "IP Address:10.0.0.7", "DNS:db.shop"):
            self.assertIn(name, self.names_of("server"))
        self.assertIn("URI:spiffe://tranche.dev/viewer", self.names_of("viewer"))

    def test_the_access_file_has_no_token(self):
        access = json.loads(self.secured.access_file.read_text())
        self.assertEqual(access["anonymous"], [])
        self.assertEqual([one["roles"] for one in access["principals"]], [[role] for role in security.ROLES])
        for principal in security.WITH_TOKEN:
            self.assertNotIn(self.secured.token_file(principal).read_text().strip(), self.secured.access_file.read_text())

    def test_every_secret_is_searched_for(self):
        found = self.secured.all_secrets()
        for file in self.secured.folder.iterdir():
            if file.suffix in (".key", ".password", ".auth", ".token"):
                self.assertTrue([name for name in found if name.startswith(file.name)], file)
        for name, secret in found.items():
            self.assertGreaterEqual(len(secret), 32, name)

    def test_who_has_no_token_cannot_use_one(self):
        with self.assertRaisesRegex(cluster.ClusterError, "viewer has a certificate and no token"):
            self.secured.client_flags("viewer", by_token=True)

    def test_a_secret_replaces_what_is_there(self):
        other, secret = self.folder / "other", self.folder / "secret"
        other.write_text("kept")
        secret.symlink_to(other)
        security.write_secret(secret, "hunter2")
        self.assertEqual((other.read_text(), secret.read_text()), ("kept", "hunter2\n"))
        secret.chmod(0o644)
        security.write_secret(secret, "hunter3")
        self.assertEqual((secret.read_text(), stat.S_IMODE(secret.stat().st_mode)), ("hunter3\n", 0o600))

    def test_nobody_else_may_write_the_access_file_whatever_the_umask(self):
        before = os.umask(0)
        try:
            made = security.Security(self.folder / "open-umask").make(self.authority)
        finally:
            os.umask(before)
        self.assertEqual(stat.S_IMODE(made.access_file.stat().st_mode), 0o644)

    def test_addresses_of_both_kinds_are_no_names(self):
        names = security.alternative_names(["2001:db8::7", "10.0.0.7", "10.shop"])
        self.assertEqual(names[-3:], ["IP:2001:db8::7", "IP:10.0.0.7", "DNS:10.shop"])

    def test_one_process_at_a_time_makes_an_authority(self):
        folder = self.folder / "shared"

        def make_key(path, really=authority.make_key):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                with self.assertRaises(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            finally:
                os.close(descriptor)
            really(path)

        with mock.patch.object(authority, "make_key", make_key):
            authority.Authority(folder)

    def test_an_authority_stays_until_it_is_about_to_expire(self):
        folder = self.folder / "another"
        first = authority.Authority(folder).certificate.read_bytes()
        self.assertEqual(authority.Authority(folder).certificate.read_bytes(), first)
        with mock.patch.object(authority, "RENEW_CA_BEFORE_S", (authority.CA_DAYS + 1) * 24 * 3600):
            renewed = authority.Authority(folder)
        self.assertNotEqual(renewed.certificate.read_bytes(), first)
        with self.assertRaisesRegex(cluster.ClusterError, "another one than when the cluster was started"):
            self.secured.renew(renewed)


class ThePage(unittest.TestCase):
    """The commands of docs/security.md, as they are pasted."""

    def test_its_certificates_are_good(self):
        (block,) = [text for text in blocks("docs/security.md") if "openssl req" in text]
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            subprocess.run(["bash", "-e", "-c", block], cwd=folder, capture_output=True, check=True, timeout=60)
            for certificate, purpose in (("node1.pem", "sslserver"), ("alice.pem", "sslclient")):
                authority.openssl("verify", "-CAfile", folder / "ca.pem", "-purpose", purpose, folder / certificate)
            for secret in ("ca.key", "node1.key", "alice.key"):
                self.assertEqual(stat.S_IMODE((folder / secret).stat().st_mode), 0o600, secret)


class Shown(unittest.TestCase):
    """A server of TLS that shows what it is told."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        folder = pathlib.Path(scratch.name)
        self.authority = authority.Authority(folder / "authority")
        self.secured = security.Security(folder)
        (folder / "ca.pem").write_bytes(self.authority.certificate.read_bytes())
        self.issue()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listener.close)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"

    def issue(self):
        self.authority.issue(self.secured.certificate("server"), self.secured.key("server"), ["IP:127.0.0.1"],
                             ["serverAuth"])

    def show(self):
        """To the next one who connects."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.secured.certificate("server"), self.secured.key("server"))

        def serve():
            connection, _ = self.listener.accept()
            with connection, contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as talk:
                talk.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 10)

    def shows(self):
        return rotation._shows(("node-1", self.address, False), self.secured)

    def test_the_present_certificate_is_told_from_the_former_one(self):
        self.show()
        self.assertTrue(self.shows())
        self.show()
        self.issue()
        self.assertFalse(self.shows())

    def test_a_server_of_another_authority_shows_nothing(self):
        self.show()
        other = authority.Authority(self.secured.folder / "other")
        (self.secured.folder / "ca.pem").write_bytes(other.certificate.read_bytes())
        self.assertFalse(self.shows())


class Flags(unittest.TestCase):
    NODES = [{"endpoint": "127.0.0.1:1", "admin": "127.0.0.1:2"}, {"endpoint": "127.0.0.1:3", "admin": "127.0.0.1:4"}]

    def test_operators_have_a_door_of_their_own(self):
        state = {"nodes": self.NODES, "secure": ""}
        self.assertEqual(security.endpoints(state, "viewer"), "127.0.0.1:2,127.0.0.1:4")
        self.assertEqual(security.endpoints(state, "service"), "127.0.0.1:1,127.0.0.1:3")

    def test_a_plain_cluster_needs_no_flags(self):
        self.assertEqual(security.client_flags({"nodes": self.NODES, "secure": ""}, "admin"), [])

    def test_servers_do_not_get_what_a_shell_has_to_call_another_cluster(self):
        variables = {"TRANCHE_ENDPOINT": "x", "TRANCHE_CLIENT_TLS_KEY": "x", "TRANCHE_TOKEN_FILE": "x", "TRANCHE_BIN": "b"}
        with mock.patch.dict("os.environ", variables, clear=True):
            self.assertEqual(cluster.environment(), {"TRANCHE_BIN": "b"})

    def test_a_shell_gets_no_variable_that_a_server_reads(self):
        lines = "\n".join(dev.exports({"nodes": self.NODES, "secure": ""}, "operator"))
        self.assertIn("export TRANCHE_ENDPOINT=", lines)
        self.assertIn("unset TRANCHE_CLIENT_TLS_CERTIFICATE", lines)
        self.assertNotIn("TRANCHE_TLS_", lines)

    def test_openssl_missing_is_said(self):
        with mock.patch.object(subprocess, "run", side_effect=FileNotFoundError), \
                self.assertRaisesRegex(cluster.ClusterError, "needs the command openssl"):
            authority.openssl("version")


if __name__ == "__main__":
    unittest.main()
