"""A draw: buyers enter it during all faults, and it is sealed, ranked and awarded while worker and PostgreSQL die."""

import json
import pathlib
import subprocess
import sys
import time

import chaos_cluster
import chaos_draw_check
from chaos_draw_check import LedgerEntry
from chaos_ledger import LedgerError
from chaos_load import CURRENCY, PRICE, STOP_TIMEOUT_S, TIMEOUT_MS
from chaos_process import Process
from cluster import BIN, ClusterError, log_tail

VERIFIER = pathlib.Path(__file__).resolve().parents[1] / "verify_draw.py"
# More winners than units: those who are left wait.
DRAWN, WINNERS, STOCK = "sneaker", 300, 200
ENTRIES_PER_S = 20
# The time within which a worker may be anywhere in a step.
MOMENT_S = 1.0
# Far beyond what a step takes: if it takes longer, it is broken, not slow.
STEP_TIMEOUT_S = 120
VERIFY_TIMEOUT_S = 120
LOOK_EVERY_S = 0.1


class Draw:
    """The operator's part, the crowd, and the verdict. Call in this order: set_up, start, stop, violations."""

    def __init__(self, cluster, operator, random):
        self._cluster, self._operator, self._random = cluster, operator, random
        self.entries_file = cluster.folder / "draw-entries"
        self._seed = cluster.folder / "draw.seed"
        self._process = None
        # As they were exported: (Merkle root, ids), and what the verifier found wrong.
        self._sealed = self._drawn = None
        self._unfit = []

    def set_up(self):
        """The policy comes first: a SKU without one would be sold to whoever is first."""
        self._operator.do("door", "set", DRAWN, "--draw", "--yes")
        self._operator.do("sku", "create", DRAWN, "--stock", STOCK, "--price", PRICE, "--currency", CURRENCY,
                          "--hold", "24h", "--per-user-limit", 1, "--no-presplit")
        self._operator.do("draw", "new-seed", self._seed)
        self._operator.do("draw", "create", DRAWN, "--winners", WINNERS, "--seed-file", self._seed, "--yes")

    def start(self):
        """When all nodes know the policy."""
        command = [BIN / "tranche-draw-load", "--endpoints", ",".join(self._cluster.node_addresses()), "--sku", DRAWN]
        command += ["--rate", ENTRIES_PER_S, "--timeout-ms", TIMEOUT_MS, "--entries", self.entries_file]
        command += self._cluster.doors.client_flags("service")
        self._process = Process(self._cluster.network, chaos_cluster.CLIENT, "tranche-draw-load", command,
                                self._cluster.folder / "draw.log")
        self._process.start()

    def running(self):
        return self._process.running()

    def stop(self):
        """Carries the draw through. Buyers enter until it is closed, and some of them a moment too late."""
        self._take("close", "CLOSED", "--no-wait")
        if self._process.terminate(STOP_TIMEOUT_S) != 0:
            raise ClusterError(f"tranche-draw-load failed:\n{log_tail(self._process.log_file)}")
        self._sealed = self._publish("sealed")
        self._take("seed", "DRAWN", "--seed-file", self._seed)
        # Winners are being given their units.
        self._kill_worker()
        places = min(WINNERS, len(self._sealed[1]), STOCK)
        self._await(f"{places} awards", lambda state, awarded: awarded >= places)
        self._drawn = self._publish("drawn")

    def kill(self):
        if self._process:
            self._process.kill()

    def answers(self):
        """To claims: there are none."""
        return []

    def violations(self, evidence):
        with open(self.entries_file) as lines:
            answers = [chaos_draw_check.parse(line) for line in lines]
        entries = [LedgerEntry(*row) for row in self._cluster.ledger.execute_file("chaos_draw_entries.sql")]
        rows = [row for row in evidence.rows if row.sku == DRAWN]
        found = (chaos_draw_check.check_crowd(answers)
                 + chaos_draw_check.check_entries(answers, entries, self._sealed[1], evidence.forgotten)
                 + chaos_draw_check.check_seal(self._sealed, self._drawn)
                 + chaos_draw_check.check_awards(entries, rows, WINNERS, STOCK) + self._unfit)
        return [f"the draw of {DRAWN}: {text}" for text in found]

    def _take(self, step, state, *flags):
        """The step is asked for while no worker runs; then PostgreSQL and the worker die at any moment of it."""
        (worker,) = self._cluster.workers
        worker.kill()
        self._ask(step, *flags, "--yes")
        worker.start()
        self._wait_a_moment()
        self._cluster.postgres.kill_with_children()
        self._cluster.postgres.start()
        self._cluster.await_postgres()
        self._kill_worker()
        self._await(f"the draw to be {state}", lambda now, awarded: now == state)

    def _ask(self, step, *flags):
        """Until it is done: nodes may not have found PostgreSQL again, and to repeat it is harmless."""
        deadline = time.monotonic() + STEP_TIMEOUT_S
        while (done := self._operator.run("draw", step, DRAWN, "--number", 1, *flags)).returncode != 0:
            if time.monotonic() > deadline:
                raise ClusterError(f"tranchectl draw {step}: {done.stderr.strip()}")
            time.sleep(LOOK_EVERY_S)

    def _kill_worker(self):
        (worker,) = self._cluster.workers
        self._wait_a_moment()
        worker.kill()
        worker.start()

    def _wait_a_moment(self):
        time.sleep(self._random.uniform(0, MOMENT_S))

    def _await(self, what, met):
        def is_met():
            try:
                ((state, awarded),) = self._cluster.ledger.execute_file("chaos_draw.sql")
            except LedgerError:
                return False
            return met(state, int(awarded))

        chaos_cluster.wait_until(is_met, what, STEP_TIMEOUT_S, LOOK_EVERY_S)

    def _publish(self, what):
        """What anybody can read then, and whether it fits."""
        published = self._cluster.folder / f"draw-{what}"
        self._ask("export", "--dir", published, "--force")
        command = [sys.executable, "-B", VERIFIER, published]
        done = subprocess.run(command, capture_output=True, text=True, timeout=VERIFY_TIMEOUT_S, check=False)
        self._unfit += chaos_draw_check.check_verifier(what, done.returncode, done.stdout + done.stderr)
        root = json.loads((published / "draw.json").read_text())["merkle_root"]
        return root, (published / "entries.txt").read_text().split()
