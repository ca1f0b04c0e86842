// Judges groups for whose last seat members have raced: by what each of them was told, and by what the ledger says when
// all of the groups are over. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tranche::testing {

// What happens while members pay for the last seat.
enum class GroupRace {
  kPayments,         // nothing else
  kOpenerLeaves,     // gives the other seat up, which was paid
  kRacerLeaves,      // and pays at the same time
  kOperatorCancels,  // the group
  kDeadline,         // the payments come at about the group's deadline, or never
};
inline constexpr int kGroupRaces = 5;
const char* NameOf(GroupRace race);

struct RacingMember {
  std::string reservation_id = {};
  std::string payment = {};  // "": none was made
  // The answers: the outcome, or the reason of a refusal; "": not asked. Of who leaves, kLeft or the reason.
  std::string paid = {};
  std::string left = {};
};
inline constexpr char kLeft[] = "LEFT";

struct RacedGroup {
  GroupRace race = GroupRace::kPayments;
  std::string sku = {};
  std::string group_id = {};
  std::vector<RacingMember> members = {};  // the opener first
  // What the operator was told: "CANCELLED", "GROUP_OVER", or an error; "": none has asked.
  std::string cancelled = {};
};

// A reservation that was made for a group.
struct GroupRow {
  std::string state = {};
  std::string payment = {};       // of a CONFIRMED one
  std::string seat_payment = {};  // that has its seat; "": none
  int64_t refunds = 0;            // payments of it that are to be paid back
  std::string group_state = {};
  int seats = 0;
  int seats_taken = 0;
};
// By the reservation.
using GroupRows = std::map<std::string, GroupRow>;

// For people: what is wrong about this group. Empty: all is as promised. Each member pays once, at most.
std::vector<std::string> WrongAbout(const RacedGroup& group, const GroupRows& rows);

}  // namespace tranche::testing
