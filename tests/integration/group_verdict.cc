#include "tests/integration/group_verdict.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tranche::testing {
namespace {

bool IsOneOf(const std::string& told, std::initializer_list<const char*> words) {
  return std::find(words.begin(), words.end(), told) != words.end();
}

bool IsSold(const RacingMember& member, const GroupRow& row) {
  return row.state == "CONFIRMED" && !member.payment.empty() && row.payment == member.payment;
}

// Money for a unit, a unit for money.
std::vector<std::string> WrongInLedger(const RacingMember& member, const GroupRow& row) {
  std::vector<std::string> wrong;
  const bool sold = IsSold(member, row);
  if (row.state == "CONFIRMED" && !sold) wrong.push_back("is sold without their payment");
  if (row.state == "PENDING") wrong.emplace_back("holds units although the group is over");
  if (!row.seat_payment.empty() && row.seat_payment != member.payment) wrong.emplace_back("sits by a strange payment");
  const int64_t wanted = member.payment.empty() ? 0 : 1;
  if ((sold ? 1 : 0) + row.refunds != wanted) {
    wrong.push_back(
        absl::StrCat("made ", wanted, " payments, was sold ", sold ? 1 : 0, " and is refunded ", row.refunds));
  }
  return wrong;
}

// What was said is so.
std::vector<std::string> WrongInAnswers(const RacingMember& member, const GroupRow& row) {
  std::vector<std::string> wrong;
  if (!IsOneOf(member.paid, {"", "CONFIRMED", "GROUP_WAITING", "PAID_UNFULFILLED", "RESERVATION_STATE"})) {
    wrong.push_back("paid and was told " + member.paid);
  }
  if (member.paid == "CONFIRMED" && !IsSold(member, row)) wrong.emplace_back("was told CONFIRMED, and is not sold");
  if (IsOneOf(member.paid, {"PAID_UNFULFILLED", "RESERVATION_STATE"}) && row.refunds != 1) {
    wrong.push_back("was told " + member.paid + ", and is not refunded");
  }
  if (!IsOneOf(member.left, {"", kLeft, "RESERVATION_STATE"})) wrong.push_back("left and was told " + member.left);
  if (member.left == kLeft && row.state != "CANCELLED") wrong.emplace_back("has left, and is " + row.state);
  return wrong;
}

struct GroupSums {
  int confirmed = 0;
  int seated = 0;
  int told_confirmed = 0;  // racers
};

std::vector<std::string> WrongInSums(const RacedGroup& group, const GroupRow& any, const GroupSums& sums) {
  std::vector<std::string> wrong;
  const bool filled = any.group_state == "FILLED";
  if (!filled && !IsOneOf(any.group_state, {"FAILED", "CANCELLED"})) wrong.push_back("is " + any.group_state);
  if (sums.seated != any.seats_taken) wrong.push_back(absl::StrCat("counts ", any.seats_taken, " of ", sums.seated));
  const int wanted = filled ? any.seats : 0;
  if (sums.confirmed != wanted || (filled && any.seats_taken != any.seats)) {
    wrong.push_back(absl::StrCat("has ", any.seats_taken, " seats taken, and ", sums.confirmed, " units are sold"));
  }
  const bool must_fill = group.race != GroupRace::kOperatorCancels && group.race != GroupRace::kDeadline;
  if (must_fill && !filled) wrong.emplace_back("was not filled, although enough have paid");
  if (group.race == GroupRace::kPayments && sums.told_confirmed != 1) {
    wrong.push_back(absl::StrCat(sums.told_confirmed, " racers were told that they have the last seat"));
  }
  if (!IsOneOf(group.cancelled, {"", "CANCELLED", "GROUP_OVER"})) {
    wrong.push_back("the operator was told " + group.cancelled);
  }
  if ((group.cancelled == "CANCELLED") != (any.group_state == "CANCELLED")) {
    wrong.push_back("the operator was told " + group.cancelled + ", and the group is " + any.group_state);
  }
  return wrong;
}

}  // namespace

const char* NameOf(GroupRace race) {
  switch (race) {
    case GroupRace::kPayments:
      return "payments alone";
    case GroupRace::kOpenerLeaves:
      return "the opener leaves";
    case GroupRace::kRacerLeaves:
      return "a racer leaves";
    case GroupRace::kOperatorCancels:
      return "an operator cancels";
    case GroupRace::kDeadline:
      return "the deadline comes";
  }
  return "?";
}

std::vector<std::string> WrongAbout(const RacedGroup& group, const GroupRows& rows) {
  std::vector<std::string> wrong;
  GroupSums sums;
  const GroupRow* any = nullptr;
  for (size_t i = 0; i < group.members.size(); ++i) {
    const RacingMember& member = group.members[i];
    const auto found = rows.find(member.reservation_id);
    if (found == rows.end()) {
      wrong.push_back(member.reservation_id + " is not in the ledger");
      continue;
    }
    const GroupRow& row = found->second;
    any = &row;
    sums.confirmed += row.state == "CONFIRMED" ? 1 : 0;
    sums.seated += row.seat_payment.empty() ? 0 : 1;
    sums.told_confirmed += i > 0 && member.paid == "CONFIRMED" ? 1 : 0;
    for (const auto& texts : {WrongInLedger(member, row), WrongInAnswers(member, row)}) {
      for (const std::string& text : texts) wrong.push_back(absl::StrCat("member ", i, " ", text));
    }
  }
  if (any == nullptr) return wrong;
  for (std::string& text : WrongInSums(group, *any, sums)) wrong.push_back(std::move(text));
  return wrong;
}

}  // namespace tranche::testing
