#include "server/access/denials.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "storage/base/log_event.h"

namespace tranche::server {
namespace {

bool ChangesSomething(Permission permission) {
  return permission == Permission::kOperate || permission == Permission::kAdminister;
}

}  // namespace

void Denials::Note(const Denial& denial) {
  {
    absl::MutexLock lock(&mutex_);
    ++counts_[{denial.method, denial.known}];
  }
  if (const std::optional<int64_t> left_out = lines_.Take(denial.caller); left_out.has_value()) {
    LogEvent("call.denied",
             {{"caller", denial.caller},
              {"actor", denial.actor},
              {"method", denial.method},
              {"reason", ReasonName(denial.known ? v1::ERROR_REASON_ROLE_MISSING : v1::ERROR_REASON_CALLER_UNKNOWN)},
              {"roles", RolesWith(denial.permission).Join(",")},
              {"more_before", *left_out}});
  }
  if (audit_ == nullptr || !denial.known || !ChangesSomething(denial.permission)) return;
  if (entries_.Take(absl::StrCat(denial.caller, " ", denial.method)).has_value()) audit_(denial);
}

Denials::Counts Denials::counts() const {
  absl::MutexLock lock(&mutex_);
  return counts_;
}

}  // namespace tranche::server
