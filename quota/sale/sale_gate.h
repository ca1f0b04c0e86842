// What stands before the counter: asked for each claim that could be granted, before any unit is taken.
#pragma once

#include <cstddef>
#include <optional>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "quota/sale/sale_result.h"
#include "storage/ledger/reservation_ledger.h"

namespace tranche::quota {

// One line of a cart, or a claim.
struct GateLine {
  const storage::ReservationClaim* claim = nullptr;
  const Visitor* visitor = nullptr;
};

struct GateVerdict {
  // Nothing: let in.
  std::optional<Refused> refused;
  // Of the line at fault; 0 if no single one is.
  size_t line = 0;
  // Let in after this time, which ends before the deadline: call Park with it.
  absl::Duration wait = absl::ZeroDuration();
  // Let in by a purchase token, in every line.
  bool has_token = false;
};

// Thread-safe.
class SaleGate {
 public:
  virtual ~SaleGate() = default;

  // False: nobody is refused or counted now, so Check need not be asked. One load.
  virtual bool closed_to_some() const = 0;

  // Counts the try if the answer lets it in. Of a cart, all lines are one buyer's. Whoever would have to wait until
  // `deadline` or longer, or finds too many waiting, is refused with kRateLimited, and has used up no try: so who comes
  // again when they are told to is let in. Does not block and makes no I/O.
  virtual GateVerdict Check(absl::Span<const GateLine> lines, absl::Time now, absl::Time deadline) = 0;

  // Calls `go_on` once, on another thread, after `wait`, or earlier when the gate ends. It must not block. False: the
  // gate has ended, and drops it.
  virtual bool Park(absl::Duration wait, absl::AnyInvocable<void()> go_on) = 0;
};

}  // namespace tranche::quota
