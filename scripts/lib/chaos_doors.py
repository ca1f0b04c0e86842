"""Who may do what in the cluster under test: everybody everything, or (--secure) only who shows a certificate."""

import json

import authority
import security
from chaos_zookeeper import Session, connect

EVERYBODY = {"anonymous": list(security.ROLES), "principals": []}
NETWORK = "10.77.0.0/16"


class OpenDoors:
    """The access file is there so that operators are served at an address that others reach, too."""

    postgres_settings = {}
    dsn_options = ""
    postgres_access = f"local all all trust\nhost all all {NETWORK} trust\n"

    def __init__(self, folder):
        self._access_file = folder / "access.json"
        self._access_file.write_text(json.dumps(EVERYBODY) + "\n")

    def node_flags(self):
        return ["--access-file", self._access_file]

    def balancer_flags(self):
        return []

    def worker_flags(self):
        return []

    def client_flags(self, principal):
        return []

    def postgres_password(self):
        return None

    def zookeeper_session(self, network, from_host, server):
        return Session(server, lambda: connect(network, from_host, server))


class SecuredDoors:
    """`hosts`: the addresses of all nodes and of PostgreSQL."""

    postgres_access = f"local all postgres trust\nhostssl all all {NETWORK} scram-sha-256\n"

    def __init__(self, folder, hosts):
        self._secured = security.Security(folder / "security").make(authority.Authority(folder / "authority"), hosts)
        self.dsn_options = f" sslmode=verify-full sslrootcert={self._secured.ca}"
        self.postgres_settings = {"ssl": "on", "ssl_cert_file": self._secured.certificate("postgres"),
                                  "ssl_key_file": self._secured.key("postgres")}

    def node_flags(self):
        return self._secured.node_flags()

    def balancer_flags(self):
        return self._secured.balancer_flags(metrics=False)

    def worker_flags(self):
        return self._secured.worker_flags(metrics=False)

    def client_flags(self, principal):
        return self._secured.client_flags(principal)

    def postgres_password(self):
        return self._secured.postgres_password_file.read_text().strip()

    def zookeeper_session(self, network, from_host, server):
        return Session(server, lambda: connect(network, from_host, server),
                       self._secured.zookeeper_auth_file.read_text().strip())
