#include "client/load/answer_log.h"

#include "absl/strings/str_cat.h"

namespace tranche::load {

absl::Status AnswerLog::Open(const std::string& path) {
  absl::MutexLock lock(&mutex_);
  file_.open(path, std::ios::trunc);
  if (!file_) return absl::InvalidArgumentError(absl::StrCat("cannot write ", path));
  return absl::OkStatus();
}

void AnswerLog::Add(const CreateReservation& request, absl::string_view outcome, int64_t amount_minor, absl::Time ended,
                    absl::Duration latency) {
  absl::MutexLock lock(&mutex_);
  if (!file_.is_open()) return;
  file_ << absl::StrCat(request.reservation_id, "\t", request.sku, "\t", request.user, "\t", request.quantity, "\t",
                        outcome, "\t", amount_minor, "\t", absl::ToUnixMicros(ended - latency), "\t",
                        absl::ToUnixMicros(ended), "\n");
}

bool AnswerLog::Close() {
  absl::MutexLock lock(&mutex_);
  if (!file_.is_open()) return true;
  file_.close();
  return !file_.fail();
}

}  // namespace tranche::load
