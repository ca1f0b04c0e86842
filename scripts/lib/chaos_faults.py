"""The faults: what each does to the cluster, and how it is undone.

A fault is a generator. It strikes, yields the blow (who was hit, for how long), and undoes itself when it is
resumed. How soon everything must go on afterwards is in chaos_goals.
"""

import dataclasses
import time

from chaos_cluster import CLIENT, POSTGRES, ROOT_ZNODE, wait_until
from cluster import ClusterError

JOIN_TIMEOUT_S = 60
# From a commit until its caller notes the answer.
SLOWEST_ANSWER_S = 0.2
LEDGER = "the ledger"


@dataclasses.dataclass
class Fault:
    name: str
    text: str
    run: object
    # A fault that callers of the SDK must not notice at all.
    graceful: bool = False
    # The ledger only stands still: everything must go on at once afterwards, and is watched for a while.
    stall: bool = False
    # The option without which there is nothing to hit: "queue" or "groups"; "": none.
    needs: str = ""


@dataclasses.dataclass
class Blow:
    target: str
    began: float
    # Incarnations that cannot sell because of it.
    unable: set
    hold_s: float = 0
    # What was acknowledged in this span (Unix seconds) may be gone: the ledger is an older one.
    forgotten: tuple = None
    # The units of the hit nodes are idle, not lost: others fetch them only when they need them. So no stock is added
    # meanwhile.
    starve: bool = False
    notes: list = dataclasses.field(default_factory=list)


FAULTS = {}

# Faults that may strike together, by the first word of their names, and the order in which they strike: one that needs
# ZooKeeper to choose a victim comes before ZooKeeper itself. They are undone in the opposite order.
TOGETHER = ("leader", "node", "tree", "zookeeper")


def may_join(name):
    """Whether the fault may strike together with another."""
    return name.split("-")[0] in TOGETHER and not FAULTS[name].graceful and name not in ("tree-rebuild", "tree-history")


def parts(name):
    """The faults of "one+other", in the order in which they strike."""
    names = name.split("+")
    return [FAULTS[one] for one in sorted(names, key=lambda one: TOGETHER.index(one.split("-")[0]) if names[1:] else 0)]


def strike(faults, victims):
    """Begins them all; returns the generators to resume to undo them, last first, and the combined blow."""
    steps, blows = [], []
    for fault_ in faults:
        steps.insert(0, fault_.run(victims))
        blows.append(next(steps[0]))
    return steps, Blow(
        target=" + ".join(blow.target for blow in blows),
        began=blows[0].began,
        unable=set().union(*(blow.unable for blow in blows)),
        hold_s=max(blow.began + blow.hold_s for blow in blows) - blows[0].began,
        forgotten=next((blow.forgotten for blow in blows if blow.forgotten), None),
        starve=any(blow.starve for blow in blows),
        notes=[note for blow in blows for note in blow.notes],
    )


def fault(name, text, graceful=False, stall=False, needs=""):
    def add(run):
        FAULTS[name] = Fault(name, text, run, graceful, stall, needs)
        return run

    return add


