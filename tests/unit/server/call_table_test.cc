// The tables of the services: every method once, with the messages of the .proto and a fitting policy.
#include "server/rpc/call_table.h"

#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "server/rpc/call_service.h"
#include "server/services/admin_service.h"
#include "server/services/catalog_service.h"
#include "server/services/front_door_service.h"
#include "server/services/group_service.h"
#include "server/services/reservation_service.h"

namespace tranche::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

const google::protobuf::ServiceDescriptor& Service(const std::string& name) {
  return *google::protobuf::DescriptorPool::generated_pool()->FindServiceByName("tranche.v1." + name);
}

TEST(CallTable, EveryMethodIsThereOnce) {
  EXPECT_THAT(FaultsOf(AdminCalls({}), Service("AdminService")), IsEmpty());
  EXPECT_THAT(FaultsOf(ReservationCalls({}, nullptr, {}), Service("ReservationService")), IsEmpty());
  EXPECT_THAT(FaultsOf(CatalogCalls(nullptr), Service("CatalogService")), IsEmpty());
  EXPECT_THAT(FaultsOf(FrontDoorCalls({}), Service("FrontDoorService")), IsEmpty());
  EXPECT_THAT(FaultsOf(GroupCalls({}), Service("GroupService")), IsEmpty());
}

TEST(CallTable, FaultsAreNamed) {
  const auto& sink = Service("OutboxSinkService");
  const BlockingHandler<v1::GetSkuRequest, v1::GetSkuResponse> other;
  EXPECT_THAT(FaultsOf({}, sink), ElementsAre("Deliver is missing"));

  const auto entry = [&](const char* method, RunsOn runs_on) {
    return BlockingCall(CallPolicy(method, Permission::kPay, runs_on, Repeatable::kYes), other);
  };
  EXPECT_THAT(FaultsOf({entry("Deliver", RunsOn::kAdmin)}, sink), ElementsAre("Deliver has other messages"));
  EXPECT_THAT(FaultsOf({entry("GetSku", RunsOn::kAdmin)}, sink),
              UnorderedElementsAre("GetSku is no method", "Deliver is missing"));

  std::vector<CallEntry> table = AdminCalls({});
  table.push_back(entry("GetSku", RunsOn::kInline));
  EXPECT_THAT(FaultsOf(table, Service("AdminService")),
              UnorderedElementsAre("GetSku is there twice", "GetSku blocks, and runs inline"));
}

TEST(CallTable, AStreamIsNoUnaryCall) {
  std::vector<CallEntry> table = AdminCalls({});
  for (CallEntry& entry : table) {
    if (entry.policy.method == std::string("MoveSku")) entry.shape.server_streaming = false;
  }
  EXPECT_THAT(FaultsOf(table, Service("AdminService")), ElementsAre("MoveSku has other messages"));
}

TEST(CallTable, ObserversOnlyLook) {
  for (const CallEntry& entry : AdminCalls({})) {
    const std::string method = entry.policy.method;
    bool looks = false;
    for (const char* verb : {"Get", "List", "LookUp", "Verify", "Export", "Dump", "Preview", "Explain"}) {
      looks = looks || absl::StartsWith(method, verb);
    }
    EXPECT_EQ(entry.policy.permission == Permission::kObserve, looks) << method;
  }
}

// Whoever may only look must not keep an operator from pausing a sale: these may take minutes.
TEST(CallTable, LongReadsTakeNoThreadOfChanges) {
  for (const CallEntry& entry : AdminCalls({})) {
    const std::string method = entry.policy.method;
    bool may_be_long = false;
    for (const char* name :
         {"ListAudit", "VerifyLedger", "ListOutboxMessages", "ListSinks", "ExportPayments", "LookUpPayments",
          "DumpCoordination", "ListDrawEntries", "ListDrawAwards", "ListClaimQueues", "ListDeadClaims"}) {
      may_be_long = may_be_long || method == name;
    }
    EXPECT_EQ(entry.policy.runs_on == RunsOn::kLongRead, may_be_long) << method;
  }
}

std::vector<CallEntry> AllCalls() {
  std::vector<CallEntry> entries = AdminCalls({});
  for (CallEntry& entry : ReservationCalls({}, nullptr, {})) entries.push_back(std::move(entry));
  for (CallEntry& entry : CatalogCalls(nullptr)) entries.push_back(std::move(entry));
  for (CallEntry& entry : FrontDoorCalls({})) entries.push_back(std::move(entry));
  for (CallEntry& entry : GroupCalls({})) entries.push_back(std::move(entry));
  return entries;
}

// Otherwise callers who do not read them would cost memory without a bound.
TEST(CallTable, AnswersWithAListAreCounted) {
  int lists = 0;
  for (const CallEntry& entry : AllCalls()) {
    if (entry.shape.server_streaming) continue;
    bool list = false;
    for (int i = 0; i < entry.shape.response->field_count(); ++i) {
      list = list || entry.shape.response->field(i)->is_repeated();
    }
    lists += list ? 1 : 0;
    // Has as many lines as the cart, and no sale may depend on who reads lists.
    if (std::string(entry.policy.method) == "CreateReservations") {
      EXPECT_FALSE(entry.large_answer);
      continue;
    }
    EXPECT_TRUE(entry.large_answer || !list) << entry.policy.method;
  }
  EXPECT_GT(lists, 5);
}

// What is done must be told, so only the answer of a call that reads may be refused.
TEST(CallTable, WhatMayBeRefusedAfterItsWorkOnlyReads) {
  for (const CallEntry& entry : AllCalls()) {
    if (entry.shape.server_streaming) continue;
    const std::string method = entry.policy.method;
    bool reads = false;
    for (const char* verb : {"Get", "BatchGet", "List", "LookUp", "Verify", "Dump", "Preview", "Explain"}) {
      reads = reads || absl::StartsWith(method, verb);
    }
    EXPECT_EQ(OnlyReads(entry.policy), reads) << method;
  }
}

// Calls that buyers wait for never queue behind an operator.
TEST(CallTable, BuyersCallsRunInline) {
  std::vector<CallEntry> entries = ReservationCalls({}, nullptr, {});
  for (CallEntry& entry : CatalogCalls(nullptr)) entries.push_back(std::move(entry));
  for (CallEntry& entry : FrontDoorCalls({})) entries.push_back(std::move(entry));
  for (CallEntry& entry : GroupCalls({})) entries.push_back(std::move(entry));
  for (const CallEntry& entry : entries) {
    EXPECT_EQ(entry.policy.runs_on, RunsOn::kInline) << entry.policy.method;
    EXPECT_FALSE(entry.blocks) << entry.policy.method;
  }
}

}  // namespace
}  // namespace tranche::server
