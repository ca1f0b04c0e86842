#include "server/handlers/audited_action.h"

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "google/protobuf/util/json_util.h"
#include "server/errors.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

// The largest number up to which a double has every integer.
constexpr int64_t kLargestExact = int64_t{1} << 53;

// Everything else says that nothing was done.
bool LeavesDoubt(const absl::Status& error, v1::ErrorReason reason) {
  if (reason == v1::ERROR_REASON_DEADLINE_PASSED) return false;  // before the ledger was asked
  return reason == v1::ERROR_REASON_COMMIT_UNKNOWN || reason == v1::ERROR_REASON_INTERNAL ||
         absl::IsDeadlineExceeded(error) || absl::IsUnknown(error) || absl::IsInternal(error) ||
         absl::IsCancelled(error);
}

}  // namespace

Members& Members::Add(const std::string& name, const std::string& text) {
  (*members_.mutable_fields())[name].set_string_value(text);
  return *this;
}

Members& Members::Add(const std::string& name, int64_t number) {
  if (number > kLargestExact || number < -kLargestExact) return Add(name, absl::StrCat(number));
  (*members_.mutable_fields())[name].set_number_value(static_cast<double>(number));
  return *this;
}

Members& Members::Add(const std::string& name, bool value) {
  (*members_.mutable_fields())[name].set_bool_value(value);
  return *this;
}

Members& Members::Add(const std::string& name, const std::vector<std::string>& texts) {
  google::protobuf::ListValue* const list = (*members_.mutable_fields())[name].mutable_list_value();
  for (const std::string& text : texts) list->add_values()->set_string_value(text);
  return *this;
}

std::string Members::ToJson() const {
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(members_, &json);
  CHECK(status.ok()) << "texts and numbers are always JSON";
  return json;
}

absl::StatusOr<AuditedAction> AuditedAction::Begin(storage::AuditLedger* log, const What& what) {
  const absl::StatusOr<int64_t> id = log->BeginAudit({.actor = what.actor,
                                                      .action = what.action,
                                                      .sku_id = what.sku_id,
                                                      .before = what.before.ToJson(),
                                                      .asked = what.asked.ToJson()});
  // Whether the entry is there or not, what it is about has not been begun: repeating that is harmless.
  if (!id.ok()) return LedgerError(id.status(), what.sku_id, Repeatable::kYes);
  return AuditedAction(log, *id);
}

void AuditedAction::EndDone(Members result) {
  Members all;
  all.Add("outcome", std::string("DONE"));
  all.Merge(result);
  End(all);
}

void AuditedAction::EndFailed(const absl::Status& error) {
  if (!LeavesDoubt(error, ReasonOfError(error))) EndRefused(error);
}

void AuditedAction::EndRefused(const absl::Status& why) {
  Members result;
  result.Add("outcome", std::string("REFUSED")).Add("error", ReasonName(ReasonOfError(why)));
  End(result);
}

void AuditedAction::End(const Members& result) {
  const absl::StatusOr<bool> ended = log_->EndAudit(id_, result.ToJson());
  LOG_IF(WARNING, !ended.ok()) << "entry " << id_ << " of the audit log keeps the outcome UNKNOWN instead of "
                               << result.ToJson() << ": " << ended.status();
}

}  // namespace tranche::server
