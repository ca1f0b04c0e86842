#include "server/process/ledger_advice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "storage/postgres/sql_state.h"

namespace tranche::server {
namespace {

TEST(LedgerAdviceTest, IsGivenOnlyWhereTheRefusalHasNone) {
  EXPECT_EQ(StartAdvice("no connection, or it was lost: Connection refused"), ": start it, or correct --postgres");
  for (const char* state : {"3D000", "28000", "53300", "57P03"}) {
    EXPECT_EQ(StartAdvice(absl::StrCat("SQLSTATE ", state, ": FATAL: no; ", storage::ClassifySqlState(state).remedy)),
              "")
        << state;
  }
  EXPECT_EQ(StartAdvice(storage::ClassifySqlState("25006").remedy), "") << "a standby";
  EXPECT_EQ(StartAdvice("no connection, or it was lost: FATAL: database \"shop\" does not exist"),
            ": correct that, or --postgres")
      << "it runs already";
}

TEST(LedgerAdviceTest, SaysWhereAPasswordBelongs) {
  for (const char* refusal :
       {"no connection, or it was lost: connection to server at \"db\", port 5432 failed: fe_sendauth: no password "
        "supplied",
        "no connection, or it was lost: FATAL: password authentication failed for user \"u\"",
        "SQLSTATE 28P01: FATAL: password authentication failed for user \"u\"; correct the user or the password",
        "SQLSTATE 28P01: FATAL: Passwort-Authentifizierung f\u00fcr Benutzer \u00bbu\u00ab fehlgeschlagen"}) {
    EXPECT_EQ(StartAdvice(refusal),
              ": put the right password into the file of --postgres-password-file or into ~/.pgpass")
        << refusal;
    EXPECT_EQ(PasswordAdvice(refusal),
              "put the right password into the file of --postgres-password-file or into ~/.pgpass")
        << refusal;
  }
  EXPECT_EQ(PasswordAdvice("SQLSTATE 28000: FATAL: no pg_hba.conf entry"), "");
}

}  // namespace
}  // namespace tranche::server
