// The outbox: messages about changes of reservations, written with the change and handed to relays that deliver them to
// sinks (storage/sql/migrations/0003_reservation_life.sql).
//
// Each sink gets its own copy of a message, at least once, and in the order of the revisions of its reservation: a
// message is handed out only when no earlier one of its reservation waits for the same sink. A dead message does not
// block later ones.
//
// Threads, blocking and errors are those of every ledger: storage/ledger/README.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/base/log_trace.h"
#include "storage/ledger/actor.h"
#include "storage/uuid.h"

namespace tranche::storage {

// Names one sink's copy of a message.
struct OutboxKey {
  Uuid reservation_id;
  int32_t revision = 0;
  std::string sink;
};

enum class OutboxState { kPending, kDead };

struct OutboxMessage {
  OutboxKey key;
  std::string sku_id;
  std::string kind;     // such as "reservation.confirmed"
  std::string payload;  // a JSON object
  absl::Time created_at;
  OutboxState state = OutboxState::kPending;
  int32_t attempts = 0;  // that were begun
  absl::Time next_attempt_at;
  std::string last_error;
  // Of the call that made the change; null if it came with none, or if no call did.
  TraceTag trace = {};
};

// A delivery that failed.
struct OutboxFailure {
  OutboxKey key;
  std::string error;           // cut to 1000 bytes
  absl::Duration retry_after;  // ignored when `dead`
  bool dead = false;           // give up
};

struct OutboxDepth {
  std::string sink;
  int64_t pending = 0;
  int64_t dead = 0;
  absl::Duration oldest_pending;
};

class OutboxLedger {
 public:
  virtual ~OutboxLedger() = default;

  // Takes up to `limit` due messages of the sink, those due longest first; they are not handed out again for `lease`.
  // Relays side by side get different ones. `fresh`: only messages that were never taken before, the newest first.
  virtual absl::StatusOr<std::vector<OutboxMessage>> ClaimMessages(const std::string& sink, int limit,
                                                                   absl::Duration lease, bool fresh) = 0;
  // They were delivered; deletes them. Unknown ones are ignored.
  virtual absl::Status MarkDelivered(absl::Span<const OutboxKey> keys) = 0;
  virtual absl::Status MarkFailed(absl::Span<const OutboxFailure> failures) = 0;

  virtual absl::StatusOr<std::vector<std::string>> ListSinks() = 0;
  // Both are audited. An added sink gets a copy of every message from now on. Repeating it is harmless.
  virtual absl::Status AddSink(const std::string& sink, const Actor& actor) = 0;
  // Also discards the messages that wait for it, however many: it may take long, and if it fails half-way it can be
  // repeated. kNotFound when there is no such sink, kInvalidArgument when it is the only one.
  virtual absl::Status RemoveSink(const std::string& sink, const Actor& actor) = 0;

  // For operators. The sink's messages ("" for all) in this state, ascending by (reservation, revision, sink), those
  // after `after` (a key of zeros: from the start), at most `limit`.
  virtual absl::StatusOr<std::vector<OutboxMessage>> ListMessages(const std::string& sink, OutboxState state,
                                                                  const OutboxKey& after, int limit) = 0;
  virtual absl::StatusOr<OutboxMessage> GetMessage(const OutboxKey& key) = 0;
  // Makes dead messages of the sink due again ("" for every sink), or one message; audited. Returns how many.
  virtual absl::StatusOr<int64_t> RetryDead(const std::string& sink, const Actor& actor) = 0;
  virtual absl::StatusOr<int64_t> RetryMessage(const OutboxKey& key, const Actor& actor) = 0;
  virtual absl::StatusOr<int64_t> DiscardMessage(const OutboxKey& key, const Actor& actor) = 0;
  // Per sink. Counts the messages, so it costs in proportion to their number.
  virtual absl::StatusOr<std::vector<OutboxDepth>> Depths() = 0;
};

}  // namespace tranche::storage
