// Carries messages from the outbox to one sink.
//
// A step claims a batch, has it delivered and reports the results to the ledger. The ledger hands out only the first
// waiting message of a reservation, so a batch needs no order. A claimed message becomes due again by itself when its
// lease runs out: after a crash, or after a stop before its turn. Messages that a failing sink was not tried with are
// handed back at once. So a message may arrive more than once, and after a very long pause of this process behind a
// newer one of its reservation; receivers must go by message id and revision.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/worker/ledger_trouble.h"
#include "server/worker/retry_policy.h"
#include "server/worker/sink.h"
#include "server/worker/sink_health.h"
#include "server/worker/worker_counts.h"
#include "storage/clock.h"
#include "storage/ledger/outbox_ledger.h"

namespace tranche::server {

struct RelayOptions {
  SinkHealthOptions health;
  // For a message that failed.
  BackoffBounds retry = {absl::Seconds(1), absl::Minutes(5)};
  GiveUpBounds give_up;
  // Deliveries are begun within the first half; a sink's own timeout should fit into the second.
  absl::Duration lease = absl::Minutes(1);
  // How soon a new message is seen when none was waiting.
  absl::Duration poll = absl::Milliseconds(200);
};

// Thread-safe: several threads may step side by side, and several processes may have a relay for the same sink.
class SinkRelay {
 public:
  SinkRelay(storage::OutboxLedger* ledger, Sink* sink, storage::Clock* clock, RandomSource random,
            const RelayOptions& options);

  // Registers the sink if necessary, and carries one batch. Blocks until it is done; returns how long to wait before
  // the next step.
  absl::Duration Step();

  // Running steps finish and settle the deliveries that they have begun; they begin no further one.
  void RequestStop() { stopping_ = true; }

  // For those who watch it. None of these waits for the sink or the ledger.
  const std::string& sink() const { return sink_->name(); }
  const RelayCounts& counts() const { return counts_; }
  bool healthy() const { return !health_.down(); }

 private:
  // What to report to the ledger. Useless once the lease is over.
  struct Settlement {
    std::vector<storage::OutboxKey> delivered;
    std::vector<storage::OutboxFailure> failed;
    absl::Time useless_at;
  };

  absl::Duration Carry(const SinkHealth::Permit& permit);
  absl::StatusOr<std::vector<storage::OutboxMessage>> Claim(const SinkHealth::Permit& permit);
  std::vector<Delivery> Deliver(absl::Span<const storage::OutboxMessage> messages, absl::Time claimed_at);
  Settlement Judge(absl::Span<const storage::OutboxMessage> messages, absl::Span<const Delivery> deliveries,
                   absl::Time claimed_at);
  void Count(RelayOutcome outcome) { counts_.messages[static_cast<size_t>(outcome)].Add(); }
  void CountDelivered(const storage::OutboxMessage& message);
  void NoteHealth(const SinkHealth::Permit& permit, absl::Span<const storage::OutboxMessage> messages,
                  absl::Span<const Delivery> deliveries);
  // Reports to the ledger; what it does not take is kept for the next step.
  absl::Status Settle(Settlement settlement);
  absl::Status SettleKept();

  storage::OutboxLedger* const ledger_;
  Sink* const sink_;
  storage::Clock* const clock_;
  const RandomSource random_;
  const RelayOptions options_;
  LedgerTrouble trouble_;
  SinkHealth health_;
  RelayCounts counts_;
  std::atomic<bool> registered_ = false;
  std::atomic<bool> stopping_ = false;
  absl::Mutex mutex_;
  std::vector<Settlement> kept_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
