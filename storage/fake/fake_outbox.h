// The outbox in memory, with the same rules as the procedures under sql/. FakeLedger writes into it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "storage/clock.h"
#include "storage/ledger/outbox_ledger.h"
#include "storage/ledger/reservation_ledger.h"

namespace tranche::storage {

// Thread-safe. Operators' changes to it are not audited.
class FakeOutbox : public OutboxLedger {
 public:
  // The payload's fields besides the reservation: keys, and texts or numbers.
  using Extra = std::vector<std::pair<std::string, std::variant<std::string, int64_t>>>;

  // `clock` is the database's. Not owned.
  explicit FakeOutbox(Clock* clock) : clock_(clock) {}

  // Writes the message about the reservation's current revision, for every sink. `trace`: of the call that changed it.
  void Write(const std::string& kind, const Reservation& reservation, const Extra& extra, const TraceTag& trace = {});
  // Is there a message about the reservation, dead or not?
  bool HasMessages(const Uuid& reservation_id);

  absl::StatusOr<std::vector<OutboxMessage>> ClaimMessages(const std::string& sink, int limit, absl::Duration lease,
                                                           bool fresh) override;
  absl::Status MarkDelivered(absl::Span<const OutboxKey> keys) override;
  absl::Status MarkFailed(absl::Span<const OutboxFailure> failures) override;
  absl::StatusOr<std::vector<std::string>> ListSinks() override;
  absl::Status AddSink(const std::string& sink, const Actor& actor) override;
  absl::Status RemoveSink(const std::string& sink, const Actor& actor) override;
  absl::StatusOr<std::vector<OutboxMessage>> ListMessages(const std::string& sink, OutboxState state,
                                                          const OutboxKey& after, int limit) override;
  absl::StatusOr<OutboxMessage> GetMessage(const OutboxKey& key) override;
  absl::StatusOr<int64_t> RetryDead(const std::string& sink, const Actor& actor) override;
  absl::StatusOr<int64_t> RetryMessage(const OutboxKey& key, const Actor& actor) override;
  absl::StatusOr<int64_t> DiscardMessage(const OutboxKey& key, const Actor& actor) override;
  absl::StatusOr<std::vector<OutboxDepth>> Depths() override;

  // All that is stored now, and the return to it.
  struct Backup {
    std::set<std::string> sinks;
    std::map<std::tuple<Uuid, int32_t, std::string>, OutboxMessage> messages;
  };
  Backup Save();
  void Restore(const Backup& backup);

  // The next `calls` calls of OutboxLedger's methods return kUnavailable and do nothing.
  void FailNext(int calls);

 private:
  using Key = std::tuple<Uuid, int32_t, std::string>;

  static Key KeyOf(const OutboxKey& key) { return {key.reservation_id, key.revision, key.sink}; }
  absl::Status Enter() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Time DatabaseNow() const;
  void Revive(OutboxMessage& message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Clock* const clock_;
  absl::Mutex mutex_;
  std::set<std::string> sinks_ ABSL_GUARDED_BY(mutex_) = {"default"};
  std::map<Key, OutboxMessage> messages_ ABSL_GUARDED_BY(mutex_);
  int fail_next_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tranche::storage
