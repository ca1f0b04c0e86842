#include <gtest/gtest.h>

#include <optional>

#include "tests/benchmark/peers/peer_contract.h"
#include "tests/support/test_postgres.h"

namespace tranche::peers {
namespace {

std::optional<Addresses> PostgresAddresses() {
  static const testing::TestDatabase database;
  return Addresses{.postgres = database.owner_dsn()};
}

INSTANTIATE_TEST_SUITE_P(Postgres, PeerContract,
                         ::testing::Values(PeerCase{"pg-naive", &PostgresAddresses, /*oversells=*/true},
                                           PeerCase{"pg-pessimistic", &PostgresAddresses},
                                           PeerCase{"pg-optimistic", &PostgresAddresses},
                                           PeerCase{"pg-atomic", &PostgresAddresses},
                                           PeerCase{"pg-row-per-unit", &PostgresAddresses},
                                           PeerCase{"pg-slots", &PostgresAddresses}),
                         PeerCaseName);

TEST(MakePeer, NamesWhatIsWrong) {
  const auto unknown = MakePeer("pg-magic", {});
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(unknown.status().message().find("pg-atomic"), absl::string_view::npos) << unknown.status();
  const auto without = MakePeer("pg-atomic", {});
  EXPECT_EQ(without.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(without.status().message().find("--postgres"), absl::string_view::npos) << without.status();
}

}  // namespace
}  // namespace tranche::peers
