#include "tests/benchmark/peers/peer_kinds.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/benchmark/peers/mariadb_peer.h"
#include "tests/benchmark/peers/postgres_peer.h"
#include "tests/benchmark/peers/rabbitmq_peer.h"
#include "tests/benchmark/peers/redis_peer.h"

namespace tranche::peers {
namespace {

// An address that a peer cannot do without, and the flag that gives it.
struct Need {
  std::string Addresses::*address;
  const char* flag;
};

constexpr Need kNeedsPostgres = {&Addresses::postgres, "--postgres"};
constexpr Need kNeedsMariadb = {&Addresses::mariadb, "--mariadb"};
constexpr Need kNeedsRedis = {&Addresses::redis, "--redis"};
constexpr Need kNeedsRabbitmq = {&Addresses::rabbitmq, "--rabbitmq"};

struct Kind {
  const char* name;
  const Need* needs[2];  // the second may be nullptr
  std::unique_ptr<Peer> (*make)(const Addresses& addresses);
};

template <PostgresWay way>
std::unique_ptr<Peer> MakePg(const Addresses& addresses) {
  return MakePostgresPeer(way, addresses.postgres);
}

template <MariadbWay way>
std::unique_ptr<Peer> MakeMariadb(const Addresses& addresses) {
  return MakeMariadbPeer(way, addresses.mariadb);
}

template <RedisFsync fsync>
std::unique_ptr<Peer> MakeRedis(const Addresses& addresses) {
  return MakeRedisPeer(fsync, addresses.redis, addresses.postgres);
}

std::unique_ptr<Peer> MakeRabbitmq(const Addresses& addresses) {
  return MakeRabbitmqPeer(addresses.rabbitmq, addresses.postgres);
}

// In the order of reports.
constexpr Kind kAllKinds[] = {
    {"pg-naive", {&kNeedsPostgres, nullptr}, &MakePg<PostgresWay::kNaive>},
    {"pg-pessimistic", {&kNeedsPostgres, nullptr}, &MakePg<PostgresWay::kPessimistic>},
    {"pg-optimistic", {&kNeedsPostgres, nullptr}, &MakePg<PostgresWay::kOptimistic>},
    {"pg-atomic", {&kNeedsPostgres, nullptr}, &MakePg<PostgresWay::kAtomic>},
    {"pg-row-per-unit", {&kNeedsPostgres, nullptr}, &MakePg<PostgresWay::kRowPerUnit>},
    {"pg-slots", {&kNeedsPostgres, nullptr}, &MakePg<PostgresWay::kSlots>},
    {"mariadb-naive", {&kNeedsMariadb, nullptr}, &MakeMariadb<MariadbWay::kNaive>},
    {"mariadb-pessimistic", {&kNeedsMariadb, nullptr}, &MakeMariadb<MariadbWay::kPessimistic>},
    {"mariadb-optimistic", {&kNeedsMariadb, nullptr}, &MakeMariadb<MariadbWay::kOptimistic>},
    {"mariadb-atomic", {&kNeedsMariadb, nullptr}, &MakeMariadb<MariadbWay::kAtomic>},
    {"redis-everysec", {&kNeedsRedis, &kNeedsPostgres}, &MakeRedis<RedisFsync::kEverySecond>},
    {"redis-always", {&kNeedsRedis, &kNeedsPostgres}, &MakeRedis<RedisFsync::kAlways>},
    {"rabbitmq", {&kNeedsRabbitmq, &kNeedsPostgres}, &MakeRabbitmq},
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
