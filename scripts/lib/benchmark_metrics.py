"""What metrics cost: "sold out" answers of a node that shows them beside one that does not, and the time of a scrape."""

import contextlib
import pathlib
import statistics
import tempfile
import threading
import time
import urllib.request

from benchmark_answers import compare, sold_out_node
from benchmark_cluster import run, running_cluster

SKUS = 10_000
SCRAPES = 20
SCRAPE_EVERY_S = 1
PATIENCE_S = 300


class Scraper:
    """Reads a node's metrics every second, on a thread, until it is closed."""

    def __init__(self, port):
        self._port = port
        self._stop = threading.Event()
        self.times_ms = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(SCRAPE_EVERY_S):
            self.times_ms.append(scrape(self._port)[0])

    def close(self):
        self._stop.set()
        self._thread.join()


def scrape(port):
    """(milliseconds, text) of one look at /metrics."""
    begun = time.monotonic()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return 1e3 * (time.monotonic() - begun), text


def samples(text):
    """The values by name{labels}."""
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in lines}


@contextlib.contextmanager
def showing_cluster():
    """A cluster of one node that shows its metrics: its endpoint, its port for them, and a folder."""
    with tempfile.TemporaryDirectory(prefix="tranche-benchmark-") as folder:
        port_file = pathlib.Path(folder) / "metrics.port"
        flags = ("--metrics-listen", "127.0.0.1:0", "--metrics-port-file", port_file)
        with running_cluster(nodes=1, node_args=flags) as (endpoints, _, files):
            yield endpoints[0], int(port_file.read_text()), files


def compare_with_silent(options):
    """With metrics and a scrape each second, beside without."""
    with tempfile.TemporaryDirectory(prefix="tranche-benchmark-") as folder:
        port_file = pathlib.Path(folder) / "metrics.port"
        flags = ("--metrics-listen", "127.0.0.1:0", "--metrics-port-file", port_file)
        with sold_out_node(node_args=flags) as showing, sold_out_node() as silent:
            scraper = Scraper(int(port_file.read_text()))
            try:
                ratios = compare({"with metrics": showing, "without": silent}, "without", options.rounds)
            finally:
                scraper.close()
    return {"ratios": ratios, "scrapes_ms": scraper.times_ms}


def scrape_many_skus():
    with showing_cluster() as (endpoint, port, _):
        run("many_skus", "--endpoint", endpoint, "--count", SKUS)
        give_up = time.monotonic() + PATIENCE_S
        while samples(scrape(port)[1])["tranche_skus"] < SKUS:
            if time.monotonic() > give_up:
                raise RuntimeError(f"the node does not know {SKUS:,} SKUs after {PATIENCE_S} s")
            time.sleep(1)
        looks = [scrape(port) for _ in range(SCRAPES)]
        times = sorted(ms for ms, _ in looks)
        text = looks[-1][1]
        figures = {"skus": SKUS, "median_ms": statistics.median(times), "most_ms": times[-1], "bytes": len(text),
                   "series": len(samples(text))}
        print(f"a scrape with {SKUS:,} SKUs: {figures['median_ms']:.1f} ms (median of {SCRAPES}; at most "
              f"{figures['most_ms']:.1f}), {figures['series']:,} series, {figures['bytes'] / 1024:.0f} KiB", flush=True)
        return figures


def metrics(options):
    return {"sold out": compare_with_silent(options), "scrape": scrape_many_skus()}
