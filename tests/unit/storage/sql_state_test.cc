#include "storage/postgres/sql_state.h"

#include <gtest/gtest.h>

#include <pqxx/except>
#include <vector>

#include "absl/strings/match.h"
#include "storage/ledger/ledger_error.h"
#include "storage/postgres/postgres_error.h"

namespace tranche::storage {
namespace {

using Kind = SqlStateKind;

struct Expected {
  const char* sqlstate;
  Kind kind;
  absl::StatusCode code;
  bool in_doubt = false;  // when it comes after the statement was sent
};

const std::vector<Expected> kExpected = {
    {"TR001", Kind::kRefusal, absl::StatusCode::kAborted},
    {"TR002", Kind::kRefusal, absl::StatusCode::kFailedPrecondition},
    {"TR003", Kind::kRefusal, absl::StatusCode::kFailedPrecondition},
    {"TR004", Kind::kSkuMoving, absl::StatusCode::kUnavailable},
    {"TR050", Kind::kConnection, absl::StatusCode::kUnavailable},
    {"TR051", Kind::kConnection, absl::StatusCode::kUnavailable},
    {"08006", Kind::kConnection, absl::StatusCode::kUnavailable, true},
    {"0A000", Kind::kOutdatedPlan, absl::StatusCode::kAborted},
    {"22P02", Kind::kRefusal, absl::StatusCode::kInvalidArgument},
    {"23514", Kind::kRefusal, absl::StatusCode::kInvalidArgument},
    {"25006", Kind::kWrongServer, absl::StatusCode::kUnavailable},
    {"26000", Kind::kPooler, absl::StatusCode::kInternal},
    {"28P01", Kind::kConnection, absl::StatusCode::kUnavailable},
    {"3D000", Kind::kConnection, absl::StatusCode::kUnavailable},
    {"3F000", Kind::kRefusal, absl::StatusCode::kFailedPrecondition},
    {"40000", Kind::kRetry, absl::StatusCode::kAborted},
    {"40001", Kind::kRetry, absl::StatusCode::kAborted},
    {"40002", Kind::kRefusal, absl::StatusCode::kInternal},
    {"40003", Kind::kLost, absl::StatusCode::kUnavailable, true},
    {"40P01", Kind::kRetry, absl::StatusCode::kAborted},
    {"42501", Kind::kRefusal, absl::StatusCode::kPermissionDenied},
    {"42601", Kind::kRefusal, absl::StatusCode::kInternal},
    {"42804", Kind::kOutdatedPlan, absl::StatusCode::kAborted},
    {"42883", Kind::kRefusal, absl::StatusCode::kFailedPrecondition},
    {"42P01", Kind::kRefusal, absl::StatusCode::kFailedPrecondition},
    {"42P05", Kind::kPooler, absl::StatusCode::kInternal},
    {"42P13", Kind::kOutdatedPlan, absl::StatusCode::kAborted},
    {"53000", Kind::kServer, absl::StatusCode::kUnavailable},
    {"53100", Kind::kServer, absl::StatusCode::kUnavailable},
    {"53200", Kind::kNeedsLess, absl::StatusCode::kUnavailable},
    {"53300", Kind::kConnection, absl::StatusCode::kUnavailable},
    {"53400", Kind::kNeedsLess, absl::StatusCode::kUnavailable},
    {"54000", Kind::kNeedsLess, absl::StatusCode::kUnavailable},
    {"54001", Kind::kRefusal, absl::StatusCode::kInternal},
    {"55P03", Kind::kStatement, absl::StatusCode::kUnavailable},
    {"57000", Kind::kServer, absl::StatusCode::kUnavailable},
    {"57014", Kind::kStatement, absl::StatusCode::kUnavailable},
    {"57P01", Kind::kServer, absl::StatusCode::kUnavailable, true},
    {"57P02", Kind::kServer, absl::StatusCode::kUnavailable, true},
    {"57P03", Kind::kConnection, absl::StatusCode::kUnavailable, true},
    {"57P05", Kind::kOutdatedPlan, absl::StatusCode::kAborted},
    {"58030", Kind::kServer, absl::StatusCode::kUnavailable},
    {"XX000", Kind::kRefusal, absl::StatusCode::kInternal},
};

TEST(SqlState, EveryRowMeansWhatItSays) {
  for (const Expected& expected : kExpected) {
    const pqxx::sql_error error("what the server said", "", expected.sqlstate);
    const PostgresError sent = TranslatePostgresError(error, /*sent=*/true);
    EXPECT_EQ(sent.meaning->kind, expected.kind) << expected.sqlstate;
    EXPECT_EQ(sent.status.code(), expected.code) << expected.sqlstate;
    EXPECT_EQ(IsUnknownCommit(sent.status), expected.in_doubt) << expected.sqlstate;
    EXPECT_FALSE(IsUnknownCommit(TranslatePostgresError(error, /*sent=*/false).status)) << expected.sqlstate;
    const bool again = expected.kind == Kind::kRetry || expected.kind == Kind::kOutdatedPlan;
    EXPECT_EQ(IsRetryTransaction(sent.status), again) << expected.sqlstate;
    EXPECT_EQ(IsSkuMoving(sent.status), expected.kind == Kind::kSkuMoving) << expected.sqlstate;
    const bool needs_less = expected.kind == Kind::kNeedsLess;
    EXPECT_EQ(NeedsLess(sent.status), needs_less) << expected.sqlstate;
    EXPECT_EQ(LedgerIsUp(sent.status), needs_less || expected.kind == Kind::kStatement) << expected.sqlstate;
    EXPECT_TRUE(absl::StrContains(sent.status.message(), "what the server said")) << expected.sqlstate;
    EXPECT_TRUE(absl::StrContains(sent.status.message(), sent.meaning->remedy)) << expected.sqlstate;
  }
}

TEST(SqlState, WhatConcernsOneStatementBreaksNoConnection) {
  EXPECT_EQ(FateOf(Kind::kRefusal), ConnectionFate::kKept);
  EXPECT_EQ(FateOf(Kind::kSkuMoving), ConnectionFate::kKept);
  EXPECT_EQ(FateOf(Kind::kRetry), ConnectionFate::kKept);
  EXPECT_EQ(FateOf(Kind::kStatement), ConnectionFate::kKept);
  EXPECT_EQ(FateOf(Kind::kNeedsLess), ConnectionFate::kKept);
  EXPECT_EQ(FateOf(Kind::kConnection), ConnectionFate::kDropped);
  EXPECT_EQ(FateOf(Kind::kPooler), ConnectionFate::kDropped);
  EXPECT_EQ(FateOf(Kind::kOutdatedPlan), ConnectionFate::kAllDropped);
  EXPECT_EQ(FateOf(Kind::kWrongServer), ConnectionFate::kAllDropped);
  EXPECT_EQ(FateOf(Kind::kServer), ConnectionFate::kAllDropped);
  EXPECT_EQ(FateOf(Kind::kLost), ConnectionFate::kAllDropped);
}

// libpqxx 6.4 throws these without their SQLSTATE.
TEST(SqlState, WhatLibpqxxSaysByATypeAloneIsKnown) {
  EXPECT_EQ(TranslatePostgresError(pqxx::insufficient_privilege("no"), true).sqlstate, "42501");
  EXPECT_EQ(TranslatePostgresError(pqxx::deadlock_detected("no"), true).sqlstate, "40P01");
  EXPECT_EQ(TranslatePostgresError(pqxx::serialization_failure("no"), true).sqlstate, "40001");
  EXPECT_EQ(TranslatePostgresError(pqxx::transaction_rollback("no"), true).sqlstate, "40000");
  EXPECT_EQ(TranslatePostgresError(pqxx::too_many_connections("no"), false).sqlstate, "53300");
  EXPECT_TRUE(IsUnknownCommit(TranslatePostgresError(pqxx::statement_completion_unknown("no"), true).status));
}

TEST(SqlState, ABrokenConnectionLeavesDoubtOnceTheStatementWasSent) {
  const pqxx::broken_connection error("gone");
  EXPECT_TRUE(IsUnknownCommit(TranslatePostgresError(error, /*sent=*/true).status));
  const absl::Status not_sent = TranslatePostgresError(error, /*sent=*/false).status;
  EXPECT_TRUE(absl::IsUnavailable(not_sent) && !IsUnknownCommit(not_sent) && !LedgerIsUp(not_sent)) << not_sent;
}

// Whatever the server says about a connection that is being made: nobody could send it a statement.
TEST(SqlStateTest, ARefusedConnectionIsUnavailable) {
  for (const Expected& expected : kExpected) {
    const PostgresError error = TranslateConnectError(pqxx::sql_error("no", "", expected.sqlstate));
    EXPECT_TRUE(absl::IsUnavailable(error.status)) << expected.sqlstate << ": " << error.status;
    EXPECT_FALSE(IsUnknownCommit(error.status)) << expected.sqlstate;
    EXPECT_EQ(error.meaning->code, absl::StatusCode::kUnavailable) << expected.sqlstate;
  }
  const PostgresError closed = TranslateConnectError(pqxx::sql_error("no", "", "55000"));
  EXPECT_TRUE(absl::StrContains(closed.status.message(), "ALLOW_CONNECTIONS")) << closed.status;
}

}  // namespace
}  // namespace tranche::storage