class Victims:
    """Chooses by the seed which processes to hit, and records which are hit."""

    def __init__(self, cluster, operator, watch, random, front_door=None, groups=None):
        self.cluster, self.operator, self.watch, self.random = cluster, operator, watch, random
        self.front_door, self.groups = front_door, groups
        self.session_s = cluster.options.session_timeout_ms / 1000
        self.statement_s = cluster.options.statement_timeout_ms / 1000
        self.node_statement_s = cluster.options.node_statement_timeout_ms / 1000

    def node(self):
        return self.random.choice(self.cluster.able_nodes())

    def past_session(self):
        """Long enough for ZooKeeper to declare the silent one gone: it looks once per tick."""
        return self.session_s * 1.5 + 1

    def moment(self):
        return self.random.uniform(0.2, 1.5)

    def past_look(self):
        """Long enough for sales that will be lost, and for the leading balancer to look at the ledger: once a second."""
        return self.random.uniform(2.5, 4)

    def past_statement(self, statement_s):
        """Long enough to give up a database that does not answer, and for others to take over."""
        return self.past_session() + 2 * statement_s

    def within_statement(self):
        """So short that no node gives the database up, and longer than callers wait for a change."""
        return self.random.uniform(0.5, 0.85) * self.node_statement_s

    def around_session(self):
        """Sometimes shorter than a session, more often longer."""
        return self.random.choice([self.session_s * 0.5, self.past_session(), self.past_session()])

    def blow(self, target, nodes=(), hold_s=0.0):
        unable = set()
        for node in nodes:
            unable |= self.cluster.ledger.incarnations_of(node.name)
            self.cluster.unable.add(node)
        return Blow(target, time.time(), unable, hold_s)

    def able_again(self, *nodes):
        self.cluster.unable.difference_update(nodes)

    def part(self, these, those, way="both"):
        for one in these:
            for other in those:
                if way in ("both", "out"):
                    self.cluster.network.drop(one, other)
                if way in ("both", "in"):
                    self.cluster.network.drop(other, one)


def zookeeper_hosts(cluster):
    return [server.host for server in cluster.zookeepers]


# Front nodes


def _kill_node(victims, hold_s):
    node = victims.node()
    blow = victims.blow(node.name, [node], hold_s)
    node.kill()
    yield blow
    node.start()
    victims.cluster.await_serving(node)
    victims.able_again(node)


@fault("node-kill", "a front node is killed, and stays away for longer than its session")
def node_kill(victims):
    return _kill_node(victims, victims.past_session())


@fault("node-crash", "a front node is killed, and started again a moment later")
def node_crash(victims):
    return _kill_node(victims, victims.moment())


@fault("node-stop", "a front node stands still (SIGSTOP) for longer than its session, and goes on")
def node_stop(victims):
    node = victims.node()
    blow = victims.blow(node.name, [node], victims.past_session())
    node.pause()
    yield blow
    node.resume()
    victims.able_again(node)


def _cut_node(victims, hosts, way, hold_s, starve=False):
    node = victims.node()
    words = {"both": "", "out": ", what it sends", "in": ", what it is sent"}
    blow = victims.blow(node.name + words[way], [node], hold_s)
    blow.starve = starve
    victims.part([node.host], hosts, way)
    yield blow
    victims.cluster.network.carry_all()
    victims.able_again(node)


def _one_way(victims):
    return victims.random.choice(["out", "in"])


@fault("node-cut-zookeeper", "a front node is cut off from ZooKeeper only")
def node_cut_zookeeper(victims):
    return _cut_node(victims, zookeeper_hosts(victims.cluster), "both", victims.around_session())


@fault("node-oneway-zookeeper", "the same, in one direction only")
def node_oneway_zookeeper(victims):
    return _cut_node(victims, zookeeper_hosts(victims.cluster), _one_way(victims), victims.past_session())


@fault("node-cut-postgres", "a front node is cut off from PostgreSQL only")
def node_cut_postgres(victims):
    return _cut_node(victims, [POSTGRES], "both", victims.past_statement(victims.node_statement_s), starve=True)


@fault("node-oneway-postgres", "the same, in one direction only")
def node_oneway_postgres(victims):
    hold_s = victims.past_statement(victims.node_statement_s)
    return _cut_node(victims, [POSTGRES], _one_way(victims), hold_s, starve=True)


@fault("node-cut-clients", "a front node is cut off from the callers only")
def node_cut_clients(victims):
    return _cut_node(victims, [CLIENT], "both", victims.past_session(), starve=True)


@fault("node-oneway-clients", "the same, in one direction only")
def node_oneway_clients(victims):
    return _cut_node(victims, [CLIENT], _one_way(victims), victims.past_session(), starve=True)


