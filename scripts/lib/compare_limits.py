"""What the machine itself can do, in the same run: answers of a bare gRPC server, and flushes of its disk."""

import os
import time

import cluster
from compare_load import REFUSE_WINDOW, Claims, seconds
from compare_process import Launch, Program

# As PostgreSQL's log: pages of a file that has its size already, one flush after each.
PAGE, PAGES = 8192, 2048


def fsync_per_s(folder, duration_s, clock=time.monotonic):
    """Pages per second that are written and flushed (fdatasync), one after the other."""
    path = folder / "fsync.probe"
    page = os.urandom(PAGE)
    try:
        with open(path, "wb", buffering=0) as file:
            file.write(page * PAGES)
            os.fsync(file.fileno())
            began, count = clock(), 0
            while (took := clock() - began) < duration_s:
                os.pwrite(file.fileno(), page, count % PAGES * PAGE)
                os.fdatasync(file.fileno())
                count += 1
            return count / took
    finally:
        path.unlink(missing_ok=True)


def echo_per_s(place, duration_s):
    """Answers per second of the echo server (tests/benchmark/echo_server.h) to the generator that all sellers have."""
    port_file = place.folder / "echo.port"
    launch = Launch((str(cluster.BIN / "bench_sold_out"), "--serve-echo", str(port_file)), cluster.environment(),
                    str(cluster.ROOT))
    server = Program("echo", launch, place.folder / "echo.log", port_file).start()
    try:
        claims = Claims(place, server.endpoint, "echo")
        flags = ("--in-flight", REFUSE_WINDOW)
        claims.run(["echo"], "--duration", seconds(duration_s / 3), *flags)  # connections
        summary = claims.run(["echo"], "--duration", seconds(duration_s), *flags).summary
        return summary["totals"]["created"] / summary["wall_seconds"]
    finally:
        server.stop()


def measure(place, duration_s):
    return {"echo_per_s": echo_per_s(place, duration_s), "fsync_per_s": fsync_per_s(place.folder, min(2, duration_s))}
