// Writes every answer that a caller got to files, so that a checker can later compare them with the ledger.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/load/line_file.h"
#include "tranche/reservation.h"

namespace tranche::load {

// One line per answer, in the order of the answers, columns separated by tabs:
//
//   reservation_id  sku  user  quantity  outcome  amount_minor  began_us  ended_us
//
// The columns of the claim are those of the request, not of the answer. `outcome` is "created", "replayed", "UNKNOWN"
// or the refusal's reason; `amount_minor` is 0 unless the claim was acknowledged. Times are microseconds since the Unix
// epoch; in an open loop, a request begins when it was meant to be sent. A request of unknown outcome that is sent
// again gets a second line: its last line counts. Nothing is kept in memory. Thread-safe.
class AnswerLog {
 public:
  absl::Status Open(const std::string& path) { return file_.Open(path); }
  // Does nothing unless open.
  void Add(const CreateReservation& request, absl::string_view outcome, int64_t amount_minor, absl::Time ended,
           absl::Duration latency);
  // False: not everything could be written.
  bool Close() { return file_.Close(); }

 private:
  LineFile file_;
};

enum class ChangeKind { kConfirm, kCancel, kExtend };
// "confirm", "cancel" or "extend".
const char* ChangeKindName(ChangeKind kind);

// A change of a reservation; it is the same when sent again.
struct Change {
  ChangeKind kind = ChangeKind::kConfirm;
  Reservation reservation;  // as it was before the change

  // Identifies it among changes of its kind: the payment's reference, the reason or the extension's number.
  std::string Value() const;
};

// Like AnswerLog, for changes:
//
//   reservation_id  kind  node  value  outcome  began_us  ended_us
//
// `kind` is a ChangeKindName, `node` the address of the node that was asked, "-" for any, and `value` is Change::Value.
// `outcome` is "CONFIRMED" (or another ConfirmOutcomeName), "CANCELLED", "EXTENDED", "UNKNOWN" or the refusal's reason.
class ChangeLog {
 public:
  absl::Status Open(const std::string& path) { return file_.Open(path); }
  // Does nothing unless open.
  void Add(const Change& change, absl::string_view node, absl::string_view outcome, absl::Time began, absl::Time ended);
  // False: not everything could be written.
  bool Close() { return file_.Close(); }

 private:
  LineFile file_;
};

}  // namespace tranche::load