@fault("rolling-restart", "every front node is restarted, one after the other (SIGTERM)", graceful=True)
def rolling_restart(victims):
    nodes = victims.cluster.able_nodes()
    blow = victims.blow(f"{len(nodes)} nodes", nodes)
    victims.able_again(*nodes)
    slowest = 0
    for node in nodes:
        asked = time.monotonic()
        status = node.terminate()
        slowest = max(slowest, time.monotonic() - asked)
        if status != 0:
            raise ClusterError(f"{node.name} ended with status {status} after SIGTERM")
        node.start()
        victims.cluster.await_serving(node)
    blow.notes.append(f"slowest good-bye {slowest:.2f} s")
    yield blow


@fault("node-add", "a front node joins, and leaves again in good order", graceful=True)
def node_add(victims):
    node = victims.random.choice(victims.cluster.spare_nodes())
    blow = victims.blow(node.name)
    node.start()
    victims.cluster.await_serving(node)
    served = time.time()

    def has_units():
        sample = victims.watch.await_fresh()
        return sample and any(sample.units_of(one) for one in victims.cluster.ledger.incarnations_of(node.name))

    wait_until(has_units, f"{node.name} to be given units", JOIN_TIMEOUT_S)
    blow.notes.append(f"units {time.time() - served:.2f} s after it serves")
    yield blow
    if (status := node.terminate()) != 0:
        raise ClusterError(f"{node.name} ended with status {status} after SIGTERM")


@fault("node-drain", "an operator drains a front node, and takes it into service again", graceful=True)
def node_drain(victims):
    node = victims.node()
    blow = victims.blow(node.name, [node], victims.moment())
    victims.operator.do("node", "drain", node.name, "--yes")
    yield blow
    if victims.operator.knows("node", "undrain") and node.running():
        victims.operator.do("node", "undrain", node.name, "--yes")
    else:
        # The older kind of drain ends the process.
        node.wait(60)
        node.start()
        victims.cluster.await_serving(node)
    victims.able_again(node)


# The front door


@fault("door", "an operator changes the front door's policy, list and keys", graceful=True)
def door(victims):
    blow = victims.blow("the front door", hold_s=victims.moment())
    victims.front_door.change(victims.random)
    yield blow
    victims.front_door.change_back()


# Balancers


@fault("leader-kill", "the leading balancer is killed, and started again a moment later")
def leader_kill(victims):
    leader = victims.cluster.leading_balancer()
    blow = victims.blow(leader.name, hold_s=victims.moment())
    leader.kill()
    yield blow
    leader.start()


@fault("leader-stop", "the leading balancer stands still for longer than its session, and goes on")
def leader_stop(victims):
    leader = victims.cluster.leading_balancer()
    blow = victims.blow(leader.name, hold_s=victims.past_session())
    leader.pause()
    yield blow
    leader.resume()


def _cut_leader(victims, hosts, hold_s):
    leader = victims.cluster.leading_balancer()
    blow = victims.blow(leader.name, hold_s=hold_s)
    victims.part([leader.host], hosts)
    yield blow
    victims.cluster.network.carry_all()


@fault("leader-cut-postgres", "the leading balancer is cut off from PostgreSQL only")
def leader_cut_postgres(victims):
    return _cut_leader(victims, [POSTGRES], victims.past_statement(victims.statement_s))


@fault("leader-cut-zookeeper", "the leading balancer is cut off from ZooKeeper only")
def leader_cut_zookeeper(victims):
    return _cut_leader(victims, zookeeper_hosts(victims.cluster), victims.past_session())


# ZooKeeper


def _restart_zookeepers(victims, servers, target):
    blow = victims.blow(target, hold_s=victims.moment())
    for server in servers:
        server.kill()
    yield blow
    for server in servers:
        # Another fault at the same time may have restarted it already.
        if not server.running():
            server.start()
    victims.cluster.await_zookeepers()


