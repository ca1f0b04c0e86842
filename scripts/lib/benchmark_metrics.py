"""What metrics cost: "sold out" answers of a node that shows them beside one that does not, and the time of a scrape."""

import contextlib
import json
import pathlib
import statistics
import tempfile
import threading
import time
import urllib.request

from benchmark_cluster import load, open_sale, run, running_cluster

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


def sell_out(endpoint, folder):
    open_sale(endpoint, "tv", 100)
    load(folder, [endpoint], "tv", "--requests", 2000, "--in-flight", 64)


def rates(endpoint, folder):
    """Sold-out answers per second, by the form of the answer."""
    report = folder / "sold_out.json"
    run("bench_sold_out", "--endpoint", endpoint, "--sku", "tv", "--rounds", 1, "--seconds", 2, "--json", report,
        show=False)
    return {form: figures["median_per_second"] for form, figures in json.loads(report.read_text())["sold_out"].items()}


def compare(options):
    """With and without, in turns; each is first as often as the other."""
    rounds = {"with": [], "without": []}
    with showing_cluster() as (showing, port, showing_files), running_cluster(nodes=1) as (silent, _, silent_files):
        clusters = {"with": (showing, showing_files), "without": (silent[0], silent_files)}
        for endpoint, files in clusters.values():
            sell_out(endpoint, files)
            rates(endpoint, files)  # connections and caches
        scraper = Scraper(port)
        try:
            for turn in range(2 * options.rounds):
                for name in sorted(clusters, reverse=bool(turn % 2)):
                    rounds[name].append(rates(*clusters[name]))
        finally:
            scraper.close()
    ratios = {}
    for form in rounds["with"][0]:
        of_rounds = [shown[form] / silent[form] for shown, silent in zip(rounds["with"], rounds["without"])]
        ratios[form] = statistics.median(of_rounds)
        print(f"{form:8} with metrics, and a scrape each second: {100 * ratios[form]:.1f} % of the rate without "
              f"(rounds {100 * min(of_rounds):.0f} to {100 * max(of_rounds):.0f} %)", flush=True)
    return {"rounds": rounds, "ratios": ratios, "scrapes_ms": scraper.times_ms}


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
    return {"sold out": compare(options), "scrape": scrape_many_skus()}
