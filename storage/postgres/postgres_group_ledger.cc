#include "storage/postgres/postgres_group_ledger.h"

#include <optional>
#include <utility>

#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/call.h"
#include "storage/postgres/group_row.h"
#include "storage/postgres/sku_row.h"

namespace tranche::storage {
namespace {

// Their procedures change nothing for a preview.
Repeat RepeatOfGroup(bool preview) { return preview ? Repeat::kRead : Repeat::kIfAnswerLost; }

// The offer of an answer of one row, or its error.
absl::StatusOr<GroupOffer> ReadGroupOffer(Repeat repeat, const absl::StatusOr<pqxx::result>& rows,
                                          const std::string& sku_id) {
  if (!rows.ok()) return rows.status();
  RETURN_IF_ERROR(GroupOutcome(repeat, *rows, sku_id));
  return ReadAnswer(repeat, [&] { return GroupOfferColumns(*rows).Read(rows->at(0)); });
}

int MostOf(GroupLookup::Members members) {
  switch (members) {
    case GroupLookup::Members::kNone:
      return 0;
    case GroupLookup::Members::kOne:
      return 1;
    case GroupLookup::Members::kAll:
      return kMaxGroupPage;
  }
  LOG(FATAL) << "no such members: " << static_cast<int>(members);
}

// The first row is about the group, the others about its members.
GroupWithMembers ToGroupWithMembers(const pqxx::result& rows) {
  const Columns<GroupMember> columns = GroupMemberColumns(rows);
  GroupWithMembers found{.group = GroupColumns(rows).Read(rows.at(0)), .members = {}};
  for (pqxx::result::size_type i = 1; i < rows.size(); ++i) found.members.push_back(columns.Read(rows[i]));
  return found;
}

// A row that is no group says where to go on.
GroupPage ToGroupPage(const pqxx::result& rows) {
  const ColumnIndex outcome = ColumnOf(rows, "outcome");
  const Columns<Group> columns = GroupColumns(rows);
  GroupPage page;
  for (const pqxx::row& row : rows) {
    Group group = columns.Read(row);
    if (TextOf(row[outcome]) == "NEXT") {
      page.next = GroupCursor{.deadline_at = group.deadline_at, .group_id = group.group_id};
    } else {
      page.groups.push_back(std::move(group));
    }
  }
  return page;
}

ExpiredGroups ToExpiredGroups(const pqxx::result& rows) {
  const pqxx::row row = rows.at(0);
  const auto field = [&](absl::string_view name) { return row.at(ColumnOf(rows, name)); };
  ExpiredGroups expired{.filled = field("filled").as<int64_t>(),
                        .failed = field("failed").as<int64_t>(),
                        .ended = field("ended").as<int64_t>(),
                        .settled = field("settled").as<int64_t>(),
                        .more = field("more").as<bool>()};
  const pqxx::field next_us = field("next_us");
  if (!next_us.is_null()) expired.until_next = absl::Microseconds(next_us.as<int64_t>());
  return expired;
}

}  // namespace

absl::StatusOr<GroupOffer> PostgresGroupLedger::CreateGroupOffer(const GroupOffer& offer, bool preview,
                                                                 const Actor& actor) {
  const Repeat repeat = RepeatOfGroup(preview);
  return ReadGroupOffer(
      repeat,
      Call(*pool_, repeat, "create_group_offer", offer.sku_id, offer.offer_id, offer.seats, offer.price_minor,
           absl::ToInt64Seconds(offer.open_for), absl::ToInt64Seconds(offer.pay_within),
           OnTimeoutWord(offer.on_timeout), offer.min_members, preview, actor.ForLedger()),
      offer.sku_id);
}

absl::StatusOr<GroupOffer> PostgresGroupLedger::CloseGroupOffer(const std::string& sku_id, const std::string& offer_id,
                                                                bool preview, const Actor& actor) {
  const Repeat repeat = RepeatOfGroup(preview);
  return ReadGroupOffer(repeat, Call(*pool_, repeat, "close_group_offer", sku_id, offer_id, preview, actor.ForLedger()),
                        sku_id);
}

absl::StatusOr<std::vector<GroupOffer>> PostgresGroupLedger::ListGroupOffers(const std::string& sku_id) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "list_group_offers", sku_id));
  if (rows.empty()) return std::vector<GroupOffer>();
  RETURN_IF_ERROR(GroupOutcome(Repeat::kRead, rows, sku_id));
  return ReadAnswer(Repeat::kRead, [&] {
    const Columns<GroupOffer> columns = GroupOfferColumns(rows);
    std::vector<GroupOffer> offers;
    for (const pqxx::row& row : rows) offers.push_back(columns.Read(row));
    return offers;
  });
}