@fault("zookeeper-kill", "one ZooKeeper server is killed, and started again a moment later")
def zookeeper_kill(victims):
    server = victims.random.choice(victims.cluster.zookeepers)
    mode = "the leader" if server is victims.cluster.zookeeper_leader() else "a follower"
    return _restart_zookeepers(victims, [server], f"{server.name}, {mode}")


@fault("zookeeper-restart", "all three ZooKeeper servers are killed at once, and started again")
def zookeeper_restart(victims):
    return _restart_zookeepers(victims, victims.cluster.zookeepers, "all three")


@fault("zookeeper-isolate", "the ensemble's leader is cut off from the other two, but not from its clients")
def zookeeper_isolate(victims):
    leader = victims.cluster.zookeeper_leader()
    if leader is None:
        raise ClusterError("the ensemble has no leader")
    blow = victims.blow(leader.name, hold_s=victims.past_session())
    victims.part([leader.host], [host for host in zookeeper_hosts(victims.cluster) if host != leader.host])
    yield blow
    victims.cluster.network.carry_all()
    victims.cluster.await_zookeepers()


def _delete_tree(victims):
    """All nodes go on with what they hold and must register in the tree again."""
    blow = victims.blow(ROOT_ZNODE, victims.cluster.able_nodes())
    victims.able_again(*victims.cluster.nodes)
    with victims.cluster.session() as session:
        blow.notes.append(f"{session.delete_tree(ROOT_ZNODE)} znodes")
    return blow


@fault("tree-delete", "ZooKeeper's whole tree is deleted, and nobody repairs it")
def tree_delete(victims):
    yield _delete_tree(victims)


@fault("tree-rebuild", "ZooKeeper's whole tree is deleted, and an operator rebuilds it from the ledger")
def tree_rebuild(victims):
    blow = _delete_tree(victims)
    if victims.operator.knows("zk", "rebuild"):
        victims.operator.do("zk", "rebuild", "--yes", role="admin")
    else:
        blow.notes.append("no zk rebuild")
    yield blow


@fault("tree-history", "an operator lets all nodes begin anew from what the ledger says")
def tree_history(victims):
    blow = victims.blow(ROOT_ZNODE, victims.cluster.able_nodes())
    victims.able_again(*victims.cluster.nodes)
    victims.operator.do("zk", "rebuild", "--new-history", "--yes", role="admin")
    yield blow


# PostgreSQL


@fault("postgres-kill", "PostgreSQL crashes with all its processes, and is started again a moment later")
def postgres_kill(victims):
    cluster = victims.cluster
    blow = victims.blow(POSTGRES, cluster.able_nodes(), victims.moment())
    victims.able_again(*cluster.nodes)
    cluster.postgres.kill_with_children()
    yield blow
    cluster.postgres.start()
    cluster.await_postgres()


@fault("postgres-promote", "PostgreSQL crashes, comes back as a standby and is promoted: all nodes begin anew")
def postgres_promote(victims):
    cluster = victims.cluster
    blow = victims.blow(POSTGRES, cluster.able_nodes(), victims.moment())
    victims.able_again(*cluster.nodes)
    cluster.postgres.kill_with_children()
    yield blow
    cluster.promote_postgres()


@fault("postgres-restore", "PostgreSQL crashes, and a copy of its data from some seconds before is put in its place")
def postgres_restore(victims):
    cluster = victims.cluster
    complete = cluster.copy_postgres()
    time.sleep(victims.past_look())
    blow = victims.blow(POSTGRES, cluster.able_nodes(), victims.moment())
    victims.able_again(*cluster.nodes)
    cluster.postgres.kill_with_children()
    blow.forgotten = (complete, time.time() + SLOWEST_ANSWER_S)
    yield blow
    cluster.restore_postgres()


# The ledger answers late. Nothing is sold meanwhile, so all nodes are hit. Waiting requests outlive their callers'
# patience, and must be out of the way when the ledger goes on.


