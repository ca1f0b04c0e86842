#include "storage/postgres/group_row.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/array_literal.h"
#include "storage/postgres/reservation_row.h"
#include "storage/postgres/sku_row.h"

namespace tranche::storage {
namespace {

struct GroupStateWord {
  absl::string_view word;
  GroupState state;
};
constexpr GroupStateWord kGroupStateWords[] = {
    {"FORMING", GroupState::kForming},
    {"FILLED", GroupState::kFilled},
    {"FAILED", GroupState::kFailed},
    {"CANCELLED", GroupState::kCancelled},
};

struct GroupErrorWord {
  absl::string_view word;
  absl::StatusCode code;
  absl::string_view detail;
};
// What is wrong besides SKU_NOT_FOUND.
constexpr GroupErrorWord kGroupErrorWords[] = {
    {"GROUP_NOT_FOUND", absl::StatusCode::kNotFound, "there is no such group here"},
    {"GROUP_OVER", absl::StatusCode::kFailedPrecondition, "the group is filled or has failed"},
    {"OFFER_NOT_FOUND", absl::StatusCode::kFailedPrecondition, "the SKU has no such offer"},
    {"OFFER_EXISTS", absl::StatusCode::kAlreadyExists, "the SKU has an offer of this name with other values"},
    {"TOO_MANY_OFFERS", absl::StatusCode::kResourceExhausted, "the SKU has as many offers as it may have"},
};

GroupState GroupStateOf(absl::string_view word) {
  for (const GroupStateWord& known : kGroupStateWords) {
    if (known.word == word) return known.state;
  }
  throw UnreadableAnswer(absl::StrCat("no state of a group: ", word));
}

OnGroupTimeout OnGroupTimeoutOf(absl::string_view word) {
  for (const OnGroupTimeout known : {OnGroupTimeout::kRefund, OnGroupTimeout::kPartial}) {
    if (word == OnTimeoutWord(known)) return known;
  }
  throw UnreadableAnswer(absl::StrCat("no way to end a group: ", word));
}

absl::Duration SecondsOf(const pqxx::field& field) { return absl::Seconds(field.as<int64_t>()); }

constexpr Column<GroupOffer> kGroupOfferTable[] = {
    {"sku_id", [](const pqxx::field& field, GroupOffer* to) { to->sku_id = field.c_str(); }},
    {"offer_id", [](const pqxx::field& field, GroupOffer* to) { to->offer_id = field.c_str(); }},
    {"seats", [](const pqxx::field& field, GroupOffer* to) { to->seats = field.as<int32_t>(); }},
    {"price_minor", [](const pqxx::field& field, GroupOffer* to) { to->price_minor = field.as<int64_t>(); }},
    {"currency", [](const pqxx::field& field, GroupOffer* to) { to->currency = field.c_str(); }},
    {"open_seconds", [](const pqxx::field& field, GroupOffer* to) { to->open_for = SecondsOf(field); }},
    {"pay_seconds", [](const pqxx::field& field, GroupOffer* to) { to->pay_within = SecondsOf(field); }},
    {"on_timeout", [](const pqxx::field& field, GroupOffer* to) { to->on_timeout = OnGroupTimeoutOf(TextOf(field)); }},
    {"min_members", [](const pqxx::field& field, GroupOffer* to) { to->min_members = field.as<int32_t>(); }},
    {"created_us", [](const pqxx::field& field, GroupOffer* to) { to->created_at = TimeOf(field); }},
    {"closed_us", [](const pqxx::field& field, GroupOffer* to) { to->closed_at = TimeOf(field); }},
};

constexpr Column<Group> kGroupTable[] = {
    {"group_id", [](const pqxx::field& field, Group* to) { to->group_id = UuidOf(field); }},
    {"sku_id", [](const pqxx::field& field, Group* to) { to->sku_id = field.c_str(); }},
    {"offer_id", [](const pqxx::field& field, Group* to) { to->offer_id = field.c_str(); }},
    {"seats", [](const pqxx::field& field, Group* to) { to->seats = field.as<int32_t>(); }},
    {"seats_taken", [](const pqxx::field& field, Group* to) { to->seats_taken = field.as<int32_t>(); }},
    {"price_minor", [](const pqxx::field& field, Group* to) { to->price_minor = field.as<int64_t>(); }},
    {"currency", [](const pqxx::field& field, Group* to) { to->currency = field.c_str(); }},
    {"state", [](const pqxx::field& field, Group* to) { to->state = GroupStateOf(TextOf(field)); }},
    {"partial", [](const pqxx::field& field, Group* to) { to->partial = field.as<bool>(); }},
    {"opened_by", [](const pqxx::field& field, Group* to) { to->opened_by = field.c_str(); }},
    {"reason", [](const pqxx::field& field, Group* to) { to->reason = field.c_str(); }},
    {"created_us", [](const pqxx::field& field, Group* to) { to->created_at = TimeOf(field); }},
    {"deadline_us", [](const pqxx::field& field, Group* to) { to->deadline_at = TimeOf(field); }},
    {"finished_us", [](const pqxx::field& field, Group* to) { to->finished_at = TimeOf(field); }},
    {"revision", [](const pqxx::field& field, Group* to) { to->revision = field.as<int32_t>(); }},
};

constexpr Column<GroupMember> kGroupMemberTable[] = {
    {"user_id", [](const pqxx::field& field, GroupMember* to) { to->user_id = field.c_str(); }},
    {"reservation_id", [](const pqxx::field& field, GroupMember* to) { to->reservation_id = UuidOf(field); }},
    {"quantity", [](const pqxx::field& field, GroupMember* to) { to->quantity = field.as<int32_t>(); }},
    {"reservation_state",
     [](const pqxx::field& field, GroupMember* to) { to->reservation_state = ToReservationState(TextOf(field)); }},
    {"joined_us", [](const pqxx::field& field, GroupMember* to) { to->joined_at = TimeOf(field); }},
    {"seat_no", [](const pqxx::field& field, GroupMember* to) { to->seat = field.as<int32_t>(); }},
    {"paid_us", [](const pqxx::field& field, GroupMember* to) { to->paid_at = TimeOf(field); }},
    {"payment_reference", [](const pqxx::field& field, GroupMember* to) { to->payment_reference = field.c_str(); }},
};

}  // namespace

Columns<GroupOffer> GroupOfferColumns(const pqxx::result& rows) {
  ColumnOf(rows, "offer_id");
  return {rows, kGroupOfferTable};
}

Columns<Group> GroupColumns(const pqxx::result& rows) {
  ColumnOf(rows, "state");
  return {rows, kGroupTable};
}

Columns<GroupMember> GroupMemberColumns(const pqxx::result& rows) {
  ColumnOf(rows, "reservation_id");
  return {rows, kGroupMemberTable};
}

absl::Status GroupOutcome(Repeat repeat, const pqxx::result& rows, const std::string& sku_id) {
  ASSIGN_OR_RETURN(const std::string word,
                   ReadAnswer(repeat, [&] { return rows.at(0).at(ColumnOf(rows, "outcome")).as<std::string>(); }));
  // NEXT: only where a page goes on.
  if (word == "DONE" || word == "NEXT") return absl::OkStatus();
  if (word == "SKU_NOT_FOUND") return NoSuchSku(sku_id);
  for (const GroupErrorWord& known : kGroupErrorWords) {
    if (known.word == word) return absl::Status(known.code, known.detail);
  }
  return UnreadableAnswerError(repeat, UnreadableAnswer(absl::StrCat("no outcome about a group: ", word)));
}

const char* OnTimeoutWord(OnGroupTimeout on_timeout) {
  switch (on_timeout) {
    case OnGroupTimeout::kRefund:
      return "REFUND";
    case OnGroupTimeout::kPartial:
      return "PARTIAL";
  }
  LOG(FATAL) << "unknown way to end a group";
}

std::string ToLiteral(absl::Span<const GroupState> states) {
  ArrayLiteral names;
  for (const GroupStateWord& known : kGroupStateWords) {
    for (const GroupState state : states) {
      if (state == known.state) names.AddPlain(known.word);
    }
  }
  return std::move(names).Finish();
}

}  // namespace tranche::storage
