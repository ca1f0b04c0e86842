#include "tests/simulation/front_node.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tranche::simulation {
namespace {

constexpr absl::Duration kOverdueInterval = absl::Milliseconds(10);
constexpr absl::Duration kDrainPoll = absl::Milliseconds(5);
constexpr absl::Duration kDrainTimeout = absl::Seconds(5);
constexpr absl::Duration kWatchInterval = absl::Milliseconds(250);

storage::PipelineOptions ToPipelineOptions(const Scenario& scenario) {
  storage::PipelineOptions options;
  options.lanes = 0;  // stepped by fibers
  options.max_batch = scenario.max_batch;
  options.max_queue = scenario.max_queue;
  options.first_lock_mode = scenario.first_lock_mode;
  return options;
}

quota::WaitingOptions ToWaitingOptions(const Scenario& scenario) {
  quota::WaitingOptions options;
  options.exhausted_wait = scenario.exhausted_wait;
  options.max_waiting = scenario.max_waiting;
  return options;
}

std::string AddressOf(const std::string& name) { return name + ":1"; }

quota::NodeAgentOptions ToAgentOptions(const std::string& name, FrontNode::Role role) {
  quota::NodeAgentOptions options;
  options.node_name = name;
  options.address = AddressOf(name);
  options.consumer = role == FrontNode::Role::kConsumer;
  return options;
}

const char* VerbOf(const Change& change) {
  if (std::holds_alternative<storage::Payment>(change)) return "confirm";
  return std::holds_alternative<storage::Cancellation>(change) ? "cancel" : "extend";
}

}  // namespace

FrontNode::FrontNode(World* world, ActorId actor, const std::string& name, Role role, std::function<void()> ended)
    : process_(world, actor),
      name_(name),
      ended_(std::move(ended)),
      ledger_(&process_),
      connector_(&process_),
      executor_(&process_, world->scenario.executor_queue),
      shard_(std::make_unique<testing::OneShard>(&ledger_, &executor_, &world->scheduler,
                                                 ToPipelineOptions(world->scenario))),
      change_lane_(std::make_unique<storage::ChangeLane>(&shard_->changes())),
      directory_(shard_->books(), &world->scheduler),
      pools_(&slices_, shard_->books(), &world->scheduler),
      room_(&slices_, &world->scheduler, ToWaitingOptions(world->scenario), &pools_),
      agent_(std::make_unique<quota::NodeAgent>(
          &connector_, &ledger_, &slices_, this, &world->scheduler,
          [this](const std::string& sku_id) { return static_cast<int64_t>(room_.waiting(sku_id)); },
          ToAgentOptions(name, role))) {
  if (world->scenario.consumers > 0 && role == Role::kFront) {
    intake_ = std::make_unique<NodeIntake>(&process_, &slices_, shard_->books());
  }
  seller_ = std::make_unique<quota::Seller>(&slices_, &directory_, shard_->books(), &world->scheduler, &room_,
                                            /*gate=*/nullptr, intake_.get());
  carts_ = std::make_unique<quota::CartSeller>(&slices_, &directory_, shard_->books(), &world->scheduler, &room_,
                                               /*gate=*/nullptr, intake_.get());
  if (role == Role::kConsumer) consumer_ = MakeConsumer();
  for (int i = 0; i < world->scenario.lanes; ++i) {
    lanes_.push_back(std::make_unique<storage::CommitLane>(&shard_->claims()));
  }
  world->listening[AddressOf(name)] = &process_;
}

FrontNode::~FrontNode() {
  process_.End();
  // Requests may keep an earlier run when the next one listens already.
  std::erase_if(process_.world().listening, [this](const auto& entry) { return entry.second == &process_; });
  agent_.reset();
  lanes_.clear();
  change_lane_.reset();
  shard_->StopPipelines();
}

void FrontNode::Spawn(std::function<void()> body) {
  ++fibers_;
  process_.world().scheduler.Spawn([this, body = std::move(body)] {
    body();
    if (--fibers_ == 0) ended_();
  });
}

void FrontNode::Launch() {
  Spawn([this] { RunAgent(); });
  for (const auto& lane : lanes_) {
    Spawn([this, &lane = *lane] { RunLane(lane, shard_->claims()); });
  }
  Spawn([this] { RunLane(*change_lane_, shard_->changes()); });
  for (int i = 0; i < process_.world().scenario.executor_fibers; ++i) {
    Spawn([this] { executor_.Work(); });
  }
  Spawn([this] { TrySlowCarts(); });
  Spawn([this] { AnswerOverdue(); });
  Spawn([this] { WatchRequests(); });
  if (intake_ != nullptr) Spawn([this] { LookAtQueues(); });
  if (consumer_ != nullptr) Spawn([this] { DecideQueued(); });
}

