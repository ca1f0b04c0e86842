"""A certificate authority for private clusters: the command openssl, keys on the curve P-256."""

import contextlib
import fcntl
import os
import pathlib
import secrets
import subprocess
import tempfile

from cluster import ClusterError

CA_DAYS = 365
CERTIFICATE_DAYS = 30
# No certificate outlives its authority.
RENEW_CA_BEFORE_S = (CERTIFICATE_DAYS + 1) * 24 * 3600
SECONDS_PER_OPENSSL = 60

CA_CONFIG = """
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = Tranche private clusters
[extensions]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""
# Without a common name that anybody might rely on: only the alternative names count.
CERTIFICATE_CONFIG = """
[req]
prompt = no
distinguished_name = name
[name]
O = Tranche private clusters
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = {usage}
subjectAltName = {names}
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def openssl(*args):
    """Runs the command; files that it writes are for nobody else."""
    command = ["openssl", *(str(arg) for arg in args)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, umask=0o077,
                              timeout=SECONDS_PER_OPENSSL)
    except FileNotFoundError:
        raise ClusterError("needs the command openssl (package openssl)") from None
    if done.returncode != 0:
        raise ClusterError(f"openssl {args[0]}: {done.stderr.strip()}")
    return done.stdout


def make_key(path):
    openssl("genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)


def valid_for(certificate, seconds):
    """Whether it lasts that long from now on."""
    command = ["openssl", "x509", "-in", str(certificate), "-noout", "-checkend", str(seconds)]
    try:
        return subprocess.run(command, capture_output=True, timeout=SECONDS_PER_OPENSSL).returncode == 0
    except FileNotFoundError:
        raise ClusterError("needs the command openssl (package openssl)") from None


class Authority:
    """Its key and its certificate are in `folder`. Made when there are none, made anew before they expire."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.certificate, self._key = self.folder / "ca.pem", self.folder / "ca.key"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked():
            made = self._key.exists() and self.certificate.exists()
            if not (made and valid_for(self.certificate, RENEW_CA_BEFORE_S)):
                self._make()

    @contextlib.contextmanager
    def _locked(self):
        """Several clusters may have one authority, and start at the same time."""
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _make(self):
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            key, certificate, config = (pathlib.Path(scratch) / name for name in ("key", "certificate", "config"))
            config.write_text(CA_CONFIG)
            make_key(key)
            openssl("req", "-x509", "-new", "-key", key, "-days", CA_DAYS, "-config", config, "-out", certificate)
            os.replace(key, self._key)
            os.replace(certificate, self.certificate)

    def issue(self, certificate, key, names, usage, give=lambda path: None):
        """Writes a new pair to these two paths. `names`: of openssl's subjectAltName; `usage`: serverAuth, clientAuth.

        Each file appears whole, the key last; between the two they do not fit. `give` is called with each before.
        """
        with tempfile.TemporaryDirectory(dir=pathlib.Path(certificate).parent) as scratch:
            new_key, request, signed, config = (pathlib.Path(scratch) / name for name in ("key", "csr", "pem", "config"))
            config.write_text(CERTIFICATE_CONFIG.format(names=", ".join(names), usage=", ".join(usage)))
            make_key(new_key)
            openssl("req", "-new", "-key", new_key, "-config", config, "-out", request)
            with self._locked():
                openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-set_serial",
                        f"0x{secrets.token_hex(16)}", "-days", CERTIFICATE_DAYS, "-extfile", config,
                        "-extensions", "extensions", "-out", signed)
            signed.chmod(0o644)
            for new, path in ((signed, certificate), (new_key, key)):
                give(new)
                os.replace(new, path)
