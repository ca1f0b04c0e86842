#include "tests/benchmark/peers/peer_kinds.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/benchmark/peers/postgres_peer.h"

namespace tranche::peers {
namespace {

// An address that a peer cannot do without, and the flag that gives it.
struct Need {
  std::string Addresses::*address;
  const char* flag;
};

constexpr Need kNeedsPostgres = {&Addresses::postgres, "--postgres"};

struct Kind {
  const char* name;
  const Need* needs[2];  // the second may be nullptr
  std::unique_ptr<Peer> (*make)(const Addresses& addresses);
};

template <PostgresWay way>
std::unique_ptr<Peer> MakePg(const Addresses& addresses) {
  return MakePostgresPeer(way, addresses.postgres);
}

// In the order of reports.
constexpr Kind kAllKinds[] = {
    {"pg-naive", {&kNeedsPostgres, nullptr}, &MakePg<PostgresWay::kNaive>},
    {"pg-pessimistic", {&kNeedsPostgres, nullptr}, &MakePg<PostgresWay::kPessimistic>},
    {"pg-optimistic", {&kNeedsPostgres, nullptr}, &MakePg<PostgresWay::kOptimistic>},
    {"pg-atomic", {&kNeedsPostgres, nullptr}, &MakePg<PostgresWay::kAtomic>},
    {"pg-row-per-unit", {&kNeedsPostgres, nullptr}, &MakePg<PostgresWay::kRowPerUnit>},
    {"pg-slots", {&kNeedsPostgres, nullptr}, &MakePg<PostgresWay::kSlots>},
};

}  // namespace

std::vector<std::string> kinds() {
  std::vector<std::string> names;
  for (const Kind& kind : kAllKinds) names.push_back(kind.name);
  return names;
}

absl::StatusOr<std::unique_ptr<Peer>> MakePeer(absl::string_view kind, const Addresses& addresses) {
  for (const Kind& known : kAllKinds) {
    if (kind != known.name) continue;
    for (const Need* need : known.needs) {
      if (need == nullptr || !(addresses.*need->address).empty()) continue;
      return absl::InvalidArgumentError(absl::StrCat("--peer ", known.name, " needs ", need->flag));
    }
    return known.make(addresses);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("there is no peer \"", kind, "\"; there are: ", absl::StrJoin(kinds(), ", ")));
}

}  // namespace tranche::peers
