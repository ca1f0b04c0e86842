// The balancer's session with ZooKeeper, and whether it leads its shard with it.
//
// Whoever creates the leader's znode leads until its session ends. Leadership only saves work: two leaders at once, or
// none, cost efficiency and never a unit. A leader that does not reach the ledger gives up, and does not stand again
// before the ledger answers: another may reach it. With the tree of another ledger (ledger_mark.h) it neither stands
// nor leads on, but goes on looking: an operator may hand the tree over.
#pragma once

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "quota/balancer/balancer_options.h"
#include "quota/coordination/announcer.h"
#include "quota/coordination/coordination.h"
#include "storage/clock.h"
#include "storage/ledger/stock_ledger.h"

namespace tranche::quota {

class Leadership : public SessionSource {
 public:
  // Outlived by all of these. `observer` hears what happens to each session.
  Leadership(CoordinationConnector* connector, CoordinationObserver* observer, storage::StockLedger* ledger,
             storage::Clock* clock, const BalancerOptions* options);

  // From any thread.
  std::shared_ptr<Coordination> Session() override;
  bool leading() const;
  void NoteExpired();
  // Ends the session, and leadership with it.
  void Close();

  // The rest may only be called on the thread that runs the rounds.

  // Is there a session that has not expired?
  bool connected() const;
  // Closes the session, if there is one, and begins another, which does not lead yet.
  absl::Status Connect();

  // Have we resigned, and not found the ledger answering since?
  bool abstaining() const { return abstaining_; }
  // Ends the abstention if the ledger answers; otherwise returns its error.
  absl::Status EndAbstention();
  // Becomes the leader if there is none. Returns whether we lead now and did not before. Leaves a watch, but not in
  // another ledger's tree. kNotFound: the tree has gone.
  absl::StatusOr<bool> Stand(Coordination& session);

  // For a round that began then: did it fail because the ledger did not answer?
  bool MissedTheLedger(const absl::Status& led, absl::Time began_at);
  // Resigns if the ledger has not answered for too long.
  void MindTheLedger(Coordination& session);
  // Resigns, because the tree is another ledger's, as `why` says.
  void LeaveTree(Coordination& session, const absl::Status& why);

 private:
  absl::Status RequireOwnTree(Coordination& session);
  void TellAnotherLedger(const absl::Status& why);
  void DropLeadership(Coordination& session);
  absl::StatusOr<bool> Campaign(Coordination& session);
  absl::StatusOr<bool> RemoveFalseLeader(Coordination& session);
  void Resign(Coordination& session, const char* why);
  // Logs what it changes. `why`: we do not lead any more.
  void TellLeads() const;
  void TellResigned(const char* why) const;

  CoordinationConnector* const connector_;
  CoordinationObserver* const observer_;
  storage::StockLedger* const ledger_;
  storage::Clock* const clock_;
  const BalancerOptions& options_;

  mutable absl::Mutex mutex_;
  std::shared_ptr<Coordination> session_ ABSL_GUARDED_BY(mutex_);
  bool expired_ ABSL_GUARDED_BY(mutex_) = false;
  bool leading_ ABSL_GUARDED_BY(mutex_) = false;

  absl::Time ledger_failing_since_ = absl::InfiniteFuture();
  bool abstaining_ = false;
  absl::Time tell_at_ = absl::InfinitePast();  // of another ledger's tree, again
};

}  // namespace tranche::quota