void FrontNode::RunAgent() {
  if (!agent_->Begin().ok()) {
    process_.Note("cannot start");
    return process_.End();
  }
  serving_ = true;
  process_.Note("serves as incarnation", agent_->incarnation());
  while (!process_.crashed() && !stop_requested_) {
    agent_->RunOnce();
    CheckWaiting();
    process_.NoteChange();
    process_.AwaitChange([this] { return stop_requested_ || agent_->HasWork(); }, agent_->TurnInterval());
  }
  if (!process_.crashed()) ReleaseInOrder();
  AwaitCalls();
  process_.End();
}

// A request only waits for lack of units: when units come, they wake it, and it is served or counts as more demand.
// Meanwhile it holds nothing. Only without faults, since a new incarnation knows nothing about waiting requests at
// first.
void FrontNode::CheckWaiting() {
  World& world = process_.world();
  if (world.scenario.name != "calm" || process_.crashed()) return;
  for (const storage::Sku& sku : world.scenario.skus) {
    const auto slice = slices_.Find(sku.sku_id);
    if (slice == nullptr) continue;
    CheckNothingHeld(*slice);
    if (slice->wanted() > 0 || room_.waiting(sku.sku_id) == 0) continue;
    world.checker.Violated("waiting", sku.sku_id + ": units came, and who waits for them was not woken");
  }
}

void FrontNode::CheckNothingHeld(const quota::Slice& slice) {
  if (busy() || slice.in_flight() == 0) return;
  process_.world().checker.Violated(
      "waiting", absl::StrCat(slice.sku_id(), ": ", slice.in_flight(), " units are taken, and nobody commits them"));
}

void FrontNode::ReleaseInOrder() {
  Scheduler& scheduler = process_.world().scheduler;
  serving_ = false;
  const absl::Time deadline = scheduler.Now() + kDrainTimeout;
  if (consumer_ != nullptr) DrainQueues(deadline);
  SetAccepting(false);
  while (!Drained() && scheduler.Now() < deadline && !process_.crashed()) {
    scheduler.Sleep(kDrainPoll);
  }
  if (process_.crashed()) return;
  // Waiting requests are refused, as by the real node: see server/node/front_node.cc.
  shard_->RefuseWaiting();
  process_.Note("stops in order");
  agent_->Release().IgnoreError();
}

// Like gRPC's server: it ends when the last call has ended, however long that takes. A call that is never answered
// keeps the process from ending, which WatchRequests detects.
void FrontNode::AwaitCalls() {
  while (!process_.crashed() && !requests_.empty()) process_.world().scheduler.Sleep(kDrainPoll);
}

// A node that can work answers every request soon after its deadline. It cannot while the ledger keeps it waiting, or
// while it is paused; a ledger that is down or unreachable says so at once.
void FrontNode::WatchRequests() {
  World& world = process_.world();
  absl::Time looked_at = world.scheduler.Now();
  while (!process_.crashed()) {
    process_.AwaitChange([] { return false; }, kWatchInterval);
    if (process_.crashed()) return;
    const absl::Time now = world.scheduler.Now();
    const bool free = process_.hindered_until() <= looked_at;
    const auto overdue = free ? requests_.PassTime(now, now - looked_at) : std::nullopt;
    if (overdue.has_value()) {
      const char* const stuck = stop_requested_ ? ": it keeps the process from ending" : "";
      world.checker.Violated("overdue", absl::StrCat(name_, ": ", *overdue, stuck));
    }
    looked_at = now;
  }
}

template <typename Lane, typename Pipeline>
void FrontNode::RunLane(Lane& lane, const Pipeline& pipeline) {
  const storage::PipelineOptions options = ToPipelineOptions(process_.world().scenario);
  while (!process_.crashed()) {
    const storage::LaneNext next = lane.Step();
    CheckQueue(pipeline.Stats());
    switch (next) {
      case storage::LaneNext::kStep:
        process_.NoteChange();
        break;
      case storage::LaneNext::kAwaitWork:
        process_.AwaitChange([&] { return pipeline.Stats().queued > pipeline.Stats().slow; },
                             pipeline.Stats().slow > 0 ? options.retry_interval : absl::InfiniteDuration());
        break;
      case storage::LaneNext::kPause:
        process_.NoteChange();
        process_.AwaitChange([] { return false; }, options.retry_interval);
        break;
      case storage::LaneNext::kEnd:
        return;
    }
  }
}

