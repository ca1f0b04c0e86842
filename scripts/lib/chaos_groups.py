"""A SKU that is bought in groups: the crowd that opens, joins, pays and leaves them, and the verdict."""

import chaos_cluster
import chaos_groups_check
from chaos_groups_check import Member
from chaos_ledger import LedgerError
from chaos_load import CURRENCY, PRICE, STOP_TIMEOUT_S, TIMEOUT_MS
from chaos_process import Process
from cluster import BIN, ClusterError, log_tail

# It never runs out: what a group decides must not depend on units.
GROUPED, STOCK = "hamper", 1_000_000
BUYERS_PER_S = 20
OPEN_S, PAY_S = 15, 8
# Of a name, as tranchectl takes them.
OFFERS = {"trio": ("--seats", 3), "dozen": ("--seats", 12, "--on-timeout", "partial", "--min-members", 4)}
# After its deadline a group ends within a second; the ledger may have been away, and the worker is started again.
OVER_WITHIN_S = OPEN_S + 60
LOOK_EVERY_S = 0.5


class Groups:
    """The operator's part, the crowd, and the verdict. Call in this order: set_up, start, stop, violations."""

    def __init__(self, cluster, operator):
        self._cluster, self._operator = cluster, operator
        self.answers_file = cluster.folder / "group-answers"
        self._process = None

    def set_up(self):
        self._operator.do("sku", "create", GROUPED, "--stock", STOCK, "--price", PRICE, "--currency", CURRENCY,
                          "--hold", "24h", "--per-user-limit", 1)
        for name, flags in OFFERS.items():
            self._operator.do("group", "offer", "create", GROUPED, name, *flags, "--price", "4.99",
                              "--open-for", f"{OPEN_S}s", "--pay-within", f"{PAY_S}s", "--yes")

    def start(self):
        command = [BIN / "tranche-group-load", "--endpoints", ",".join(self._cluster.node_addresses())]
        command += ["--sku", GROUPED]
        for name in OFFERS:
            command += ["--offer", name]
        command += ["--rate", BUYERS_PER_S, "--timeout-ms", TIMEOUT_MS, "--answers", self.answers_file]
        command += self._cluster.doors.client_flags("service")
        self._process = Process(self._cluster.network, chaos_cluster.CLIENT, "tranche-group-load", command,
                                self._cluster.folder / "groups.log")
        self._process.start()

    def running(self):
        return self._process.running()

    def stop(self):
        """Ends the crowd, and waits until all groups are over."""
        if self._process.terminate(STOP_TIMEOUT_S) != 0:
            raise ClusterError(f"tranche-group-load failed:\n{log_tail(self._process.log_file)}")
        chaos_cluster.wait_until(self._all_over, "all groups to be over", OVER_WITHIN_S, LOOK_EVERY_S)

    def kill(self):
        if self._process:
            self._process.kill()

    def answers(self):
        """To ordinary claims: there are none."""
        return []

    def violations(self, evidence):
        with open(self.answers_file) as lines:
            told = [chaos_groups_check.parse(line) for line in lines]
        members = [Member.of(row) for row in self._cluster.ledger.execute_file("chaos_group_members.sql")]
        refunds = {tuple(row) for row in self._cluster.ledger.execute_file("chaos_group_refunds.sql")}
        found = (chaos_groups_check.check_crowd(told, members) + chaos_groups_check.check_groups(members)
                 + chaos_groups_check.check_members(members, refunds)
                 + chaos_groups_check.check_told(told, members, refunds, evidence.forgotten))
        return [f"{GROUPED}: {text}" for text in found]

    def _all_over(self):
        try:
            ((count,),) = self._cluster.ledger.execute_file("chaos_groups_open.sql")
        except LedgerError:
            return False
        return int(count) == 0
