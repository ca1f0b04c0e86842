"""nginx's limit_req, asked what all limiters are asked (tests/benchmark/limiters/questions.h): a private nginx on a
free port, without logs, whose answer is an empty picture."""

import contextlib
import json
import math
import pathlib
import resource
import socket
import subprocess
import time

import cluster
import compare_limiter_kinds as kinds
from benchmark_generators import pinned
from cluster import ClusterError
from compare_limiter_http import BATCH, Caller
from compare_servers import CONNECT_TIMEOUT_S, Store
from queue_servers import free_port

NGINX, WRK = pathlib.Path("/usr/sbin/nginx"), pathlib.Path("/usr/bin/wrk")
RANDOM_KEY = cluster.ROOT / "tests" / "benchmark" / "limiters" / "random_key.lua"
WRK_PATIENCE_S = 60
# A state has 128 bytes on a 64-bit machine (nginx.org, ngx_http_limit_req_module); the zone has some pages more.
STATE_BYTES = 128
ROOM = 1.25
LIMITED, BARE = "/", "/bare"
# As tests/benchmark/limiters/questions.cc has them.
EDGE_FROM, EDGE_TAKES = 0.9, 0.2

# limit_req counts before the phase of contents, and `return` would answer before that: so it is a picture. Refusals go
# to no log: by default each would be a line of the error log.
CONFIG = """
daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  limit_req_zone $arg_key zone=keys:{zone_mib}m rate={rate};
  limit_req_status 429;
  limit_req_log_level info;
  server {{
    listen 127.0.0.1:{port} reuseport;
    location = {bare} {{ empty_gif; }}
    location = {limited} {{ limit_req zone=keys{excess}; empty_gif; }}
  }}
}}
"""


def rate_of(interval_ms):
    """nginx's word for one try in the interval: whole tries in a second or a minute. ValueError for others."""
    for unit, unit_ms in (("r/s", 1000), ("r/m", 60_000)):
        if unit_ms % interval_ms == 0:
            return f"{unit_ms // interval_ms}{unit}"
    raise ValueError(f"nginx has no rate of one in {interval_ms} ms")


class Nginx(Store):
    """`address` is its port. `zone_mib`: of the memory for its states."""

    name = package = "nginx"

    def __init__(self, folder, burst, interval_ms, zone_mib, workers=1):
        super().__init__(folder)
        self.address = free_port()
        self.zone_mib = zone_mib
        # The first try is no excess; and an excess of nothing is not to be said.
        excess = f" burst={burst - 1} nodelay" if burst > 1 else ""
        self._terms = {"excess": excess, "rate": rate_of(interval_ms), "zone_mib": zone_mib, "workers": workers}

    def require(self):
        for program, package in ((NGINX, "nginx"), (WRK, "wrk")):
            if not program.exists():
                raise ClusterError(f"{package} is not installed (scripts/install-packages compare)")

    def make_data(self):
        text = CONFIG.format(folder=self.folder, port=self.address, bare=BARE, limited=LIMITED, **self._terms)
        (self.folder / "nginx.conf").write_text(text)

    def command(self):
        return [NGINX, "-p", self.folder, "-c", self.folder / "nginx.conf", "-e", "stderr"]

    def serves(self):
        try:
            socket.create_connection(("127.0.0.1", self.address), timeout=CONNECT_TIMEOUT_S).close()
            return True
        except OSError:
            return False


def allowed(burst, interval_ms, seconds):
    """What a key that has not tried for long may have in this time."""
    return burst + int(seconds * 1000 / interval_ms)


def flood(callers, key, terms, seconds, clock=time.monotonic):
    """One key at all callers in turn."""
    tries, taken, began = 0, 0, clock()
    while True:
        for caller in callers:
            taken += sum(caller.tries([key]))
            tries += 1
        took = clock() - began
        if took >= seconds:
            return {"tries": tries, "taken": taken, "seconds": took,
                    "allowed": allowed(terms["burst"], terms["interval-ms"], took)}


def known_states(caller, filled):
    """How many of the keys that were tried once, in the order of their numbers, are still known: the oldest are
    forgotten first, so the boundary is found by halves. A key that is asked counts as new, and pushes one more out:
    about twenty of all. For a limit of one try."""
    low, high = 0, filled  # keys below `low` are forgotten, those from `high` on are known
    while low < high:
        middle = (low + high) // 2
        [forgotten] = caller.tries([middle])
        low, high = (middle + 1, high) if forgotten else (low, middle)
    return filled - low


def capacity(start, zone_mib):
    """States that a zone holds, how many keys tried once to find that out, and how many of these tries were refused.
    `start`: gives a context with a running nginx."""
    interval_ms = kinds.LASTING_INTERVAL_MS
    with start(1, interval_ms, zone_mib) as server, Caller(server.address) as caller:
        filled = int(ROOM * zone_mib * 2**20 / STATE_BYTES)
        began = time.monotonic()
        refused = filled - fill(caller, 0, filled)
        states = known_states(caller, filled)
        # Then the oldest ones would be let in although they are known.
        if time.monotonic() - began > interval_ms / 1000:
            raise ClusterError(f"it took too long to fill a zone of {zone_mib} MiB")
        if states == filled:
            raise ClusterError(f"a zone of {zone_mib} MiB has forgotten none of {filled} keys")
        return states, filled, refused


