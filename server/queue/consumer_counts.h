// What became of the claims that a consumer was handed.
#pragma once

#include <array>
#include <cstdint>
#include <iterator>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "storage/base/counter.h"
#include "storage/ledger/refusal.h"

namespace tranche::server {

// Thread-safe.
class ConsumerCounts {
 public:
  void Refused(storage::Refusal refusal);

  // Calls `add(outcome, count)` for each way that a delivery may end, whether or not it has happened: the words below,
  // and the reasons for which claims are refused. Each delivery is counted once.
  void ForEach(absl::FunctionRef<void(absl::string_view outcome, int64_t count)> add) const;

  Counter sold;
  Counter replayed;  // it had been decided before
  Counter requeued;
  Counter dead;
  Counter lost;  // the connection was lost meanwhile: it comes again
  // No way to end: tries that came to nothing and are repeated.
  Counter retried;

 private:
  std::array<Counter, std::size(storage::kRefusalWords)> refused_;  // in the order of the words
};

}  // namespace tranche::server