// A lane sleeps while nothing is queued: if the count is too low, it sleeps on.
void FrontNode::CheckQueue(const storage::PipelineStats& stats) {
  if (0 <= stats.queued && stats.queued <= stats.unanswered) return;
  process_.world().checker.Violated(
      "queue", absl::StrCat(name_, ": ", stats.queued, " requests are queued, and ", stats.unanswered, " unanswered"));
}

void FrontNode::TrySlowCarts() {
  while (!process_.crashed()) {
    process_.AwaitChange([this] { return shard_->carts().waiting() > 0; }, absl::InfiniteDuration());
    process_.AwaitChange([] { return false; }, storage::CartPipeline::kTryInterval);
    if (!process_.crashed()) shard_->carts().TrySlow();
  }
}

void FrontNode::AnswerOverdue() {
  while (!process_.crashed()) {
    process_.AwaitChange([this] { return Waiting() > 0; }, absl::InfiniteDuration());
    process_.AwaitChange([] { return false; }, kOverdueInterval);
    if (!process_.crashed()) room_.AnswerOverdue();
  }
}

int64_t FrontNode::Waiting() const {
  int64_t waiting = 0;
  for (const storage::Sku& sku : process_.world().scenario.skus) {
    waiting += static_cast<int64_t>(room_.waiting(sku.sku_id));
  }
  return waiting;
}

void FrontNode::Sell(storage::ReservationClaim claim, absl::Time deadline, bool may_exist, quota::SaleDone done,
                     quota::Visitor visitor) {
  seller_->Sell(
      std::move(claim), deadline, may_exist,
      [ticket = requests_.Open("buy", process_.world().scheduler.Now(), deadline),
       done = std::move(done)](quota::SaleResult result) mutable {
        ticket.Close();
        done(std::move(result));
      },
      std::move(visitor));
  process_.NoteChange();
}

void FrontNode::SellCart(std::vector<storage::ReservationClaim> lines, absl::Time deadline, bool may_exist,
                         quota::CartDone done, std::vector<quota::Visitor> visitors) {
  carts_->Sell(
      std::move(lines), deadline, may_exist,
      [ticket = requests_.Open("buy a cart", process_.world().scheduler.Now(), deadline),
       done = std::move(done)](quota::CartSale sale) mutable {
        ticket.Close();
        done(std::move(sale));
      },
      std::move(visitors));
  process_.NoteChange();
}

void FrontNode::Apply(Change change, absl::Time deadline, storage::ChangeDone answer) {
  storage::ChangeDone done = [ticket = requests_.Open(VerbOf(change), process_.world().scheduler.Now(), deadline),
                              answer = std::move(answer)](absl::StatusOr<storage::ChangeResult> result) mutable {
    ticket.Close();
    answer(std::move(result));
  };
  const auto* payment = std::get_if<storage::Payment>(&change);
  if (payment != nullptr) {
    done = [this, paid = *payment, deadline,
            done = std::move(done)](absl::StatusOr<storage::ChangeResult> result) mutable {
      const bool late = result.ok() && (result->refusal == storage::Refusal::kReservationState ||
                                        result->refusal == storage::Refusal::kGroupOver);
      if (!late) return done(std::move(result));
      shard_->books()->ConfirmLate(std::move(paid), result->reservation.sku_id, deadline, std::move(done));
    };
  }
  shard_->books()->Apply("", std::move(change), deadline, std::move(done));
  process_.NoteChange();
}

void FrontNode::StopInOrder() {
  stop_requested_ = true;
  process_.NoteChange();
}

void FrontNode::SetDraining(bool draining) {
  if (draining != draining_) process_.Note("draining", draining ? 1 : 0);
  draining_ = draining;
  if (consumer_ != nullptr) return consumer_->SetDraining(draining);
  SetAccepting(!draining);
}

void FrontNode::SetAccepting(bool accepting) {
  seller_->SetAccepting(accepting);
  carts_->SetAccepting(accepting);
  pools_.SetAccepting(accepting);
  room_.SetOpen(accepting);
}

}  // namespace tranche::simulation
