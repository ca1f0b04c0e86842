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

constexpr char kDeniedService[] = "tranche.v1.AdminService";

Denial OfPrincipal(const std::string& name, const char* method, Permission permission = Permission::kOperate) {
  return {.service = kDeniedService,
          .method = method,
          .permission = permission,
          .known = true,
          .caller = name,
          .actor = name + " as bob@laptop",
          .reason = "a test"};
}

Denial OfStranger(const std::string& address, const char* method = "AddStock") {
  return {.service = kDeniedService, .method = method, .permission = Permission::kOperate, .caller = address};
}

class DenialsTest : public ::testing::Test {
 protected:
  storage::FakeClock clock_;
  std::vector<std::string> audited_;
  bool full_ = false;  // the queue of entries
  Denials denials_{[this](const Denial& denial) {
                     if (full_) return false;
                     audited_.push_back(absl::StrCat(denial.caller, " ", denial.method));
                     return true;
                   },
                   &clock_};
};

TEST_F(DenialsTest, EachIsCountedByMethodAndReason) {
  for (int i = 0; i < 3; ++i) denials_.Note(OfPrincipal("till", "AddStock"));
  denials_.Note(OfStranger("ipv4:10.0.0.7"));
  EXPECT_EQ(denials_.counts(),
            (Denials::Counts{{{kDeniedService, "AddStock", false}, 1}, {{kDeniedService, "AddStock", true}, 3}}));
}

TEST_F(DenialsTest, MethodsOfOneNameAreToldApart) {
  const tranche::testing::LoggedLines log;
  Denial denial = OfPrincipal("till", "GetSku", Permission::kObserve);
  denials_.Note(denial);
  denial.service = "tranche.v1.CatalogService";
  denials_.Note(denial);
  EXPECT_EQ(denials_.counts(), (Denials::Counts{{{kDeniedService, "GetSku", true}, 1},
                                                {{"tranche.v1.CatalogService", "GetSku", true}, 1}}));
  ASSERT_EQ(log.lines().size(), 2u);
  EXPECT_THAT(log.lines()[0], HasSubstr("method=AdminService.GetSku"));
  EXPECT_THAT(log.lines()[1], HasSubstr("method=CatalogService.GetSku"));
}

TEST(MethodNameTest, HasNoPackage) {
  EXPECT_EQ(MethodName(kDeniedService, "CloseSku"), "AdminService.CloseSku");
  EXPECT_EQ(MethodName("AdminService", "CloseSku"), "AdminService.CloseSku");
  EXPECT_EQ(MethodName("", "CloseSku"), "CloseSku");
}

TEST_F(DenialsTest, APrincipalHasALineAMinuteForEachMethod) {
  const tranche::testing::LoggedLines log;
  for (int i = 0; i < 5; ++i) denials_.Note(OfPrincipal("till", "AddStock"));
  denials_.Note(OfPrincipal("till", "CloseSku"));
  denials_.Note(OfPrincipal("desk", "AddStock"));
  ASSERT_EQ(log.lines().size(), 3u);
  EXPECT_THAT(log.lines()[0], AllOf(HasSubstr("call.denied caller=till"), HasSubstr("method=AdminService.AddStock"),
                                    HasSubstr("reason=ROLE_MISSING"), HasSubstr("roles=operator,admin")));
  clock_.AdvanceBy(Denials::kInterval);
  denials_.Note(OfPrincipal("till", "AddStock"));
  ASSERT_EQ(log.lines().size(), 4u);
  EXPECT_THAT(log.lines()[1], HasSubstr("method=AdminService.CloseSku"));
  EXPECT_THAT(log.lines()[3], HasSubstr("more_before=4"));
}

TEST_F(DenialsTest, AnUnknownCallerHasALineAMinuteAndANetworkIsOne) {
  const tranche::testing::LoggedLines log;
  for (const char* method : {"AddStock", "CloseSku"}) {
    for (const char* address : {"ipv6:%5B2001:db8::7%5D", "ipv6:%5B2001:db8:0:0:ffff::8%5D", "ipv6:[2001:db8::9]"}) {
      denials_.Note(OfStranger(address, method));
    }
  }
  ASSERT_EQ(log.lines().size(), 1u);
  EXPECT_THAT(log.lines()[0], HasSubstr("2001:db8::7"));
  denials_.Note(OfStranger("ipv6:%5B2001:db8:0:1::7%5D"));
  denials_.Note(OfStranger("ipv4:10.0.0.7"));
  denials_.Note(OfStranger("ipv4:10.0.0.8"));
  EXPECT_EQ(log.lines().size(), 4u);
}

TEST_F(DenialsTest, WhatPrincipalsMayNotDoIsAuditedOnceAMinuteAndMethod) {
  for (int i = 0; i < 3; ++i) denials_.Note(OfPrincipal("till", "AddStock"));
  denials_.Note(OfPrincipal("till", "AddShard", Permission::kAdminister));
  denials_.Note(OfPrincipal("till", "ListNodes", Permission::kObserve));
  denials_.Note(OfPrincipal("till", "CreateReservation", Permission::kClaim));
  denials_.Note(OfPrincipal("till", "ConfirmReservation", Permission::kPay));
  denials_.Note(OfPrincipal("till", "CancelReservation", Permission::kGiveBack));
  denials_.Note(OfPrincipal("till", "ListReservations", Permission::kReadAll));
  denials_.Note(OfStranger("ipv4:10.0.0.7"));
  EXPECT_THAT(audited_, ElementsAre("till AddStock", "till AddShard", "till ConfirmReservation",
                                    "till CancelReservation", "till ListReservations"));
  clock_.AdvanceBy(Denials::kInterval);
  denials_.Note(OfPrincipal("till", "AddStock"));
  EXPECT_EQ(audited_.size(), 6u);
}

TEST_F(DenialsTest, AnEntryThatCannotBeQueuedIsTriedAgainAtTheNextDenial) {
  full_ = true;
  denials_.Note(OfPrincipal("till", "AddStock"));
  full_ = false;
  for (int i = 0; i < 2; ++i) denials_.Note(OfPrincipal("till", "AddStock"));
  EXPECT_THAT(audited_, ElementsAre("till AddStock"));
}

TEST_F(DenialsTest, AFloodOfCallersHasABound) {
  const tranche::testing::LoggedLines log;
  for (size_t i = 0; i < 2 * Denials::kMaxKinds; ++i) {
    denials_.Note(OfStranger(absl::StrCat("ipv4:10.0.", i / 256, ".", i % 256)));
  }
  EXPECT_EQ(log.lines().size(), Denials::kMaxKinds);
  denials_.Note(OfPrincipal("till", "AddStock"));
  EXPECT_EQ(log.lines().size(), Denials::kMaxKinds + 1) << "strangers hide no principal";
  clock_.AdvanceBy(Denials::kInterval);
  denials_.Note(OfStranger("ipv4:10.9.9.9"));
  EXPECT_EQ(log.lines().size(), Denials::kMaxKinds + 2) << "those of a minute ago have made room";
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
  EXPECT_THAT(entries->front().after, AllOf(HasSubstr(R"("method":"AdminService.AddStock")"),
                                            HasSubstr(R"("outcome":"DENIED")"), HasSubstr("operator, admin")));
}

}  // namespace
}  // namespace tranche::server