def _lock_ledger(victims, hold_s):
    cluster = victims.cluster
    blow = victims.blow(LEDGER, cluster.able_nodes(), hold_s)
    victims.able_again(*cluster.nodes)
    with cluster.ledger.lock():
        yield blow


@fault("ledger-lock", "all reservations are locked, for less than the nodes' statement timeout", stall=True)
def ledger_lock(victims):
    return _lock_ledger(victims, victims.within_statement())


@fault("ledger-lock-long", "the same, for longer than the nodes' statement timeout", stall=True)
def ledger_lock_long(victims):
    return _lock_ledger(victims, victims.node_statement_s + 1)


def _stop_postgres(victims, hold_s):
    cluster = victims.cluster
    blow = victims.blow(POSTGRES, cluster.able_nodes(), hold_s)
    victims.able_again(*cluster.nodes)
    cluster.postgres.pause_with_children()
    yield blow
    cluster.postgres.resume()


@fault("postgres-stop", "PostgreSQL stands still (SIGSTOP) for less than the nodes' statement timeout", stall=True)
def postgres_stop(victims):
    return _stop_postgres(victims, victims.within_statement())


@fault("postgres-stop-long", "the same, for longer than the nodes' statement timeout", stall=True)
def postgres_stop_long(victims):
    return _stop_postgres(victims, victims.node_statement_s + 1)


# The queue. Those who buy directly must notice nothing, so these hit no node.


def _broker(victims):
    return victims.random.choice(victims.cluster.brokers.processes)


def _restart_brokers(victims, brokers, target, hold_s):
    blow = victims.blow(target, hold_s=hold_s)
    for broker in brokers:
        broker.kill()
    yield blow
    # Side by side: those that had the newest state wait for each other.
    for broker in brokers:
        broker.start()
    victims.cluster.brokers.await_serving(brokers)


@fault("broker-kill", "one of three brokers is killed, and started again some seconds later", needs="queue")
def broker_kill(victims):
    broker = _broker(victims)
    return _restart_brokers(victims, [broker], broker.name, victims.past_session())


@fault("brokers-restart", "all three brokers are killed at once, and started again", needs="queue")
def brokers_restart(victims):
    return _restart_brokers(victims, victims.cluster.brokers.processes, "all three", victims.moment())


@fault("broker-stop", "a broker stands still (SIGSTOP) for some seconds, and goes on", needs="queue")
def broker_stop(victims):
    broker = _broker(victims)
    blow = victims.blow(broker.name, hold_s=victims.past_session())
    broker.pause()
    yield blow
    broker.resume()
    victims.cluster.brokers.await_serving([broker])


@fault("broker-cut", "a broker is cut off from the other two, but not from its clients", needs="queue")
def broker_cut(victims):
    broker = _broker(victims)
    blow = victims.blow(broker.name, hold_s=victims.past_session())
    victims.part([broker.host], [other.host for other in victims.cluster.brokers.processes if other is not broker])
    yield blow
    victims.cluster.network.carry_all()
    victims.cluster.brokers.await_serving()


@fault("broker-alarm", "a broker has a memory alarm, so none of them takes messages", needs="queue")
def broker_alarm(victims):
    broker = _broker(victims)
    victims.cluster.brokers.raise_alarm(broker)
    yield victims.blow(broker.name, hold_s=victims.past_session())
    victims.cluster.brokers.clear_alarm()


@fault("consumer-kill", "a consumer is killed, and started again when its session is over", needs="queue")
def consumer_kill(victims):
    consumer = victims.random.choice(victims.cluster.consumers)
    blow = victims.blow(consumer.name, hold_s=victims.past_session())
    consumer.kill()
    yield blow
    consumer.start()


@fault("consumer-stop", "a consumer stands still (SIGSTOP) for longer than its session, and goes on", needs="queue")
def consumer_stop(victims):
    consumer = victims.random.choice(victims.cluster.consumers)
    blow = victims.blow(consumer.name, hold_s=victims.past_session())
    consumer.pause()
    yield blow
    consumer.resume()
