#include "quota/sale/waiting_room.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace tranche::quota {
namespace {

using Users = std::vector<std::string>;

const absl::Time kStart = absl::UnixEpoch() + absl::Hours(1);

SaleRequest RequestOf(const std::string& user, const std::string& sku_id = "tv", int32_t quantity = 1,
                      absl::Duration wait = absl::Seconds(1)) {
  return SaleRequest{.claim = {.reservation_id = {}, .sku_id = sku_id, .user_id = user, .quantity = quantity},
                     .deadline = absl::InfiniteFuture(),
                     .may_exist = false,
                     .done = [](const SaleResult&) {},
                     .wait_until = kStart + wait};
}

void Enter(WaitingRoom& room, SaleRequest request) { ASSERT_TRUE(room.TryEnter(request)); }

Users UsersOf(const std::vector<SaleRequest>& requests) {
  Users users;
  for (const SaleRequest& request : requests) users.push_back(request.claim.user_id);
  return users;
}

bool Everybody(const SaleRequest&) { return true; }

TEST(WaitingRoomTest, TheyLeaveInTheOrderOfTheirComing) {
  WaitingRoom room(10);
  EXPECT_TRUE(room.empty());
  for (const char* user : {"a", "b", "c"}) Enter(room, RequestOf(user));
  EXPECT_EQ(room.size("tv"), 3u);
  int units = 2;
  EXPECT_EQ(UsersOf(room.Leave("tv", [&](const SaleRequest&) { return units-- > 0; })), (Users{"a", "b"}));
  EXPECT_EQ(room.size("tv"), 1u);
  Enter(room, RequestOf("d"));
  EXPECT_EQ(UsersOf(room.Leave("tv", Everybody)), (Users{"c", "d"}));
  EXPECT_TRUE(room.empty());
  EXPECT_TRUE(room.Leave("tv", Everybody).empty());
}

TEST(WaitingRoomTest, WhoAsksForMuchHoldsUpNobodyAndKeepsItsPlace) {
  WaitingRoom room(10);
  Enter(room, RequestOf("much", "tv", 5));
  Enter(room, RequestOf("little", "tv", 1));
  Enter(room, RequestOf("much too", "tv", 5));
  const auto fits = [](int32_t units) {
    return [units](const SaleRequest& request) { return request.claim.quantity <= units; };
  };
  EXPECT_EQ(UsersOf(room.Leave("tv", fits(4))), (Users{"little"}));
  EXPECT_EQ(UsersOf(room.Leave("tv", fits(5))), (Users{"much", "much too"}));
}

TEST(WaitingRoomTest, ItIsBoundedOverAllSkus) {
  WaitingRoom room(2);
  Enter(room, RequestOf("a", "tv"));
  Enter(room, RequestOf("b", "radio"));
  SaleRequest late = RequestOf("c", "tv");
  EXPECT_FALSE(room.TryEnter(late));
  EXPECT_EQ(late.claim.user_id, "c") << "as it was";
  EXPECT_TRUE(late.done != nullptr);
  EXPECT_EQ(UsersOf(room.Leave("radio", Everybody)), (Users{"b"})) << "the others stay";
  EXPECT_EQ(room.size("tv"), 1u);
  EXPECT_TRUE(room.TryEnter(late));
}

TEST(WaitingRoomTest, WhoseTimeHasComeLeavesWhateverItWaitsFor) {
  WaitingRoom room(10);
  Enter(room, RequestOf("patient", "tv", 1, absl::Seconds(3)));
  Enter(room, RequestOf("a", "tv", 1, absl::Seconds(1)));
  Enter(room, RequestOf("b", "radio", 1, absl::Seconds(1)));
  EXPECT_TRUE(room.LeaveOverdue(kStart + absl::Seconds(1) - absl::Nanoseconds(1)).empty());
  std::vector<SaleRequest> overdue = room.LeaveOverdue(kStart + absl::Seconds(1));
  EXPECT_EQ(overdue.size(), 2u);
  EXPECT_EQ(room.size("radio"), 0u);
  EXPECT_EQ(UsersOf(room.LeaveOverdue(absl::InfiniteFuture())), (Users{"patient"}));
  EXPECT_TRUE(room.empty());
}

}  // namespace
}  // namespace tranche::quota