def fill(caller, first, count):
    """One try of each of these keys; how many were taken."""
    end = first + count
    return sum(sum(caller.tries(range(begin, min(end, begin + BATCH)))) for begin in range(first, end, BATCH))


def cpu_of_children_s():
    """What those have used that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def wrk(port, path, keys, connections, seconds, threads):
    """Requests with random keys, without a pause, from so many connections."""
    threads = min(threads, connections)
    command = [WRK, "-t", threads, "-c", connections, "-d", f"{seconds}s", "-s", RANDOM_KEY,
               f"http://127.0.0.1:{port}/", "--", keys, path]
    cpu_before_s = cpu_of_children_s()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False,
                          timeout=seconds + WRK_PATIENCE_S)
    cpu_s = cpu_of_children_s() - cpu_before_s
    if done.returncode != 0:
        raise ClusterError(f"wrk ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return kinds.with_bound(read_wrk(done.stdout, keys, connections) | {"cpu_seconds": cpu_s}, threads)


def read_wrk(text, keys, connections):
    """The last line is random_key.lua's."""
    found = json.loads(text.strip().splitlines()[-1])
    if found["failed"]:
        raise ClusterError(f"wrk: {found['failed']} of {found['checks']} requests failed")
    return {"keys": keys, "callers": connections, "batch": 1, "checks": found["checks"],
            "taken": found["checks"] - found["refused"], "seconds": found["seconds"],
            "per_s": found["checks"] / found["seconds"]}


class Questions:
    """One method for each question. `folder`: of the servers' files. `threads`: of wrk; `workers`: of nginx; `servers`:
    the processors of nginx."""

    def __init__(self, folder, plan, workers, threads, servers):
        self._folder, self._plan, self._workers, self._threads = folder, plan, workers, threads
        self._servers = servers

    @contextlib.contextmanager
    def _start(self, burst, interval_ms, zone_mib):
        server = Nginx(self._folder, burst, interval_ms, zone_mib, self._workers)
        try:
            with pinned(self._servers):
                server.start()
            yield server
        finally:
            server.stop()

    def exact(self):
        terms = kinds.terms("exact", self._plan)
        with self._start(terms["burst"], terms["interval-ms"], 1) as server, Caller(server.address) as caller:
            stream = flood([caller], 0, terms, terms["seconds"])
            period_s = terms["burst"] * terms["interval-ms"] / 1000
            touched = time.monotonic()
            if caller.tries([1]) != [True]:
                raise ClusterError("the first try of a key was refused")
            time.sleep(EDGE_FROM * period_s)  # the pause is what is measured
            if time.monotonic() - touched >= period_s:
                raise ClusterError("the machine is too slow to look at an edge")
            return {"stream": stream, "edge": flood([caller], 1, terms, EDGE_TAKES * period_s)}

    def speed(self):
        terms = kinds.terms("speed", self._plan)
        zone_mib = math.ceil(ROOM * terms["keys"] * STATE_BYTES / 2**20)
        with self._start(terms["burst"], terms["interval-ms"], zone_mib) as server:
            with Caller(server.address) as caller:
                fill(caller, 0, terms["keys"])

            def ask(path, connections):
                return wrk(server.address, path, terms["keys"], connections, terms["seconds"], self._threads)

            return {"bare": ask(BARE, kinds.MANY), "one": ask(LIMITED, 1), "many": ask(LIMITED, kinds.MANY)}

    def memory(self):
        states, tried, refused = capacity(self._start, self._plan.store_mib)
        return {"keys": states, "tried": tried, "used_bytes": self._plan.store_mib << 20, "resident_bytes": None,
                "refused": refused}

    def evicted(self):
        terms = kinds.terms("evicted", self._plan)
        fit, _, _ = capacity(self._start, self._plan.store_mib)
        victims, burst = terms["victims"], terms["burst"]
        with (self._start(burst, terms["interval-ms"], self._plan.store_mib) as server,
              Caller(server.address) as caller):
            began = time.monotonic()
            taken = [sum(caller.tries([key] * burst)) for key in range(victims)]
            came = terms["times"] * fit
            came_taken = fill(caller, victims, came)
            taken = [before + sum(caller.tries([key] * burst)) for key, before in enumerate(taken)]
            took = time.monotonic() - began
        most = allowed(burst, terms["interval-ms"], took)
        return {"fit": fit, "came": came, "came_refused": came - came_taken, "victims": victims, "burst": burst,
                "above": sum(max(0, of_victim - most) for of_victim in taken), "seconds": took}

    def sprayed(self):
        terms = kinds.terms("sprayed", self._plan)
        with contextlib.ExitStack() as end:
            servers = [end.enter_context(self._start(terms["burst"], terms["interval-ms"], 1))
                       for _ in range(terms["nodes"])]
            callers = [end.enter_context(Caller(server.address)) for server in servers]
            return flood(callers, 0, terms, terms["seconds"]) | {"nodes": terms["nodes"]}
