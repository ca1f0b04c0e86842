// The judge of groups whose members have raced must notice what it is for.
#include "tests/integration/group_verdict.h"

#include <gmock/gmock.h>

#include <functional>
#include <utility>

namespace tranche::testing {
namespace {

TEST(GroupVerdictTest, EachWrongIsNoticed) {
  const RacedGroup good = {.race = GroupRace::kPayments,
                           .sku = "tv",
                           .group_id = "g",
                           .members = {{.reservation_id = "o", .payment = "po", .paid = "GROUP_WAITING"},
                                       {.reservation_id = "a", .payment = "pa", .paid = "CONFIRMED"},
                                       {.reservation_id = "b", .payment = "pb", .paid = "PAID_UNFULFILLED"}}};
  const GroupRow sold = {.state = "CONFIRMED",
                         .payment = "po",
                         .seat_payment = "po",
                         .group_state = "FILLED",
                         .seats = 2,
                         .seats_taken = 2};
  GroupRow other = sold, refunded = sold;
  other.payment = other.seat_payment = "pa";
  refunded.state = "CANCELLED";
  refunded.payment = refunded.seat_payment = "";
  refunded.refunds = 1;
  const GroupRows rows = {{"o", sold}, {"a", other}, {"b", refunded}};
  EXPECT_THAT(WrongAbout(good, rows), ::testing::IsEmpty());
  const std::pair<const char*, std::function<void(RacedGroup&, GroupRows&)>> cases[] = {
      {"a seat is sold twice",
       [](auto&, auto& r) {
         r["b"] = {.state = "CONFIRMED",
                   .payment = "pb",
                   .seat_payment = "pb",
                   .group_state = "FILLED",
                   .seats = 2,
                   .seats_taken = 2};
       }},
      {"money without a unit", [](auto&, auto& r) { r["b"].refunds = 0; }},
      {"a unit and a refund", [](auto&, auto& r) { r["a"].refunds = 1; }},
      {"a unit without money", [](auto& g, auto&) { g.members[1].payment = g.members[1].paid = ""; }},
      {"it still holds", [](auto&, auto& r) { r["b"].state = "PENDING"; }},
      {"a lost row", [](auto&, auto& r) { r.erase("b"); }},
      {"two were told the seat", [](auto& g, auto&) { g.members[2].paid = "CONFIRMED"; }},
      {"no answer", [](auto& g, auto&) { g.members[2].paid = "DEADLINE_PASSED"; }},
      {"who has left is sold", [](auto& g, auto&) { g.members[0].left = kLeft; }},
      {"it fails",
       [](auto&, auto& r) {
         for (auto& [id, row] : r) row.group_state = "FAILED";
       }},
      {"it forms",
       [](auto&, auto& r) {
         for (auto& [id, row] : r) row.group_state = "FORMING";
       }},
      {"it miscounts",
       [](auto&, auto& r) {
         for (auto& [id, row] : r) row.seats_taken = 1;
       }},
      {"it was cancelled", [](auto& g, auto&) { g.cancelled = "CANCELLED"; }},
  };
  for (const auto& [what, spoil] : cases) {
    RacedGroup group = good;
    GroupRows spoilt = rows;
    spoil(group, spoilt);
    EXPECT_THAT(WrongAbout(group, spoilt), ::testing::Not(::testing::IsEmpty())) << what;
  }
}

}  // namespace
}  // namespace tranche::testing
