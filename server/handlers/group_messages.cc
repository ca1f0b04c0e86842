#include "server/handlers/group_messages.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/reservation_messages.h"
#include "server/id_format.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

using storage::OnGroupTimeout;

constexpr int64_t kMaxOfferPriceMinor = 1'000'000'000'000;

v1::GroupTimeout ToTimeout(OnGroupTimeout timeout) {
  switch (timeout) {
    case OnGroupTimeout::kRefund:
      return v1::GROUP_TIMEOUT_REFUND;
    case OnGroupTimeout::kPartial:
      return v1::GROUP_TIMEOUT_PARTIAL;
  }
  return v1::GROUP_TIMEOUT_UNSPECIFIED;
}

// The ledger keeps whole seconds.
absl::StatusOr<absl::Duration> ReadGroupTime(const google::protobuf::Duration& message, absl::string_view field) {
  const std::optional<absl::Duration> time = FromDuration(message);
  const bool fits = time.has_value() && *time >= absl::Seconds(1) && *time <= storage::kLongestGroup;
  if (fits && message.nanos() == 0) return *time;
  return InvalidField(field, "must be 1 s to 7 days in whole seconds");
}

// What becomes of its groups at their deadline.
absl::Status ReadTimeout(const v1::GroupOffer& message, storage::GroupOffer* offer) {
  switch (message.on_timeout()) {
    case v1::GROUP_TIMEOUT_REFUND:
      offer->on_timeout = OnGroupTimeout::kRefund;
      // One is what the ledger keeps.
      if (message.min_members() == 0 || message.min_members() == 1) return absl::OkStatus();
      return InvalidField("offer.min_members", "must be absent with REFUND: a group that is not full fails");
    case v1::GROUP_TIMEOUT_PARTIAL:
      offer->on_timeout = OnGroupTimeout::kPartial;
      offer->min_members = message.min_members();
      if (offer->min_members >= 1 && offer->min_members <= offer->seats) return absl::OkStatus();
      return InvalidField("offer.min_members",
                          absl::StrCat("must be 1 to ", offer->seats, ", the seats, with PARTIAL"));
    default:
      return InvalidField("offer.on_timeout", "must be GROUP_TIMEOUT_REFUND or GROUP_TIMEOUT_PARTIAL");
  }
}

// A caller who gives them expects what does not happen.
absl::Status CheckHasNoReadOnlyFields(const v1::GroupOffer& message) {
  if (!message.currency().empty()) return InvalidField("offer.currency", "must be absent: it is the SKU's");
  if (message.has_create_time()) return InvalidField("offer.create_time", "must be absent: the ledger sets it");
  if (message.has_close_time()) return InvalidField("offer.close_time", "must be absent: CloseGroupOffer sets it");
  return absl::OkStatus();
}

}  // namespace

void Fill(const storage::Group& group, absl::Time now, v1::Group* message) {
  message->set_group_id(group.group_id.ToString());
  message->set_sku_id(group.sku_id);
  message->set_offer_id(group.offer_id);
  message->set_seats(group.seats);
  message->set_seats_taken(group.seats_taken);
  message->set_price_minor(group.price_minor);
  message->set_currency(group.currency);
  message->set_state(ToState(group.state));
  message->set_partial(group.partial);
  *message->mutable_create_time() = ToTimestamp(group.created_at);
  *message->mutable_deadline_time() = ToTimestamp(group.deadline_at);
  if (group.state == storage::GroupState::kForming) {
    *message->mutable_remaining() = ToDuration(std::max(absl::ZeroDuration(), group.deadline_at - now));
  }
  if (group.finished_at.has_value()) *message->mutable_finish_time() = ToTimestamp(*group.finished_at);
  message->set_cancel_reason(group.reason);
  message->set_revision(group.revision);
}

void Fill(const storage::GroupOffer& offer, v1::GroupOffer* message) {
  message->set_sku_id(offer.sku_id);
  message->set_offer_id(offer.offer_id);
  message->set_seats(offer.seats);
  message->set_price_minor(offer.price_minor);
  message->set_currency(offer.currency);
  *message->mutable_open_for() = ToDuration(offer.open_for);
  *message->mutable_pay_within() = ToDuration(offer.pay_within);
  message->set_on_timeout(ToTimeout(offer.on_timeout));
  if (offer.on_timeout == OnGroupTimeout::kPartial) message->set_min_members(offer.min_members);
  *message->mutable_create_time() = ToTimestamp(offer.created_at);
  if (offer.closed_at.has_value()) *message->mutable_close_time() = ToTimestamp(*offer.closed_at);
}

