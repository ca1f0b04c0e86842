// Carries messages from the outbox to one sink.
//
// A step claims a batch, has it delivered and tells the ledger what came of it. The ledger hands out only the first
// waiting message of a reservation, so that a batch has no order to keep. What is claimed comes back by itself when its
// lease runs out: after a crash, or a stop before its turn; what a failing sink was not tried with is handed back at
// once. A message may therefore arrive more than once, and after an overlong pause of this process behind a newer one
// of its reservation; receivers go by message id and revision.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/worker/ledger_trouble.h"
#include "server/worker/retry_policy.h"
#include "server/worker/sink.h"
#include "server/worker/sink_health.h"
#include "storage/clock.h"
#include "storage/ledger/outbox_ledger.h"

namespace tranche::server {

struct RelayOptions {
  SinkHealthOptions health;
  // Of a message that failed.
  BackoffBounds retry = {absl::Seconds(1), absl::Minutes(5)};
  GiveUpBounds give_up;
  // Deliveries are begun within the first half; a sink's own timeout is to fit into the second.
  absl::Duration lease = absl::Minutes(1);
  // How soon a message is seen that was written while nothing waited.
  absl::Duration poll = absl::Milliseconds(200);
};

// Thread-safe: several threads may step side by side, and several processes may have a relay for the same sink.
class SinkRelay {
 public:
  SinkRelay(storage::OutboxLedger* ledger, Sink* sink, storage::Clock* clock, RandomSource random,
            const RelayOptions& options);

  // Registers the sink, if that has not been done, and carries one batch. Blocks for as long; returns how long to wait
  // for the next step.
  absl::Duration Step();

  // Steps that run deliver what they have begun, and settle it; they begin no further message.
  void RequestStop() { stopping_ = true; }

 private:
  // What the ledger is to be told. Of no use once the lease is over.
  struct Settlement {
    std::vector<storage::OutboxKey> delivered;
    std::vector<storage::OutboxFailure> failed;
    absl::Time useless_at;
  };

  absl::Duration Carry(const SinkHealth::Permit& permit);
  std::vector<Delivery> Deliver(absl::Span<const storage::OutboxMessage> messages, absl::Time claimed_at);
  Settlement Judge(absl::Span<const storage::OutboxMessage> messages, absl::Span<const Delivery> deliveries,
                   absl::Time claimed_at);
  void NoteHealth(const SinkHealth::Permit& permit, absl::Span<const Delivery> deliveries);
  // Tells the ledger; what it does not take is kept for the next step.
  absl::Status Settle(Settlement settlement);
  absl::Status SettleKept();

  storage::OutboxLedger* const ledger_;
  Sink* const sink_;
  storage::Clock* const clock_;
  const RandomSource random_;
  const RelayOptions options_;
  LedgerTrouble trouble_;
  SinkHealth health_;
  std::atomic<bool> registered_ = false;
  std::atomic<bool> stopping_ = false;
  absl::Mutex mutex_;
  std::vector<Settlement> kept_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
