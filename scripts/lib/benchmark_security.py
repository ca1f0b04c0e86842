"""What an access file and TLS cost: "sold out" answers of nodes that have them beside one that has neither; and a node's
memory for a connection with TLS."""

import contextlib
import json
import pathlib
import socket
import ssl
import tempfile

import authority
import security as cluster_security
from benchmark_answers import compare, sold_out_node
from benchmark_cluster import memory_mib

CONNECTIONS = 500
TIMEOUT_S = 10
# What a client of HTTP/2 says first: it is one, and has no settings.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


def _access(folder):
    """An access file and its only principal's token file."""
    token = cluster_security.new_token()
    access_file, token_file = folder / "access.json", folder / "principal.token"
    cluster_security.write_secret(token_file, token)
    principal = {"name": "everybody", "roles": ["service", "operator"],
                 "tokens_sha256": [cluster_security.token_digest(token)]}
    access_file.write_text(json.dumps({"anonymous": [], "principals": [principal]}))
    access_file.chmod(0o644)
    return access_file, token_file


def _connect(endpoint, secured):
    """A connection with TLS on which nothing is asked."""
    host, port = endpoint.rsplit(":", 1)
    context = ssl.create_default_context(cafile=secured.ca)
    context.load_cert_chain(secured.certificate("service"), secured.key("service"))
    context.set_alpn_protocols(["h2"])
    plain = socket.create_connection((host, int(port)), timeout=TIMEOUT_S)
    try:
        connection = context.wrap_socket(plain, server_hostname=host)
        connection.sendall(PREFACE)
        if not connection.recv(1):
            raise RuntimeError(f"{endpoint} has closed a connection")
        return connection
    except BaseException:
        plain.close()
        raise


def memory_of_connections(door, secured):
    """How many KiB a node needs for each."""
    before = memory_mib(door.pid, "VmRSS")
    with contextlib.ExitStack() as opened:
        for _ in range(CONNECTIONS):
            opened.enter_context(_connect(door.endpoint, secured))
        kib = 1024 * (memory_mib(door.pid, "VmRSS") - before) / CONNECTIONS
    print(f"a connection with TLS takes {kib:.0f} KiB of the node's memory ({CONNECTIONS} of them)", flush=True)
    return kib


def security(options):
    with tempfile.TemporaryDirectory(prefix="tranche-benchmark-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)  # PostgreSQL reads its key there as its own user
        access_file, token_file = _access(folder)
        secured = cluster_security.Security(folder / "security").make(authority.Authority(folder / "authority"))
        with (sold_out_node() as plain,
              sold_out_node(lambda role: ["--token-file", token_file], node_args=("--access-file", access_file)) as roles,
              sold_out_node(secured.client_flags, secured=secured) as tls):
            doors = {"with roles": roles, "with TLS and roles": tls, "with neither": plain}
            # First, while the node has no freed memory to use again.
            kib = memory_of_connections(tls, secured)
            return {"answers": compare(doors, "with neither", options.rounds), "connection_kib": kib}
