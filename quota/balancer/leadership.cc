#include "quota/balancer/leadership.h"

#include <algorithm>
#include <utility>

#include "glog/logging.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/incarnation_znodes.h"
#include "quota/coordination/ledger_mark.h"
#include "storage/base/log_event.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::quota {
namespace {

constexpr absl::Duration kTellAnotherLedgerEvery = absl::Minutes(1);

}  // namespace

Leadership::Leadership(CoordinationConnector* connector, CoordinationObserver* observer, storage::StockLedger* ledger,
                       storage::Clock* clock, const BalancerOptions* options)
    : connector_(connector), observer_(observer), ledger_(ledger), clock_(clock), options_(*options) {}

std::shared_ptr<Coordination> Leadership::Session() {
  absl::MutexLock lock(&mutex_);
  return session_;
}

bool Leadership::leading() const {
  absl::MutexLock lock(&mutex_);
  return leading_;
}

void Leadership::NoteExpired() {
  absl::MutexLock lock(&mutex_);
  expired_ = true;
}

void Leadership::Close() {
  std::shared_ptr<Coordination> session;
  bool led = false;
  {
    absl::MutexLock lock(&mutex_);
    session = std::move(session_);
    session_.reset();
    led = std::exchange(leading_, false);
  }
  if (led) TellResigned("the process stops");
  // Closing the session (here, outside of the lock) removes the leader's ephemeral node.
}

bool Leadership::connected() const {
  absl::MutexLock lock(&mutex_);
  return !expired_ && session_ != nullptr;
}

absl::Status Leadership::Connect() {
  std::shared_ptr<Coordination> old;
  bool led = false;
  {
    absl::MutexLock lock(&mutex_);
    old = std::move(session_);
    session_.reset();
    led = std::exchange(leading_, false);
    expired_ = false;
  }
  if (led) TellResigned("its ZooKeeper session has ended");
  old.reset();
  ASSIGN_OR_RETURN(auto session, connector_->Connect(observer_));
  absl::MutexLock lock(&mutex_);
  session_ = std::move(session);
  return absl::OkStatus();
}

absl::Status Leadership::EndAbstention() {
  RETURN_IF_ERROR(ledger_->ListLiveIncarnations().status());
  abstaining_ = false;
  return absl::OkStatus();
}

absl::StatusOr<bool> Leadership::Stand(Coordination& session) {
  // A leader looks in its rounds (history_step.h). Those who wait look, too: it should be known before they are needed.
  if (!leading()) {
    if (absl::Status own = RequireOwnTree(session); !own.ok()) {
      DropLeadership(session);
      if (!IsAnotherLedgersTree(own)) return own;
      TellAnotherLedger(own);
      return false;
    }
  }
  ASSIGN_OR_RETURN(const bool leader, Campaign(session));
  bool before = false;
  {
    absl::MutexLock lock(&mutex_);
    before = std::exchange(leading_, leader);
  }
  if (before && !leader) TellResigned("another one leads");
  if (before || !leader) return false;
  TellLeads();
  LOG(INFO) << options_.name << " leads, shard " << options_.shard;
  ledger_failing_since_ = absl::InfiniteFuture();
  return true;
}

absl::Status Leadership::RequireOwnTree(Coordination& session) {
  if (options_.shard != storage::kHomeShard) {
    const storage::LedgerMark home{.line = options_.home_id};
    RETURN_IF_ERROR(RequireTreeOf(session, storage::kHomeShard, home));
  }
  return RequireTreeOf(session, options_.shard, *ledger_);
}

// Of a resignation, or of a try to lead, whose answer was lost: else nobody could lead while our session lives.
void Leadership::DropLeadership(Coordination& session) {
  const auto leader = session.Get(LeaderPath(options_.shard), Watch::kNo);
  if (!leader.ok() || leader->ephemeral_owner != session.SessionId()) return;
  session.Delete(LeaderPath(options_.shard), leader->version).IgnoreError();
}

void Leadership::TellAnotherLedger(const absl::Status& why) {
  const absl::Time now = clock_->Now();
  if (now < tell_at_) return;
  LOG(ERROR) << options_.name << " does not lead, shard " << options_.shard << ": " << why.message();
  tell_at_ = now + kTellAnotherLedgerEvery;
}

// Is this session the leader, now or after trying? Whoever creates the node leads; it goes with the session.
absl::StatusOr<bool> Leadership::Campaign(Coordination& session) {
  auto leader = session.Get(LeaderPath(options_.shard), Watch::kYes);
  if (absl::IsNotFound(leader.status())) {
    const absl::Status created = session.Create(LeaderPath(options_.shard), options_.name, CreateMode::kEphemeral);
    if (!created.ok() && !absl::IsAlreadyExists(created)) return created;
    leader = session.Get(LeaderPath(options_.shard), Watch::kYes);
    if (absl::IsNotFound(leader.status())) return false;  // it has just gone; its watch will tell
  }
  if (!leader.ok()) return leader.status();
  if (!leader->owned_by_session()) return RemoveFalseLeader(session);
  return leader->ephemeral_owner == session.SessionId();
}

// No balancer writes a persistent znode here, and it would never vanish: nobody would lead again. Its deletion wakes us
// to stand. It may hit the znode of another balancer that was quicker: then that one stands again, too.
absl::StatusOr<bool> Leadership::RemoveFalseLeader(Coordination& session) {
  const std::string path = LeaderPath(options_.shard);
  LOG(ERROR) << path << " is not the znode of a balancer (no session owns it); deleting it. Restrict who may write to "
             << "ZooKeeper";
  const absl::Status deleted = DeleteWithChildren(session, path);
  if (!deleted.ok() && !absl::IsNotFound(deleted)) return deleted;
  return false;
}

bool Leadership::MissedTheLedger(const absl::Status& led, absl::Time began_at) {
  // `led` may be about ZooKeeper.
  if (led.ok() || (!storage::LedgerIsAway(led) && ledger_->ListLiveIncarnations().ok())) {
    ledger_failing_since_ = absl::InfiniteFuture();
    return false;
  }
  ledger_failing_since_ = std::min(ledger_failing_since_, began_at);
  return true;
}

void Leadership::MindTheLedger(Coordination& session) {
  if (clock_->Now() - ledger_failing_since_ < options_.resign_after) return;
  // Another balancer may reach it. We stand again when we do.
  LOG(WARNING) << options_.name << " does not reach the ledger and gives up leadership";
  abstaining_ = true;
  Resign(session, "it does not reach the ledger");
}

void Leadership::LeaveTree(Coordination& session, const absl::Status& why) {
  TellAnotherLedger(why);
  Resign(session, "the tree is of another ledger");
}

void Leadership::TellLeads() const {
  LogEvent("balancer.leads", {{"balancer", options_.name}, {"shard", options_.shard}});
}

void Leadership::TellResigned(const char* why) const {
  LogEvent("balancer.resigned", {{"balancer", options_.name}, {"shard", options_.shard}, {"reason", why}});
}

void Leadership::Resign(Coordination& session, const char* why) {
  ledger_failing_since_ = absl::InfiniteFuture();
  bool led = false;
  {
    absl::MutexLock lock(&mutex_);
    led = std::exchange(leading_, false);
  }
  if (led) TellResigned(why);
  session.Delete(LeaderPath(options_.shard), kAnyVersion).IgnoreError();
}

}  // namespace tranche::quota
