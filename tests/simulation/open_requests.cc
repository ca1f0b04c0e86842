#include "tests/simulation/open_requests.h"

#include "absl/strings/str_cat.h"

namespace tranche::simulation {
namespace {

// Longer than earlier batches and blocking calls take, with the slowest ledger that is not late.
constexpr absl::Duration kLongestOverdue = absl::Seconds(3);

}  // namespace

OpenRequests::Ticket OpenRequests::Open(const char* kind, absl::Time now, absl::Time deadline) {
  open_.emplace(++last_number_, Request{kind, now, deadline, absl::ZeroDuration()});
  return Ticket(this, last_number_);
}

std::optional<std::string> OpenRequests::PassTime(absl::Time now, absl::Duration free) {
  for (auto& [number, request] : open_) {
    if (request.deadline > now - free) continue;
    request.overdue += free;
    if (request.overdue > kLongestOverdue) return Describe(request, now);
  }
  return std::nullopt;
}

std::string OpenRequests::Oldest(absl::Time now) const {
  return open_.empty() ? "" : Describe(open_.begin()->second, now);
}

std::string OpenRequests::Describe(const Request& request, absl::Time now) {
  const absl::Duration age = absl::Trunc(now - request.begun, absl::Milliseconds(1));
  return absl::StrCat("a request to ", request.kind, " is open for ", absl::FormatDuration(age),
                      " and had a deadline of ", absl::FormatDuration(request.deadline - request.begun));
}

}  // namespace tranche::simulation
