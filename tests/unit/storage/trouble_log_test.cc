#include "storage/postgres/trouble_log.h"

#include <gtest/gtest.h>

#include <pqxx/except>

namespace tranche::storage {
namespace {

PostgresError ErrorOf(const char* sqlstate) {
  return TranslatePostgresError(pqxx::sql_error("no", "", sqlstate), /*sent=*/true);
}

TEST(TroubleLog, EachCauseIsToldOnceAMinute) {
  FakeClock clock;
  TroubleLog log("tranched", &clock);
  for (int i = 0; i < 100; ++i) log.Note(ErrorOf("57014"));
  EXPECT_EQ(log.told(), 1);
  log.Note(ErrorOf("53100"));
  EXPECT_EQ(log.told(), 2) << "another cause";
  clock.AdvanceBy(absl::Minutes(1));
  for (int i = 0; i < 100; ++i) log.Note(ErrorOf("57014"));
  EXPECT_EQ(log.told(), 3);
}

TEST(TroubleLog, RefusalsAndDeadlocksNeedNoOperator) {
  FakeClock clock;
  TroubleLog log("tranched", &clock);
  for (const char* sqlstate : {"TR001", "TR004", "23514", "40P01", "0A000"}) log.Note(ErrorOf(sqlstate));
  EXPECT_EQ(log.told(), 0);
  log.Note(TranslatePostgresError(pqxx::broken_connection("gone"), /*sent=*/true));
  EXPECT_EQ(log.told(), 1);
}

}  // namespace
}  // namespace tranche::storage
