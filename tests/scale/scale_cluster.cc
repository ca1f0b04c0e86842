#include "tests/scale/scale_cluster.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "glog/logging.h"

namespace tranche::testing {
namespace {

const quota::BalancerOptions kBalancer;
// A round without any call takes a moment, too.
constexpr absl::Duration kLeastRound = absl::Microseconds(100);

template <typename T>
void Raise(T* most, T value) {
  *most = std::max(*most, value);
}

void RaiseAll(Traffic* most, const Traffic& round) {
  Raise(&most->ledger_calls, round.ledger_calls);
  Raise(&most->ledger_rows, round.ledger_rows);
  Raise(&most->moves, round.moves);
  Raise(&most->slots_changed, round.slots_changed);
  Raise(&most->zk_reads, round.zk_reads);
  Raise(&most->zk_lists, round.zk_lists);
  Raise(&most->zk_writes, round.zk_writes);
  Raise(&most->zk_waits, round.zk_waits);
  Raise(&most->bytes_read, round.bytes_read);
  Raise(&most->bytes_written, round.bytes_written);
}

}  // namespace

ScaleCluster::ScaleCluster(const ScaleOptions& options) : options_(options), random_(options.seed) {}

ScaleCluster::~ScaleCluster() = default;

void ScaleCluster::Build() {
  CreateSkus();
  for (int i = 0; i < options_.nodes; ++i) AddNode();
  AddBalancer();
}

// Active SKUs are scattered among the others, like hot items in a catalogue.
void ScaleCluster::CreateSkus() {
  const int every = std::max(1, options_.skus / options_.active);
  for (int i = 0; i < options_.skus; ++i) {
    const bool active = i % every == 0 && static_cast<int>(active_.size()) < options_.active;
    storage::Sku sku{.sku_id = absl::StrFormat("item-%07d", i),
                     .title = "",
                     .price_minor = 100,
                     .currency = "EUR",
                     .stock = active ? int64_t{options_.units_per_node} * options_.nodes : 100,
                     .per_user_limit = 1000,
                     .presplit = active && static_cast<int>(active_.size()) < options_.presplit};
    CHECK(ledger_.CreateSku(sku, "scale").ok());
    if (active) active_.push_back(sku.sku_id);
  }
}

int ScaleCluster::AddNode() {
  const int number = nodes();
  nodes_.push_back(std::make_unique<ScaleNode>(&node_connector_, &node_ledger_, &ledger_, &clock_, number));
  CHECK(nodes_.back()->agent().Begin().ok());
  // Their turns are spread, like those of processes that were started at different times.
  nodes_.back()->set_next_turn(clock_.Now() + absl::Milliseconds(std::uniform_int_distribution<int>(0, 999)(random_)));
  return number;
}

storage::IncarnationId ScaleCluster::KillNode(int number) {
  const storage::IncarnationId incarnation = node(number).agent().incarnation();
  zookeeper_.DeliverEvents();
  nodes_[static_cast<size_t>(number)].reset();
  return incarnation;
}

void ScaleCluster::AddBalancer() {
  balancers_.push_back(std::make_unique<quota::Balancer>(&balancer_connector_, &balancer_ledger_, &clock_, kBalancer));
  CHECK(balancers_.back()->Connect().ok());
}

void ScaleCluster::KillLeader() {
  zookeeper_.DeliverEvents();
  balancers_.erase(balancers_.begin());
}

void ScaleCluster::Ask(int number, int sku, int32_t units) {
  const auto terms = ledger_.GetSku(active_sku(sku));
  CHECK(terms.ok()) << terms.status();
  node(number).Ask(*terms, units);
}

void ScaleCluster::RunDry(int number, int sku) {
  node(number).SellAll(active_sku(sku));
  Ask(number, sku, 1);
}

int64_t ScaleCluster::Waiting() const {
  int64_t waiting = 0;
  for (const auto& node : nodes_) waiting += node == nullptr ? 0 : static_cast<int64_t>(node->waiting());
  return waiting;
}

bool ScaleCluster::Settled() {
  if (zookeeper_.waiting_events() > 0 || !ledger_.ListPooledSkus("", 1)->empty()) return false;
  if (std::any_of(balancers_.begin(), balancers_.end(), [](const auto& balancer) { return balancer->HasWork(); })) {
    return false;
  }
  return std::none_of(nodes_.begin(), nodes_.end(),
                      [](const auto& node) { return node != nullptr && node->agent().HasWork(); });
}

void ScaleCluster::TurnNodes() {
  const absl::Time now = clock_.Now();
  for (const auto& node : nodes_) {
    if (node == nullptr || (!node->agent().HasWork() && now < node->next_turn())) continue;
    node->agent().RunOnce();
    if (now >= node->next_turn()) node->set_next_turn(now + node->agent().TurnInterval());
    if (node->waiting() > 0) node->ServeWaiting();
  }
}

absl::Time ScaleCluster::NextTurn() const {
  absl::Time next = next_poll_;
  for (const auto& node : nodes_) {
    if (node == nullptr) continue;
    if (node->agent().HasWork()) return clock_.Now();
    next = std::min(next, node->next_turn());
  }
  return next;
}

void ScaleCluster::RunBalancer(Phase* phase) {
  const bool polled = clock_.Now() >= next_poll_;
  absl::Duration longest = absl::ZeroDuration();
  for (const auto& balancer : balancers_) {
    if (!polled && !balancer->HasWork()) continue;
    const Traffic before = balancer_traffic_;
    const int64_t start = absl::GetCurrentTimeNanos();
    const absl::Status status = balancer->RunOnce();
    CHECK(status.ok()) << status;
    const absl::Duration wall = absl::Nanoseconds(absl::GetCurrentTimeNanos() - start);
    if (!balancer->leading()) continue;
    const Traffic round = balancer_traffic_ - before;
    const absl::Duration estimate = std::max(kLeastRound, costs_.Of(round));
    ++phase->rounds;
    RaiseAll(&phase->most, round);
    Raise(&phase->longest_estimate, estimate);
    phase->balancer_cpu += wall - round.inside;
    Raise(&phase->longest_round_cpu, wall - round.inside);
    longest = std::max(longest, estimate);
  }
  clock_.AdvanceBy(longest);
  if (polled || longest > absl::ZeroDuration()) next_poll_ = clock_.Now() + kBalancer.poll_interval;
}

Phase ScaleCluster::Run(const std::string& name, absl::Duration at_most, absl::FunctionRef<bool()> reached) {
  Phase phase;
  phase.name = name;
  const absl::Time begin = clock_.Now();
  const int64_t wall_begin = absl::GetCurrentTimeNanos();
  const Traffic balancer_before = balancer_traffic_;
  const Traffic nodes_before = node_traffic_;
  while (clock_.Now() - begin < at_most && !phase.reached) {
    zookeeper_.DeliverEvents();
    TurnNodes();
    zookeeper_.DeliverEvents();
    RunBalancer(&phase);
    phase.reached = reached();
    const bool busy = zookeeper_.waiting_events() > 0 ||
                      std::any_of(balancers_.begin(), balancers_.end(), [](const auto& b) { return b->HasWork(); });
    if (!busy && NextTurn() > clock_.Now()) clock_.AdvanceBy(NextTurn() - clock_.Now());
  }
  phase.waiting = Waiting();
  phase.simulated = clock_.Now() - begin;
  phase.wall = absl::Nanoseconds(absl::GetCurrentTimeNanos() - wall_begin);
  phase.balancer = balancer_traffic_ - balancer_before;
  phase.nodes = node_traffic_ - nodes_before;
  return phase;
}

Phase ScaleCluster::RunFor(const std::string& name, absl::Duration duration) {
  Phase phase = Run(name, duration, [] { return false; });
  phase.reached = true;
  return phase;
}

}  // namespace tranche::testing