void Fill(const storage::GroupMember& member, v1::GroupMember* message) {
  message->set_reservation_id(member.reservation_id.ToString());
  message->set_user_id(member.user_id);
  message->set_quantity(member.quantity);
  if (member.reservation_state.has_value()) message->set_reservation_state(ToState(*member.reservation_state));
  *message->mutable_join_time() = ToTimestamp(member.joined_at);
  message->set_seat(member.seat);
  if (member.paid_at.has_value()) *message->mutable_pay_time() = ToTimestamp(*member.paid_at);
}

absl::StatusOr<storage::GroupOffer> OfferOf(const v1::GroupOffer& message) {
  RETURN_IF_ERROR(CheckSkuId(message.sku_id(), "offer.sku_id"));
  RETURN_IF_ERROR(CheckOfferId(message.offer_id(), "offer.offer_id"));
  RETURN_IF_ERROR(CheckHasNoReadOnlyFields(message));
  if (message.seats() < storage::kLeastSeats || message.seats() > storage::kMostSeats) {
    return InvalidField("offer.seats", absl::StrCat("must be ", storage::kLeastSeats, " to ", storage::kMostSeats));
  }
  if (message.price_minor() < 0 || message.price_minor() > kMaxOfferPriceMinor) {
    return InvalidField("offer.price_minor", absl::StrCat("must be 0 to ", kMaxOfferPriceMinor));
  }
  storage::GroupOffer offer;
  offer.sku_id = message.sku_id();
  offer.offer_id = message.offer_id();
  offer.seats = message.seats();
  offer.price_minor = message.price_minor();
  ASSIGN_OR_RETURN(offer.open_for, ReadGroupTime(message.open_for(), "offer.open_for"));
  ASSIGN_OR_RETURN(offer.pay_within, ReadGroupTime(message.pay_within(), "offer.pay_within"));
  RETURN_IF_ERROR(ReadTimeout(message, &offer));
  return offer;
}

v1::GroupState ToState(storage::GroupState state) {
  switch (state) {
    case storage::GroupState::kForming:
      return v1::GROUP_STATE_FORMING;
    case storage::GroupState::kFilled:
      return v1::GROUP_STATE_FILLED;
    case storage::GroupState::kFailed:
      return v1::GROUP_STATE_FAILED;
    case storage::GroupState::kCancelled:
      return v1::GROUP_STATE_CANCELLED;
  }
  return v1::GROUP_STATE_UNSPECIFIED;
}

std::optional<storage::GroupState> StateOf(v1::GroupState state) {
  switch (state) {
    case v1::GROUP_STATE_FORMING:
      return storage::GroupState::kForming;
    case v1::GROUP_STATE_FILLED:
      return storage::GroupState::kFilled;
    case v1::GROUP_STATE_FAILED:
      return storage::GroupState::kFailed;
    case v1::GROUP_STATE_CANCELLED:
      return storage::GroupState::kCancelled;
    default:
      return std::nullopt;
  }
}

std::string StateName(storage::GroupState state) {
  return std::string(absl::StripPrefix(v1::GroupState_Name(ToState(state)), "GROUP_STATE_"));
}

absl::StatusOr<storage::Uuid> CheckGroupId(const std::string& text) {
  const std::optional<storage::Uuid> id = storage::Uuid::Parse(text);
  if (id.has_value() && !id->is_nil()) return *id;
  return InvalidField("group_id",
                      "must be a UUID of 36 characters, such as 01890a5d-ac96-774b-bcce-b302099a8057, and not the nil "
                      "UUID");
}

absl::Status CheckOfferId(absl::string_view offer_id, absl::string_view field) {
  if (IsSkuId(offer_id)) return absl::OkStatus();
  return InvalidField(field, "must be 1 to 64 characters of [A-Za-z0-9._-]");
}

absl::Status GroupNotFound(const storage::Uuid& id) {
  return MakeError(v1::ERROR_REASON_GROUP_NOT_FOUND,
                   "There is no group with this id, or none any longer, or it is another SKU's; check the id. "
                   "GroupService.ListGroups has those of a SKU that form.",
                   {{"group_id", id.ToString()}});
}

}  // namespace tranche::server
