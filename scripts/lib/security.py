"""The certificates, the access file and the secrets of a secured private cluster, and the flags that name them.

This is the one place that knows how a secured cluster is started and called. tranche-cluster
(tests/support/cluster_main.cc) knows the names of PostgreSQL's files and ca.pem.
"""

import hashlib
import ipaddress
import json
import os
import pathlib
import secrets
import shutil
import socket

from cluster import ClusterError, admin_endpoints

# Whoever calls: one principal for each role, of the same name.
ROLES = ("storefront", "service", "risk", "viewer", "operator", "admin")
WITH_TOKEN = ("storefront", "operator")
# Those who are no buyers' services call the operators' door.
AT_BUYERS_DOOR = ("storefront", "service")
TRUST_DOMAIN = "spiffe://tranche.dev"
POSTGRES_USER = "postgres"
SECRET_MODE = 0o600


def identity(principal):
    return f"URI:{TRUST_DOMAIN}/{principal}"


def is_address(host):
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def alternative_names(hosts):
    """Of this machine and these hosts, for openssl's subjectAltName."""
    names = ["DNS:localhost", f"DNS:{socket.gethostname()}", "IP:127.0.0.1"]
    for host in hosts:
        names.append(f"IP:{host}" if is_address(host) else f"DNS:{host}")
    return list(dict.fromkeys(names))


def write_secret(path, text):
    """Never readable for others, not even for a moment. A reader sees the old file or the new one."""
    new = f"{path}.{secrets.token_hex(8)}"
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE), "w") as file:
        file.write(text + "\n")
    os.replace(new, path)


def new_token():
    """As `tranchectl token new` makes them."""
    return f"trt_{secrets.token_urlsafe(32)}"


def token_digest(token):
    """As access files have it."""
    return hashlib.sha256(token.encode()).hexdigest()


def _give_to_postgres(path):
    """The server reads its key as its own user, when we are root."""
    if os.geteuid() == 0:
        shutil.chown(path, POSTGRES_USER, POSTGRES_USER)


class Security:
    """What is in one folder. Make it with make(); another process then finds it by the folder alone."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.ca = self.folder / "ca.pem"
        self.access_file = self.folder / "access.json"
        self.postgres_password_file = self.folder / "postgres.password"
        self.zookeeper_auth_file = self.folder / "zookeeper.auth"

    def make(self, authority, hosts=()):
        """Everything, for servers on this machine and on `hosts`. Returns itself."""
        self.folder.mkdir(mode=0o755)
        shutil.copyfile(authority.certificate, self.ca)
        self.ca.chmod(0o644)
        (self.folder / "hosts").write_text("".join(f"{host}\n" for host in hosts))
        self.renew(authority)
        write_secret(self.postgres_password_file, secrets.token_urlsafe(24))
        write_secret(self.zookeeper_auth_file, f"tranche:{secrets.token_urlsafe(24)}")
        for principal in WITH_TOKEN:
            write_secret(self.token_file(principal), new_token())
        self.access_file.write_text(json.dumps(self._access(), indent=2) + "\n")
        # Whatever the umask is: servers refuse one that everybody may write.
        self.access_file.chmod(0o644)
        return self

    def renew(self, authority):
        """New certificates and keys for everybody, also while the processes run."""
        if authority.certificate.read_bytes() != self.ca.read_bytes():
            raise ClusterError("the authority is another one than when the cluster was started: scripts/dev down, then "
                               "scripts/dev up --secure")
        names = alternative_names((self.folder / "hosts").read_text().split())
        authority.issue(self.certificate("server"), self.key("server"), names, ["serverAuth"])
        authority.issue(self.certificate("postgres"), self.key("postgres"), names, ["serverAuth"], _give_to_postgres)
        for principal in ROLES:
            authority.issue(self.certificate(principal), self.key(principal), [identity(principal)], ["clientAuth"])

    def _access(self):
        principals = []
        for role in ROLES:
            principal = {"name": role, "roles": [role], "certificates": [identity(role)]}
            if role in WITH_TOKEN:
                token = self.token_file(role).read_text().strip()
                principal["tokens_sha256"] = [token_digest(token)]
            principals.append(principal)
        return {"anonymous": [], "principals": principals}

    def certificate(self, name):
        return self.folder / f"{name}.pem"

    def key(self, name):
        return self.folder / f"{name}.key"

    def token_file(self, principal):
        return self.folder / f"{principal}.token"

    # The servers

    def _door_flags(self):
        return ["--tls-certificate", self.certificate("server"), "--tls-key", self.key("server"),
                "--tls-client-ca", self.ca]

    def _backend_flags(self):
        return ["--postgres-password-file", self.postgres_password_file]

    def node_flags(self):
        return [*self._door_flags(), *self._backend_flags(), "--zookeeper-auth-file", self.zookeeper_auth_file,
                "--access-file", self.access_file]

    def balancer_flags(self, metrics):
        """`metrics`: it shows them; the certificates are about that door."""
        return [*(self._door_flags() if metrics else []), *self._backend_flags(), "--zookeeper-auth-file",
                self.zookeeper_auth_file]

    def consumer_flags(self):
        """It needs what a balancer that shows its metrics needs."""
        return self.balancer_flags(metrics=True)

    def worker_flags(self, metrics):
        return [*(self._door_flags() if metrics else []), *self._backend_flags()]

    # The callers

    def client_flags(self, principal, by_token=False):
        """Of tranchectl and tranche-load."""
        return [part for name, value in self.client_settings(principal, by_token).items()
                for part in (f"--{name.replace('_', '-')}", value)]

    def client_settings(self, principal, by_token=False):
        """By the flags' names, with _ for -."""
        if principal not in ROLES:
            raise ClusterError(f"no principal {principal}; there are {', '.join(ROLES)}")
        if not by_token:
            return {"tls_ca": self.ca, "tls_certificate": self.certificate(principal), "tls_key": self.key(principal)}
        if principal not in WITH_TOKEN:
            raise ClusterError(f"{principal} has a certificate and no token; tokens have {', '.join(WITH_TOKEN)}")
        return {"tls_ca": self.ca, "token_file": self.token_file(principal)}

    def all_secrets(self):
        """Name and text of each secret; of a key, its two lines, of which each has private bits."""
        found = {}
        for file in (self.postgres_password_file, *map(self.token_file, WITH_TOKEN)):
            found[file.name] = file.read_text().strip()
        found[self.zookeeper_auth_file.name] = self.zookeeper_auth_file.read_text().strip().partition(":")[2]
        for file in self.folder.glob("*.key"):
            for number, line in enumerate(file.read_text().splitlines()[1:3], start=1):
                found[f"{file.name}, line {number}"] = line
        return found


def of_state(state):
    """Of a running cluster; None: it is not secured."""
    return Security(state["secure"]) if state.get("secure") else None


def endpoints(state, principal="operator"):
    """HOST:PORT,HOST:PORT of the nodes' doors for this principal."""
    if principal in AT_BUYERS_DOOR:
        return ",".join(node["endpoint"] for node in state["nodes"])
    return admin_endpoints(state)


def client_flags(state, principal="operator", by_token=False):
    """What tranchectl and tranche-load need to call the cluster as this principal; nothing if it is not secured."""
    secured = of_state(state)
    return [str(flag) for flag in secured.client_flags(principal, by_token)] if secured else []
