// Every answer a caller got, as a file: what a checker later holds against the ledger.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "tranche/reservation.h"

namespace tranche::load {

// One line per answer, in the order of the answers, columns separated by tabs:
//
//   reservation_id  sku  user  quantity  outcome  amount_minor  began_us  ended_us
//
// The columns of the claim are what was asked for, not what came back. `outcome` is "created", "replayed", "UNKNOWN" or
// the refusal's reason; `amount_minor` is 0 unless the claim was acknowledged. Times are microseconds since the Unix
// epoch; an open loop's request begins when it was meant to be sent. A request of unknown outcome that is sent again
// gets a second line: its last line counts. Nothing is kept in memory. Thread-safe.
class AnswerLog {
 public:
  absl::Status Open(const std::string& path);
  // Does nothing unless open.
  void Add(const CreateReservation& request, absl::string_view outcome, int64_t amount_minor, absl::Time ended,
           absl::Duration latency);
  // False: not everything could be written.
  bool Close();

 private:
  absl::Mutex mutex_;
  std::ofstream file_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::load