absl::StatusOr<Group> PostgresGroupLedger::CancelGroup(const Uuid& group_id, const std::string& sku_id,
                                                       const std::string& reason, bool preview, const Actor& actor) {
  const Repeat repeat = RepeatOfGroup(preview);
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, repeat, "cancel_group", group_id.ToString(), reason, preview,
                                         actor.ForLedger(), OrNull(sku_id)));
  RETURN_IF_ERROR(GroupOutcome(repeat, rows, ""));
  return ReadAnswer(repeat, [&] { return GroupColumns(rows).Read(rows.at(0)); });
}

absl::StatusOr<GroupWithMembers> PostgresGroupLedger::GetGroup(const Uuid& group_id, const GroupLookup& lookup) {
  const std::string user_id = lookup.members == GroupLookup::Members::kOne ? lookup.user_id : "";
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "get_group", group_id.ToString(),
                                         MostOf(lookup.members), OrNull(user_id), OrNull(lookup.sku_id)));
  RETURN_IF_ERROR(GroupOutcome(Repeat::kRead, rows, ""));
  return ReadAnswer(Repeat::kRead, [&] { return ToGroupWithMembers(rows); });
}

absl::StatusOr<GroupPage> PostgresGroupLedger::ListGroups(const GroupFilter& filter, const GroupCursor& after,
                                                          int limit) {
  CHECK_LE(limit, kMaxGroupPage);
  const bool from_start = after.deadline_at == absl::InfinitePast();
  const NullableNumber after_us(from_start ? std::nullopt : std::optional(absl::ToUnixMicros(after.deadline_at)));
  ASSIGN_OR_RETURN(const auto rows,
                   Call(*pool_, Repeat::kRead, "list_groups", filter.sku_id, filter.offer_id, ToLiteral(filter.states),
                        after_us.parameter(), after.group_id.ToString(), limit));
  if (rows.empty()) return GroupPage();
  RETURN_IF_ERROR(GroupOutcome(Repeat::kRead, rows, filter.sku_id));
  return ReadAnswer(Repeat::kRead, [&] { return ToGroupPage(rows); });
}

absl::StatusOr<GroupCounts> PostgresGroupLedger::CountGroups() {
  ASSIGN_OR_RETURN(const auto rows,
                   Call(*pool_, Repeat::kRead, "count_groups", absl::ToInt64Microseconds(kGroupOverdue)));
  return ReadAnswer(Repeat::kRead, [&] {
    const pqxx::row row = rows.at(0);
    return GroupCounts{.forming = row.at(ColumnOf(rows, "forming")).as<int64_t>(),
                       .overdue = row.at(ColumnOf(rows, "overdue")).as<int64_t>()};
  });
}

// These are not repeated after a lost answer: the repeated call would only answer about other rows.

absl::StatusOr<ExpiredGroups> PostgresGroupLedger::ExpireGroups(int limit) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kNever, "expire_groups", limit));
  return ReadAnswer(Repeat::kNever, [&] { return ToExpiredGroups(rows); });
}

absl::StatusOr<int64_t> PostgresGroupLedger::RetireGroups(absl::Duration age, int limit) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kNever, "retire_groups", absl::ToInt64Seconds(age), limit));
  return ReadValue<int64_t>(Repeat::kNever, rows);
}

}  // namespace tranche::storage
