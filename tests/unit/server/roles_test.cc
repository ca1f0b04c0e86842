// Which role may call which method: all methods of all services, against tables that are written by hand. Whoever
// changes what a role may do, or adds a method, says it three times: in the code, here, and in docs/security.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "server/access/permission.h"
#include "server/services/admin_service.h"
#include "server/services/catalog_service.h"
#include "server/services/front_door_service.h"
#include "server/services/group_service.h"
#include "server/services/reservation_service.h"
#include "storage/base/access_policy.h"

namespace tranche::server {
namespace {

using ::testing::HasSubstr;

// A letter for each role that may, in the order of kRoleWords: storefront, Service, risk, viewer, operator, admin.
constexpr char kLetters[] = "sSrvoa";
const std::map<std::string, std::string> kExpected = {
    {"ReservationService.CreateReservation", "sS    "},
    {"ReservationService.CreateReservations", "sS    "},
    {"ReservationService.ConfirmReservation", " S    "},
    {"ReservationService.CancelReservation", "sSr   "},
    {"ReservationService.ExtendReservation", "sS    "},
    {"ReservationService.GetClaim", "sSrvoa"},
    {"ReservationService.WatchClaim", "sSrvoa"},
    {"ReservationService.GetReservation", "sSrvoa"},
    {"ReservationService.BatchGetReservations", "sSrvoa"},
    {"ReservationService.ListReservations", " Srvoa"},
    {"ReservationService.WatchReservation", "sSrvoa"},
    {"ReservationService.StreamReservations", " S    "},
    {"CatalogService.GetSku", "sSrvoa"},
    {"CatalogService.ListSkus", "sSrvoa"},
    {"FrontDoorService.EnterSale", "sS    "},
    {"FrontDoorService.ListLotteryRounds", "sSrvoa"},
    {"FrontDoorService.EnterDraw", "sS    "},
    {"FrontDoorService.GetDraw", "sSrvoa"},
    {"FrontDoorService.GetDrawEntry", "sSrvoa"},
    {"GroupService.OpenGroup", "sS    "},
    {"GroupService.JoinGroup", "sS    "},
    {"GroupService.LeaveGroup", "sSr   "},
    {"GroupService.GetGroup", "sSrvoa"},
    {"GroupService.WatchGroup", "sSrvoa"},
    {"GroupService.ListGroups", "sSrvoa"},
    {"GroupService.ListGroupOffers", "sSrvoa"},
    {"AdminService.CreateSku", "    oa"},
    {"AdminService.ListSkus", "  rvoa"},
    {"AdminService.GetSku", "  rvoa"},
    {"AdminService.CloseSku", "    oa"},
    {"AdminService.ReopenSku", "    oa"},
    {"AdminService.SetSkuPaused", "    oa"},
    {"AdminService.UpdateSku", "    oa"},
    {"AdminService.AddStock", "    oa"},
    {"AdminService.ReduceStock", "    oa"},
    {"AdminService.GetQuota", "  rvoa"},
    {"AdminService.SetQuota", "    oa"},
    {"AdminService.MoveQuota", "    oa"},
    {"AdminService.RebalanceQuota", "    oa"},
    {"AdminService.SetQuotaFrozen", "    oa"},
    {"AdminService.SetClusterFrozen", "    oa"},
    {"AdminService.GetClusterSettings", "  rvoa"},
    {"AdminService.ListNodes", "  rvoa"},
    {"AdminService.DrainNode", "    oa"},
    {"AdminService.UndrainNode", "    oa"},
    {"AdminService.ListAudit", "  rvoa"},
    {"AdminService.VerifyLedger", "  rvoa"},
    {"AdminService.ListOutboxMessages", "  rvoa"},
    {"AdminService.GetOutboxMessage", "  rvoa"},
    {"AdminService.RetryOutboxMessages", "    oa"},
    {"AdminService.DiscardOutboxMessage", "     a"},
    {"AdminService.ListSinks", "  rvoa"},
    {"AdminService.AddSink", "     a"},
    {"AdminService.RemoveSink", "     a"},
    {"AdminService.ListShards", "  rvoa"},
    {"AdminService.AddShard", "     a"},
    {"AdminService.MoveSku", "     a"},
    {"AdminService.ExportPayments", "  rvoa"},
    {"AdminService.LookUpPayments", "  rvoa"},
    {"AdminService.PreviewReservationChange", "  rvoa"},
    {"AdminService.ChangeReservation", "    oa"},
    {"AdminService.ApplyCorrections", "    oa"},
    {"AdminService.ListFrontPolicies", "  rvoa"},
    {"AdminService.SetFrontPolicy", "    oa"},
    {"AdminService.ListAccessEntries", "  rvoa"},
    {"AdminService.AddAccessEntries", "    oa"},
    {"AdminService.RemoveAccessEntries", "    oa"},
    {"AdminService.ListFrontKeys", "  rvoa"},
    {"AdminService.RotateFrontKey", "     a"},
    {"AdminService.ExplainAdmission", "  rvoa"},
    {"AdminService.ListRooms", "  rvoa"},
    {"AdminService.SetServiceMode", "    oa"},
    {"AdminService.GetServiceMode", "  rvoa"},
    {"AdminService.CreateDraw", "    oa"},
    {"AdminService.ChangeDraw", "    oa"},
    {"AdminService.ListDraws", "  rvoa"},
    {"AdminService.ListDrawEntries", "  rvoa"},
    {"AdminService.ListDrawAwards", "  rvoa"},
    {"AdminService.CreateGroupOffer", "    oa"},
    {"AdminService.CloseGroupOffer", "    oa"},
    {"AdminService.CancelGroup", "    oa"},
    {"AdminService.ListClaimQueues", "  rvoa"},
    {"AdminService.SetClaimQueuePaused", "    oa"},
    {"AdminService.ListDeadClaims", "  rvoa"},
    {"AdminService.SettleDeadClaims", "    oa"},
    {"AdminService.GetStatus", "  rvoa"},
    {"AdminService.ListTraffic", "  rvoa"},
    {"AdminService.DumpCoordination", "  rvoa"},
    {"AdminService.RebuildCoordination", "     a"},
};

std::map<std::string, Permission> AllMethods() {
  std::map<std::string, Permission> methods;
  const auto add = [&](const std::string& service, const std::vector<CallEntry>& table) {
    for (const CallEntry& entry : table) {
      methods.emplace(absl::StrCat(service, ".", entry.policy.method), entry.policy.permission);
    }
  };
  add("AdminService", AdminCalls({}));
  add("ReservationService", ReservationCalls({}, nullptr, {}));
  add("CatalogService", CatalogCalls(nullptr));
  add("FrontDoorService", FrontDoorCalls({}));
  add("GroupService", GroupCalls({}));
  return methods;
}

std::string LettersOf(Permission permission) {
  std::string letters;
  for (size_t i = 0; i < kRoleWords.size(); ++i) {
    letters += RolesWith(permission).Has(kRoleWords[i].role) ? kLetters[i] : ' ';
  }
  return letters;
}

TEST(RolesTest, EveryMethodIsForTheRolesThatItShouldBe) {
  std::map<std::string, std::string> found;
  for (const auto& [method, permission] : AllMethods()) found[method] = LettersOf(permission);
  EXPECT_EQ(found, kExpected);
}

TEST(RolesTest, ThePageTellsTheSame) {
  std::ifstream page(TRANCHE_SECURITY_PAGE);
  std::map<std::string, std::string> told;
  for (std::string line; std::getline(page, line);) {
    const std::vector<std::string> cells = absl::StrSplit(line, '|');
    if (!absl::StartsWith(line, "| `") || cells.size() != kRoleWords.size() + 3) continue;
    std::string letters;
    for (size_t i = 0; i < kRoleWords.size(); ++i) {
      letters += absl::StripAsciiWhitespace(cells[i + 2]) == "yes" ? kLetters[i] : ' ';
    }
    const std::vector<std::string> name = absl::StrSplit(cells[1], '`');
    told[name[1]] = letters;
  }
  EXPECT_EQ(told, kExpected);
}

TEST(RolesTest, ThePagesExampleCanBeRead) {
  std::ifstream page(TRANCHE_SECURITY_PAGE);
  const std::string text{std::istreambuf_iterator<char>(page), {}};
  const std::vector<std::string> parts = absl::StrSplit(text, "```json\n");
  ASSERT_EQ(parts.size(), 2u);
  const std::string example = parts[1].substr(0, parts[1].find("```\n"));
  constexpr char kInsteadOfAHash[] = "the sha256 that `tranchectl token new` prints";
  constexpr char kInsteadOfAnother[] = "the sha256 of the token that is kept offline";
  EXPECT_THAT(std::string(AccessPolicy::Parse(example).status().message()), HasSubstr("tokens_sha256[0]"))
      << "a hash that everybody can read is nobody's";
  const auto policy =
      AccessPolicy::Parse(absl::StrReplaceAll(example, {{kInsteadOfAHash, HexOf(DigestOfToken(NewToken()))},
                                                        {kInsteadOfAnother, HexOf(DigestOfToken(NewToken()))}}));
  EXPECT_TRUE(policy.ok()) << policy.status();
}

// Roles are easier to give when one contains another.
TEST(RolesTest, ARoleContainsTheOnesBelowIt) {
  for (const auto& [method, permission] : AllMethods()) {
    const Roles roles = RolesWith(permission);
    EXPECT_FALSE(roles.empty()) << method << " is for nobody";
    EXPECT_TRUE(!roles.Has(Role::kStorefront) || roles.Has(Role::kService)) << method;
    EXPECT_TRUE(!roles.Has(Role::kViewer) || roles.Has(Role::kOperator)) << method;
    EXPECT_TRUE(!roles.Has(Role::kOperator) || roles.Has(Role::kAdmin)) << method;
  }
}

TEST(RolesTest, NamesAreThoseOfTheFile) {
  for (const RoleWord& word : kRoleWords) EXPECT_EQ(RoleNamed(word.name), word.role);
  EXPECT_EQ(RoleNamed("Admin"), std::nullopt);
  EXPECT_EQ(RoleNamed(""), std::nullopt);
  EXPECT_EQ((Roles{Role::kAdmin, Role::kOperator}).Join(), "operator, admin");
}

}  // namespace
}  // namespace tranche::server
