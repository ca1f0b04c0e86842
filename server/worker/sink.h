// Where the messages of the outbox go.
#pragma once

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/ledger/outbox_ledger.h"

namespace tranche::server {

enum class DeliveryOutcome {
  kDelivered,
  kRefused,         // the sink answers, and does not take this message now
  kRefusedForGood,  // nor ever
  kSinkFailed,      // it is not the message: the sink is not reached, is overloaded or is set up wrongly
  kNotTried,        // there was no time left to begin
};

struct Delivery {
  DeliveryOutcome outcome = DeliveryOutcome::kNotTried;
  std::string error;                // printable; empty for kDelivered and kNotTried
  absl::Duration retry_after = {};  // what the sink asked for; zero when it did not
};

// Thread-safe.
class Sink {
 public:
  virtual ~Sink() = default;

  // Its name in the ledger.
  virtual const std::string& name() const = 0;

  // Delivers the messages, which are of different reservations, in any order or side by side; returns what became of
  // each, in their order. `may_begin` is asked before a message is begun; once it says no, no more are. What has begun
  // ends within the sink's own timeout. Blocks for as long.
  virtual std::vector<Delivery> Deliver(absl::Span<const storage::OutboxMessage> batch,
                                        absl::FunctionRef<bool()> may_begin) = 0;
};

// "<reservation id>/<revision>": names a message at every sink, however often it is delivered.
std::string MessageId(const storage::OutboxKey& key);

// How much of a sink's own words about a failure is kept.
inline constexpr size_t kMaxSinkErrorBytes = 400;

// Printable ASCII of at most `most` bytes: what others sent, fit for logs and for the ledger.
std::string Printable(absl::string_view text, size_t most);

}  // namespace tranche::server
