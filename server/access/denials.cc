#include "server/access/denials.h"

#include <arpa/inet.h>

#include <optional>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "server/errors.h"
#include "storage/base/log_event.h"

namespace tranche::server {
namespace {

// What would change something, except for claims, and what shows everybody's reservations. The rest is what a caller
// with the wrong role asks for with each page view.
bool IsAudited(Permission permission) {
  switch (permission) {
    case Permission::kGiveBack:
    case Permission::kPay:
    case Permission::kReadAll:
    case Permission::kOperate:
    case Permission::kAdminister:
      return true;
    case Permission::kBrowse:
    case Permission::kRead:
    case Permission::kClaim:
    case Permission::kObserve:
      return false;
  }
  return true;
}

// Whoever has one address of IPv6 has all of its network: they are one. `address` is as gRPC writes it, such as
// "ipv6:%5B2001:db8::7%5D".
std::string OneForNetwork(const std::string& address) {
  constexpr size_t kNetworkBytes = 8;  // RFC 4291: a subnet has 64 bits
  absl::string_view text = address;
  if (!absl::ConsumePrefix(&text, "ipv6:") || !(absl::ConsumePrefix(&text, "%5B") || absl::ConsumePrefix(&text, "["))) {
    return address;
  }
  in6_addr parsed = {};
  if (inet_pton(AF_INET6, std::string(text.substr(0, text.find_first_of("%]"))).c_str(), &parsed) != 1) return address;
  const absl::string_view network(reinterpret_cast<const char*>(parsed.s6_addr), kNetworkBytes);
  return absl::StrCat("ipv6:", absl::BytesToHexString(network), "/64");
}

}  // namespace

void Denials::Note(const Denial& denial) {
  {
    absl::MutexLock lock(&mutex_);
    ++counts_[{denial.service, denial.method, denial.known}];
  }
  const std::string method = denial.method_name();
  const std::string by_method = absl::StrCat(denial.caller, " ", method);
  const std::optional<int64_t> left_out =
      denial.known ? principal_lines_.Take(by_method) : address_lines_.Take(OneForNetwork(denial.caller));
  if (left_out.has_value()) {
    LogEvent("call.denied",
             {{"caller", denial.caller},
              {"actor", denial.actor},
              {"method", method},
              {"reason", ReasonName(denial.known ? v1::ERROR_REASON_ROLE_MISSING : v1::ERROR_REASON_CALLER_UNKNOWN)},
              {"roles", RolesWith(denial.permission).Join(",")},
              {"more_before", *left_out}});
  }
  if (audit_ == nullptr || !denial.known || !IsAudited(denial.permission)) return;
  // If there is no room for it, the next one is tried.
  if (entries_.Take(by_method).has_value() && !audit_(denial)) entries_.Forget(by_method);
}

Denials::Counts Denials::counts() const {
  absl::MutexLock lock(&mutex_);
  return counts_;
}

}  // namespace tranche::server
