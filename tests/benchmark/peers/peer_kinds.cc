#include "tests/benchmark/peers/peer_kinds.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace tranche::peers {
namespace {

struct Kind {
  const char* name;
  // The member that has the address; checked before `make` is called.
  std::string Addresses::*address;
  const char* flag;  // that sets it
  std::unique_ptr<Peer> (*make)(const Addresses& addresses);
};

// In the order of reports.
const std::vector<Kind>& AllKinds() {
  static const auto* const all = new std::vector<Kind>{};
  return *all;
}

}  // namespace

std::vector<std::string> kinds() {
  std::vector<std::string> names;
  for (const Kind& kind : AllKinds()) names.push_back(kind.name);
  return names;
}

absl::StatusOr<std::unique_ptr<Peer>> MakePeer(absl::string_view kind, const Addresses& addresses) {
  for (const Kind& known : AllKinds()) {
    if (kind != known.name) continue;
    if ((addresses.*known.address).empty()) {
      return absl::InvalidArgumentError(absl::StrCat("--peer ", known.name, " needs --", known.flag));
    }
    return known.make(addresses);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("there is no peer \"", kind, "\"; there are: ", absl::StrJoin(kinds(), ", ")));
}

}  // namespace tranche::peers
