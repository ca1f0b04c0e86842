"""New certificates for a secured cluster while it runs, and whether its servers show them."""

import pathlib
import socket
import ssl
import struct
import subprocess
import time

import cluster
import security
from cluster import ClusterError

# Servers look at their files about once a second.
SHOWN_TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 5
# gRPC speaks the first, the doors of metrics the second.
PROTOCOLS = ["h2", "http/1.1"]
# PostgreSQL's question whether the server takes TLS on this connection; "S" is yes.
POSTGRES_SSL_REQUEST, POSTGRES_YES = struct.pack(">II", 8, 80877103), b"S"


def shown_certificate(address, ca, postgres=False):
    """The server's own one, as PEM. It must be valid for the address, by this authority."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context(cafile=str(ca))
    with socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S) as raw:
        if postgres:
            raw.sendall(POSTGRES_SSL_REQUEST)
            if raw.recv(1) != POSTGRES_YES:
                raise ssl.SSLError(f"PostgreSQL at {address} takes no TLS")
        else:
            context.set_alpn_protocols(PROTOCOLS)
        with context.wrap_socket(raw, server_hostname=host) as connection:
            return ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True))


def doors(state):
    """(name, address, whether it is PostgreSQL) of everything that shows a server's certificate."""
    found = [("postgres", postgres_address(state), True)]
    for process in cluster.servers(state):
        for what in ("endpoint", "admin", "metrics"):
            if process.get(what):
                found.append((f"{process['name']} {what}", process[what], False))
    return found


def postgres_address(state):
    words = dict(word.split("=", 1) for word in state["postgres"]["app"].split())
    return f"{words['host']}:{words['port']}"


def rotate(state, authority):
    """Returns when every door shows its new certificate: the names of the doors."""
    secured = security.of_state(state)
    if not secured:
        raise ClusterError("the cluster is not secured, so it has no certificates; see scripts/dev up --secure")
    secured.renew(authority)
    # The others look at their files themselves.
    done = subprocess.run(["psql", "-X", "-q", "-c", "SELECT pg_reload_conf()", state["postgres"]["superuser"]],
                          capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise ClusterError(f"psql: {done.stderr.strip()}")
    return await_shown(state, secured)


def await_shown(state, secured):
    left, deadline = doors(state), time.monotonic() + SHOWN_TIMEOUT_S
    names = [name for name, _, _ in left]
    while left := [door for door in left if not _shows(door, secured)]:
        if time.monotonic() > deadline:
            raise ClusterError(f"the former certificate is still shown by {', '.join(name for name, _, _ in left)}")
        time.sleep(0.2)
    return names


def _shows(door, secured):
    _, address, postgres = door
    file = secured.certificate("postgres" if postgres else "server")
    try:
        shown = shown_certificate(address, secured.ca, postgres)
    except OSError:  # also TLS's errors: a pair is being replaced
        return False
    return shown.split() == pathlib.Path(file).read_text().split()
