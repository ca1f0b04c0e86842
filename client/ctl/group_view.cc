#include "client/ctl/group_view.h"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "client/ctl/change_view.h"
#include "client/ctl/parse.h"

namespace tranche::ctl {
namespace {

using tranche::v1::Group;
using tranche::v1::GroupMember;

// As many members as a node tells of.
constexpr int kMostMembersTold = 1000;
constexpr char kSeatsTaken[] = "seats taken";

std::string SeatsOf(const Group& group) { return absl::StrCat(group.seats_taken(), " of ", group.seats()); }

std::string StateTextOf(const Group& group) {
  return absl::StrCat(GroupStateName(group.state()), group.partial() ? ", in part" : "");
}

std::string TimeLeft(const Group& group) {
  if (!group.has_remaining()) return "-";
  return FormatHold(absl::Seconds(group.remaining().seconds()));
}

std::string FinishOf(const Group& group) { return group.has_finish_time() ? FormatTime(group.finish_time()) : "-"; }

// By name, as text for people; the same names in the same order for every group.
std::vector<std::pair<std::string, std::string>> TermsOfGroup(const Group& group) {
  return {{"state", StateTextOf(group)},
          {kSeatsTaken, SeatsOf(group)},
          {"price", FormatPrice(group.price_minor(), group.currency())},
          {"time left", TimeLeft(group)},
          {"created", FormatTime(group.create_time())},
          {"deadline", FormatTime(group.deadline_time())},
          {"finished", FinishOf(group)},
          {"reason", group.cancel_reason().empty() ? "-" : group.cancel_reason()}};
}

// "-" once retention has taken the reservation.
std::string ReservationStateOf(const GroupMember& member) {
  if (member.reservation_state() == tranche::v1::RESERVATION_STATE_UNSPECIFIED) return "-";
  return std::string(
      absl::StripPrefix(tranche::v1::ReservationState_Name(member.reservation_state()), "RESERVATION_STATE_"));
}

void PrintMembers(Session& session, const tranche::v1::GetGroupResponse& group) {
  std::vector<std::string> headers = {"SEAT", "USER", "QUANTITY", "STATE", "PAID", "RESERVATION"};
  if (session.wide()) headers.insert(headers.begin() + 4, "JOINED");
  Table table(headers);
  for (const GroupMember& member : group.members()) {
    std::vector<std::string> row = {member.seat() > 0 ? absl::StrCat(member.seat()) : "-",
                                    member.user_id(),
                                    absl::StrCat(member.quantity()),
                                    ReservationStateOf(member),
                                    member.has_pay_time() ? FormatTime(member.pay_time()) : "-",
                                    member.reservation_id()};
    if (session.wide()) row.insert(row.begin() + 4, FormatTime(member.join_time()));
    table.AddRow(row);
  }
  session.Print(table);
}

std::string RefundsOf(int64_t payments) {
  if (payments == 0) return "nobody has paid";
  return payments == 1 ? "one payment is refunded" : absl::StrCat(payments, " payments are refunded");
}

std::string MeaningOfCancellation(const Group& group) {
  return absl::StrCat("All holds of its members end, and ", RefundsOf(group.seats_taken()),
                      ". A cancelled group does not come back.");
}

std::string CountOfGroups(int64_t count) { return absl::StrCat(count, count == 1 ? " group" : " groups"); }

void PrintCancelledJson(Session& session, const CancelledGroups& cancelled) {
  nlohmann::ordered_json groups = nlohmann::ordered_json::array();
  for (const Group& group : cancelled.groups.groups()) groups.push_back(ToJson(group));
  nlohmann::ordered_json failed = nlohmann::ordered_json::array();
  for (const UncancelledGroup& failure : cancelled.failures) {
    failed.push_back({{"group_id", failure.group_id}, {"error", failure.error}});
  }
  const nlohmann::ordered_json all = {
      {"preview", cancelled.preview}, {"groups", groups}, {"over", cancelled.over}, {"failed", failed}};
  session.out() << all.dump(1) << "\n";
}

}  // namespace

std::string GroupStateName(tranche::v1::GroupState state) {
  if (!tranche::v1::GroupState_IsValid(state) || state == tranche::v1::GROUP_STATE_UNSPECIFIED) return "?";
  return std::string(absl::StripPrefix(tranche::v1::GroupState_Name(state), "GROUP_STATE_"));
}

void PrintGroups(Session& session, const tranche::v1::ListGroupsResponse& groups) {
  if (session.json()) return session.PrintJson(groups);
  std::vector<std::string> headers = {"GROUP", "OFFER", "STATE", "SEATS TAKEN", "PRICE", "TIME LEFT"};
  if (session.wide()) headers.insert(headers.end(), {"SKU", "CREATED", "DEADLINE", "FINISHED", "REASON"});
  Table table(headers);
  for (const Group& group : groups.groups()) {
    std::vector<std::string> row = {group.group_id(),
                                    group.offer_id(),
                                    StateTextOf(group),
                                    SeatsOf(group),
                                    FormatPrice(group.price_minor(), group.currency()),
                                    TimeLeft(group)};
    if (session.wide()) {
      row.insert(row.end(), {group.sku_id(), FormatTime(group.create_time()), FormatTime(group.deadline_time()),
                             FinishOf(group), group.cancel_reason()});
    }
    table.AddRow(row);
  }
  session.Print(table);
}

void PrintGroup(Session& session, const tranche::v1::GetGroupResponse& group) {
  if (session.json()) return session.PrintJson(group);
  Table table({"FIELD", "VALUE"});
  table.AddRow({"group", group.group().group_id()});
  table.AddRow({"sku", group.group().sku_id()});
  table.AddRow({"offer", group.group().offer_id()});
  for (const auto& [name, text] : TermsOfGroup(group.group())) table.AddRow({name, text});
  session.Print(table);
  PrintMembers(session, group);
  if (group.members_size() < kMostMembersTold) return;
  session.err() << "There may be more members than these " << kMostMembersTold
                << ": those with a seat are told first, and those who have left last.\n";
}

void PrintCancelledGroups(Session& session, const CancelledGroups& cancelled) {
  session.json() ? PrintCancelledJson(session, cancelled) : PrintGroups(session, cancelled.groups);
  const int count = cancelled.groups.groups_size();
  int64_t payments = 0;
  for (const Group& group : cancelled.groups.groups()) payments += group.seats_taken();
  if (count == 0 && cancelled.over == 0 && cancelled.failures.empty()) {
    session.err() << "No group of this offer forms: there is nothing to cancel.\n";
    return;
  }
  if (cancelled.preview) {
    session.err() << CountOfGroups(count) << " would be cancelled: all holds of their members end, and "
                  << RefundsOf(payments) << ". They do not come back.\n";
    return SayHowToApply(session);
  }
  session.err() << CountOfGroups(count) << " cancelled: " << RefundsOf(payments) << "\n";
  if (cancelled.over > 0) {
    session.err() << CountOfGroups(cancelled.over) << " had ended before: `tranchectl group list SKU --state FILLED` "
                  << "shows what is sold\n";
  }
  for (const UncancelledGroup& failure : cancelled.failures) {
    session.err() << "not cancelled: " << failure.group_id << ": " << failure.error << "\n";
  }
  if (cancelled.failures.empty()) return;
  session.err() << "not all are cancelled: run it again, it goes on with the others\n";
  session.exit_code = kExitRemote;
}

void PrintCancelledGroup(Session& session, const Group& before, const Group& after, bool preview) {
  const auto terms_before = TermsOfGroup(before);
  const auto terms_after = TermsOfGroup(after);
  if (session.json()) {
    PrintChangeJson(session, before, after, preview);
  } else {
    Table table({"FIELD", "VALUE"});
    table.AddRow({"group", after.group_id()});
    table.AddRow({"sku", after.sku_id()});
    for (size_t i = 0; i < terms_before.size(); ++i) {
      const auto& [name, is] = terms_after[i];
      const std::string& was = terms_before[i].second;
      if (was != is || name == kSeatsTaken) table.AddRow({name, Arrow(was, is)});
    }
    session.Print(table);
  }
  if (!preview) return;
  if (before.state() == after.state()) return SayNothingWouldChange(session);
  session.err() << MeaningOfCancellation(after) << "\n";
  SayHowToApply(session);
}

}  // namespace tranche::ctl
