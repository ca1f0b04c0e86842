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
  kRefused,         // the sink answers, but does not take this message now
  kRefusedForGood,  // and never will
  kSinkFailed,      // the message is not at fault: the sink is unreachable, overloaded or set up wrongly
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

  // Delivers the messages, which are about different reservations, in any order or side by side; returns the result of
  // each, in their order. `may_begin` is asked before each message; once it says no, no further one is begun. A
  // delivery that has begun ends within the sink's own timeout. Blocks until then.
  virtual std::vector<Delivery> Deliver(absl::Span<const storage::OutboxMessage> batch,
                                        absl::FunctionRef<bool()> may_begin) = 0;
};

// "<reservation id>/<revision>": identifies a message at every sink, however often it is delivered.
std::string MessageId(const storage::OutboxKey& key);

// How much is kept of a sink's own description of a failure.
inline constexpr size_t kMaxSinkErrorBytes = 400;

// Printable ASCII of at most `most` bytes: makes text from others safe for logs and for the ledger.
std::string Printable(absl::string_view text, size_t most);

}  // namespace tranche::server
