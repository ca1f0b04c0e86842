"""Who may do what in the cluster under test: everybody everything, or (--secure) only who shows a certificate."""

import authority
import security
from chaos_zookeeper import Session, connect

NETWORK = "10.77.0.0/16"
# The nodes' default: the one after theirs.
ADMIN_PORT = 7401


class OpenDoors:
    """Operators are served by each node on its own host only."""

    postgres_settings = {}
    dsn_options = ""
    postgres_access = f"local all all trust\nhost all all {NETWORK} trust\n"

    def node_flags(self):
        return []

    def balancer_flags(self):
        return []

    def worker_flags(self):
        return []

    def consumer_flags(self):
        return []

    def client_flags(self, principal):
        return []

    def desks(self, network, nodes, client):
        """(host, endpoints): where operators work, one after the other if they cannot connect."""
        return [(node.host, f"127.0.0.1:{ADMIN_PORT}") for node in nodes]

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

    def consumer_flags(self):
        return self._secured.consumer_flags()

    def client_flags(self, principal):
        return self._secured.client_flags(principal)

    def desks(self, network, nodes, client):
        return [(client, ",".join(f"{network.address(node.host)}:{ADMIN_PORT}" for node in nodes))]

    def postgres_password(self):
        return self._secured.postgres_password_file.read_text().strip()

    def zookeeper_session(self, network, from_host, server):
        return Session(server, lambda: connect(network, from_host, server),
                       self._secured.zookeeper_auth_file.read_text().strip())
