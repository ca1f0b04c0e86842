"""A SKU that is bought in groups: the crowds that open, join, pay and leave them, what faults need, and the verdict."""

import chaos_cluster
import chaos_groups_check
from chaos_groups_check import LARGE, Member
from chaos_ledger import LedgerError
from chaos_load import CURRENCY, PRICE, STOP_TIMEOUT_S, TIMEOUT_MS
from chaos_process import Process
from cluster import BIN, ClusterError, log_tail

# It never runs out: what a group decides must not depend on units.
GROUPED, STOCK = "hamper", 1_000_000
BUYERS_PER_S = 20
OPEN_S, PAY_S = 15, 8
# Of a name, as tranchectl takes them. A crowd mixes: some leave, forget it, or pay twice or late.
MIXED = {
    "trio": ("--seats", 3, "--open-for", f"{OPEN_S}s", "--pay-within", f"{PAY_S}s"),
    "dozen": ("--seats", 12, "--open-for", f"{OPEN_S}s", "--pay-within", f"{PAY_S}s",
              "--on-timeout", "partial", "--min-members", 4),
}
# Another one joins one group after the other, and its members pay together at three quarters of their time: more than
# all seats of the one, and too few of the other.
TOGETHER = {
    "hundred": ("--seats", LARGE, "--open-for", "9s", "--pay-within", "9s"),
    "unfilled": ("--seats", LARGE, "--open-for", "4s", "--pay-within", "4s"),
}
# After its deadline a group ends within a second; the ledger may have been away, and the worker is started again.
OVER_WITHIN_S = OPEN_S + 60
LOOK_EVERY_S = 0.5
# So many groups are due before a worker is let at them. It is slow (chaos_cluster), so that it needs some seconds.
BACKLOG, BACKLOG_WITHIN_S, BEGINS_WITHIN_S = 60, 90, 30
# More often than a slow worker ends a batch.
WATCH_EVERY_S = 0.005
MOST_TRIES = 3


class Groups:
    """The operator's part, the crowds, and the verdict. Call in this order: set_up, start, stop, violations."""

    def __init__(self, cluster, operator):
        self._cluster, self._operator = cluster, operator
        self.answers_files = [cluster.folder / "group-answers", cluster.folder / "group-together-answers"]
        self._processes = []

    def set_up(self):
        self._operator.do("sku", "create", GROUPED, "--stock", STOCK, "--price", PRICE, "--currency", CURRENCY,
                          "--hold", "24h", "--per-user-limit", 1)
        for name, flags in (MIXED | TOGETHER).items():
            self._operator.do("group", "offer", "create", GROUPED, name, *flags, "--price", "4.99", "--yes")

    def start(self):
        for offers, file, more in zip((MIXED, TOGETHER), self.answers_files, ((), ("--together",))):
            command = [BIN / "tranche-group-load", "--endpoints", ",".join(self._cluster.node_addresses())]
            command += ["--sku", GROUPED, *more]
            for name in offers:
                command += ["--offer", name]
            command += ["--rate", BUYERS_PER_S, "--timeout-ms", TIMEOUT_MS, "--answers", file]
            command += self._cluster.doors.client_flags("service")
            self._processes.append(Process(self._cluster.network, chaos_cluster.CLIENT, "tranche-group-load", command,
                                           self._cluster.folder / f"{file.name}.log"))
            self._processes[-1].start()

    def running(self):
        return all(process.running() for process in self._processes)

    def stop(self):
        """Ends the crowds, and waits until all groups are over."""
        for process in self._processes:
            if process.terminate(STOP_TIMEOUT_S) != 0:
                raise ClusterError(f"tranche-group-load failed:\n{log_tail(process.log_file)}")
        chaos_cluster.wait_until(self._all_over, "all groups to be over", OVER_WITHIN_S, LOOK_EVERY_S)

    def kill(self):
        for process in self._processes:
            process.kill()

    def answers(self):
        """To ordinary claims: there are none."""
        return []

    # For faults. While the ledger is well: otherwise LedgerError.

    def begin_settling(self, strike=lambda: None):
        """Lets groups become due while no worker runs, and calls `strike` as soon as one has ended some of them.

        Returns these groups, and those of them that are left after it. If none is, it came too late: once more.
        """
        (worker,) = self._cluster.workers
        for _ in range(MOST_TRIES):
            worker.kill()
            chaos_cluster.wait_until(lambda: len(self._due()) >= BACKLOG, f"{BACKLOG} groups to be due",
                                     BACKLOG_WITHIN_S, LOOK_EVERY_S)
            due = self._due()
            worker.start()
            chaos_cluster.wait_until(lambda due=due: due - self._due(), "the worker to end groups", BEGINS_WITHIN_S,
                                     WATCH_EVERY_S)
            strike()
            if left := due & self._due():
                return due, left
        raise ClusterError(f"{MOST_TRIES} times the worker ended {BACKLOG} groups before anything could strike")

    def await_payments(self):
        """Until members of a large group pay, and others are about to: how many have.

        Seats that are paid do not tell: a group that a fault has hit keeps some until its deadline. So there must be
        more than a look before.
        """
        before, grown = None, []

        def paying():
            nonlocal before, grown
            rows = self._cluster.ledger.execute_file("chaos_groups_paying.sql")
            taken = {group_id: int(seats) for group_id, seats in rows}
            if before is not None:
                grown = [seats for group_id, seats in taken.items() if seats > before.get(group_id, 0)]
            before = taken
            return bool(grown)

        chaos_cluster.wait_until(paying, f"the members of a group of {LARGE} to pay", BACKLOG_WITHIN_S, WATCH_EVERY_S)
        return max(grown)

    def ended_since(self, healed):
        """When the last group was over that was due at this time, but not before it.

        None: some is not over, or not settled, or nobody knows.
        """
        try:
            rows = self._cluster.ledger.execute_file("chaos_groups_ended.sql")
        except LedgerError:
            return None
        return chaos_groups_check.ended_by(rows, healed)

    def violations(self, evidence):
        told = []
        for file in self.answers_files:
            with open(file) as lines:
                told += [chaos_groups_check.parse(line) for line in lines]
        members = [Member.of(row) for row in self._cluster.ledger.execute_file("chaos_group_members.sql")]
        refunds = {tuple(row) for row in self._cluster.ledger.execute_file("chaos_group_refunds.sql")}
        found = (chaos_groups_check.check_crowd(told, members) + chaos_groups_check.check_large(members)
                 + chaos_groups_check.check_groups(members) + chaos_groups_check.check_members(members, refunds)
                 + chaos_groups_check.check_told(told, members, refunds, evidence.forgotten))
        return [f"{GROUPED}: {text}" for text in found]

    def _due(self):
        return {group_id for (group_id,) in self._cluster.ledger.execute_file("chaos_groups_due.sql")}

    def _all_over(self):
        try:
            ((count,),) = self._cluster.ledger.execute_file("chaos_groups_open.sql")
        except LedgerError:
            return False
        return int(count) == 0
