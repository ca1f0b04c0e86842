#include "client/load/answer_log.h"

#include "absl/strings/str_cat.h"

namespace tranche::load {

void AnswerLog::Add(const CreateReservation& request, absl::string_view outcome, int64_t amount_minor, absl::Time ended,
                    absl::Duration latency) {
  file_.Add(absl::StrCat(request.reservation_id, "\t", request.sku, "\t", request.user, "\t", request.quantity, "\t",
                         outcome, "\t", amount_minor, "\t", absl::ToUnixMicros(ended - latency), "\t",
                         absl::ToUnixMicros(ended), "\n"));
}

const char* ChangeKindName(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kConfirm:
      return "confirm";
    case ChangeKind::kCancel:
      return "cancel";
    case ChangeKind::kExtend:
      return "extend";
  }
  return "";
}

std::string Change::Value() const {
  switch (kind) {
    case ChangeKind::kConfirm:
      return absl::StrCat("pay-", reservation.reservation_id);
    case ChangeKind::kCancel:
      return "changed-my-mind";
    case ChangeKind::kExtend:
      return absl::StrCat(reservation.extensions + 1);
  }
  return "";
}

void ChangeLog::Add(const Change& change, absl::string_view node, absl::string_view outcome, absl::Time began,
                    absl::Time ended) {
  file_.Add(absl::StrCat(change.reservation.reservation_id, "\t", ChangeKindName(change.kind), "\t", node, "\t",
                         change.Value(), "\t", outcome, "\t", absl::ToUnixMicros(began), "\t",
                         absl::ToUnixMicros(ended), "\n"));
}

}  // namespace tranche::load
