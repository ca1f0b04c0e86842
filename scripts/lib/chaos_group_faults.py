"""Faults that strike while groups are decided: by the worker, when many are due, and by payments that come together.

Importing this adds them to the others. They strike in the midst, or not at all: then the round has failed.
"""

import time

from chaos_faults import fault, node_crash, postgres_kill


@fault("settling-worker-kill", "the worker is killed in the midst of many groups that it ends, and started again",
       needs="groups")
def settling_worker_kill(victims):
    (worker,) = victims.cluster.workers
    blow = victims.blow(worker.name, hold_s=victims.moment())

    def kill():
        blow.began = time.time()
        worker.kill()

    due, left = victims.groups.begin_settling(kill)
    blow.notes.append(f"{len(left)} of {len(due)} groups were not settled")
    yield blow
    worker.start()


def _with_note(steps, note):
    """The fault `steps`, whose blow says so, too."""
    blow = next(steps)
    blow.notes.append(note)
    yield blow
    yield from steps


@fault("settling-postgres-kill", "PostgreSQL crashes in the midst of many groups that the worker ends", needs="groups")
def settling_postgres_kill(victims):
    due, left = victims.groups.begin_settling()
    return _with_note(postgres_kill(victims), f"at most {len(left)} of {len(due)} groups were not settled")


@fault("paying-postgres-kill", "PostgreSQL crashes while a hundred members of a group pay", needs="groups")
def paying_postgres_kill(victims):
    seats = victims.groups.await_payments()
    return _with_note(postgres_kill(victims), f"{seats} seats were paid")


@fault("paying-node-kill", "a front node is killed while a hundred members of a group pay, at all nodes",
       needs="groups")
def paying_node_kill(victims):
    seats = victims.groups.await_payments()
    return _with_note(node_crash(victims), f"{seats} seats were paid")
