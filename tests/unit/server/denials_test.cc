#include "server/access/denials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/handlers/denied_call.h"
#include "storage/fake/fake_ledger.h"
#include "tests/support/logged_lines.h"

namespace tranche::server {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Denial OfPrincipal(const std::string& name, const char* method, Permission permission = Permission::kOperate) {
  return {.method = method,
          .permission = permission,
          .known = true,
          .caller = name,
          .actor = name + " as bob@laptop",
          .reason = "a test"};
}

class DenialsTest : public ::testing::Test {
 protected:
  storage::FakeClock clock_;
  std::vector<std::string> audited_;
  Denials denials_{[this](const Denial& denial) {
                     audited_.push_back(absl::StrCat(denial.caller, " ", denial.method));
                     return true;
                   },
                   &clock_};
};

TEST_F(DenialsTest, EachIsCountedByMethodAndReason) {
  for (int i = 0; i < 3; ++i) denials_.Note(OfPrincipal("till", "AddStock"));
  denials_.Note({.method = "AddStock", .permission = Permission::kOperate, .caller = "ipv4:10.0.0.7"});
  EXPECT_EQ(denials_.counts(), (Denials::Counts{{{"AddStock", false}, 1}, {{"AddStock", true}, 3}}));
}

TEST_F(DenialsTest, ACallerHasALineAMinute) {
  const tranche::testing::LoggedLines log;
  for (int i = 0; i < 5; ++i) denials_.Note(OfPrincipal("till", i % 2 == 0 ? "AddStock" : "CloseSku"));
  denials_.Note(OfPrincipal("desk", "AddStock"));
  ASSERT_EQ(log.lines().size(), 2u);
  EXPECT_THAT(log.lines()[0], AllOf(HasSubstr("call.denied caller=till"), HasSubstr("method=AddStock"),
                                    HasSubstr("reason=ROLE_MISSING"), HasSubstr("roles=operator,admin")));
  clock_.AdvanceBy(Denials::kInterval);
  denials_.Note(OfPrincipal("till", "AddStock"));
  ASSERT_EQ(log.lines().size(), 3u);
  EXPECT_THAT(log.lines()[2], HasSubstr("more_before=4"));
}

TEST_F(DenialsTest, OnlyChangesByPrincipalsAreAuditedOnceAMinuteAndMethod) {
  for (int i = 0; i < 3; ++i) denials_.Note(OfPrincipal("till", "AddStock"));
  denials_.Note(OfPrincipal("till", "AddShard", Permission::kAdminister));
  denials_.Note(OfPrincipal("till", "ListNodes", Permission::kObserve));
  denials_.Note(OfPrincipal("till", "ConfirmReservation", Permission::kPay));
  denials_.Note({.method = "AddStock", .permission = Permission::kOperate, .caller = "ipv4:10.0.0.7"});
  EXPECT_THAT(audited_, ElementsAre("till AddStock", "till AddShard"));
  clock_.AdvanceBy(Denials::kInterval);
  denials_.Note(OfPrincipal("till", "AddStock"));
  EXPECT_EQ(audited_.size(), 3u);
}

TEST_F(DenialsTest, AFloodOfCallersHasABound) {
  const tranche::testing::LoggedLines log;
  for (size_t i = 0; i < 2 * Denials::kMaxKinds; ++i) {
    denials_.Note(
        {.method = "AddStock", .permission = Permission::kOperate, .caller = absl::StrCat("ipv6:[::", i, "]")});
  }
  EXPECT_EQ(log.lines().size(), Denials::kMaxKinds);
  clock_.AdvanceBy(Denials::kInterval);
  denials_.Note(OfPrincipal("till", "AddStock"));
  EXPECT_EQ(log.lines().size(), Denials::kMaxKinds + 1) << "those of a minute ago have made room";
}

TEST_F(DenialsTest, TheEntrySaysWhatWasDenied) {
  storage::FakeLedger ledger(&clock_);
  ASSERT_TRUE(WriteDeniedCall(&ledger, OfPrincipal("till", "AddStock")).ok());
  const auto entries = ledger.ListAudit({}, 0, 10);
  ASSERT_TRUE(entries.ok());
  ASSERT_EQ(entries->size(), 1u);
  EXPECT_EQ(entries->front().action, "denied_call");
  EXPECT_EQ(entries->front().actor, "till as bob@laptop");
  EXPECT_EQ(entries->front().reason, "a test");
  EXPECT_THAT(entries->front().after, AllOf(HasSubstr(R"("method":"AddStock")"), HasSubstr(R"("outcome":"DENIED")"),
                                            HasSubstr("operator, admin")));
}

}  // namespace
}  // namespace tranche::server
