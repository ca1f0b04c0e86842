"""A SKU whose claims are queued: the crowd that claims it, and what must have become of each claim in the end."""

import chaos_cluster
import chaos_queue_check
from chaos_answers import Tail
from chaos_load import CURRENCY, PRICE, STOP_TIMEOUT_S, TIMEOUT_MS
from chaos_process import Process
from cluster import BIN, ClusterError, log_tail

# It never runs out. That a claim is refused is due to the limit: one buyer in ten claims twice.
QUEUED, STOCK, LIMIT, TWICE_ONE_IN = "poster", 1_000_000, 1, 10
CLAIMS_PER_S = 20
# Asks for decisions for so long at the end, when nothing is at fault any more.
FINISH_S = 90


class Queue:
    """The operator's part, the crowd, and the verdict. Call in this order: set_up, start, stop, violations."""

    def __init__(self, cluster, operator):
        self._cluster, self._operator = cluster, operator
        self.answers_file = cluster.folder / "queue-answers"
        self._process = self._tail = None

    def set_up(self):
        self._operator.do("sku", "create", QUEUED, "--stock", STOCK, "--price", PRICE, "--currency", CURRENCY,
                          "--hold", "24h", "--per-user-limit", LIMIT, "--path", "queue")

    def start(self):
        """When all nodes know the key."""
        command = [BIN / "tranche-queue-load", "--endpoints", ",".join(self._cluster.node_addresses()), "--sku", QUEUED]
        command += ["--rate", CLAIMS_PER_S, "--twice-one-in", TWICE_ONE_IN, "--timeout-ms", TIMEOUT_MS]
        command += ["--finish-s", FINISH_S, "--answers", self.answers_file]
        command += self._cluster.doors.client_flags("service")
        self._process = Process(self._cluster.network, chaos_cluster.CLIENT, "tranche-queue-load", command,
                                self._cluster.folder / "queue.log")
        self._process.start()
        self._tail = QueueTail(self.answers_file)

    def running(self):
        return self._process.running()

    def queued_since(self, since):
        with self._tail.lock:
            return self._tail.tally.queued_since(since)

    def decided_since(self, since):
        with self._tail.lock:
            return self._tail.tally.decided_since(since)

    def stop(self):
        """Ends the claims; the crowd then asks until each is decided."""
        if self._process.terminate(STOP_TIMEOUT_S) != 0:
            raise ClusterError(f"tranche-queue-load failed:\n{log_tail(self._process.log_file)}")
        self._tail.stop()

    def kill(self):
        if self._process:
            self._process.kill()
        if self._tail:
            self._tail.stop()

    def answers(self):
        """As of claims that are decided at once: there are none."""
        return []

    def violations(self, evidence):
        with open(self.answers_file) as lines:
            told = chaos_queue_check.collect(map(chaos_queue_check.parse, lines))
        rows = [chaos_queue_check.to_row(row) for row in self._cluster.ledger.execute_file("chaos_queue_rows.sql")]
        found = (chaos_queue_check.check_crowd(told)
                 + chaos_queue_check.check_decisions(told, evidence.forgotten_spans)
                 + chaos_queue_check.check_rows(told, rows, evidence.forgotten_spans)
                 + chaos_queue_check.check_stock(rows, STOCK, LIMIT))
        return [f"{QUEUED}: {text}" for text in found]


class QueueTail(Tail):
    """Follows the answers of a tranche-queue-load."""

    def __init__(self, path):
        self.tally = chaos_queue_check.QueueTally()
        super().__init__(path, lambda line: self.tally.add(chaos_queue_check.parse(line)))
