// The part of convert.h that is about groups.
#include <utility>

#include "client/internal/claim_message.h"
#include "client/internal/convert.h"
#include "client/internal/proto_time.h"

namespace tranche {

const char* GroupStateName(GroupState state) {
  switch (state) {
    case GroupState::kForming:
      return "FORMING";
    case GroupState::kFilled:
      return "FILLED";
    case GroupState::kFailed:
      return "FAILED";
    case GroupState::kCancelled:
      return "CANCELLED";
    case GroupState::kUnspecified:
      break;
  }
  return "UNSPECIFIED";
}

const char* GroupTimeoutName(GroupTimeout timeout) {
  switch (timeout) {
    case GroupTimeout::kRefund:
      return "REFUND";
    case GroupTimeout::kPartial:
      return "PARTIAL";
    case GroupTimeout::kUnspecified:
      break;
  }
  return "UNSPECIFIED";
}

namespace internal {
namespace {

GroupOffer ToOffer(const tranche::v1::GroupOffer& message) {
  GroupOffer offer;
  offer.sku_id = message.sku_id();
  offer.offer_id = message.offer_id();
  offer.seats = message.seats();
  offer.price_minor = message.price_minor();
  offer.currency = message.currency();
  offer.open_for = ToDuration(message.open_for());
  offer.pay_within = ToDuration(message.pay_within());
  offer.on_timeout = static_cast<GroupTimeout>(message.on_timeout());
  offer.min_members = message.min_members();
  offer.create_time = ToTime(message.create_time());
  if (message.has_close_time()) offer.close_time = ToTime(message.close_time());
  return offer;
}

GroupMember ToMember(const tranche::v1::GroupMember& message) {
  GroupMember member;
  member.reservation_id = message.reservation_id();
  member.user_id = message.user_id();
  member.quantity = message.quantity();
  member.reservation_state = static_cast<ReservationState>(message.reservation_state());
  member.join_time = ToTime(message.join_time());
  member.seat = message.seat();
  if (message.has_pay_time()) member.pay_time = ToTime(message.pay_time());
  return member;
}

}  // namespace

tranche::v1::OpenGroupRequest ToProto(OpenGroup request) {
  auto message = ClaimMessage<tranche::v1::OpenGroupRequest>(request);
  message.set_group_id(std::move(request.group_id));
  message.set_offer_id(std::move(request.offer));
  return message;
}

tranche::v1::JoinGroupRequest ToProto(JoinGroup request) {
  auto message = ClaimMessage<tranche::v1::JoinGroupRequest>(request);
  message.set_group_id(std::move(request.group_id));
  return message;
}

tranche::v1::LeaveGroupRequest ToProto(LeaveGroup change) {
  tranche::v1::LeaveGroupRequest message;
  message.set_reservation_id(std::move(change.reservation_id));
  message.set_reason(std::move(change.reason));
  message.set_sku_id(std::move(change.sku));
  return message;
}

tranche::v1::GetGroupRequest ToProto(GetGroup query) {
  tranche::v1::GetGroupRequest message;
  message.set_group_id(std::move(query.group_id));
  message.set_user_id(std::move(query.user));
  message.set_sku_id(std::move(query.sku));
  message.set_with_members(query.with_members);
  return message;
}

tranche::v1::ListGroupsRequest ToProto(ListGroups query) {
  tranche::v1::ListGroupsRequest message;
  message.set_sku_id(std::move(query.sku));
  message.set_offer_id(std::move(query.offer));
  for (const GroupState state : query.states) message.add_states(static_cast<tranche::v1::GroupState>(state));
  message.set_page_size(query.page_size);
  message.set_page_token(std::move(query.page_token));
  return message;
}

Group FromProto(const tranche::v1::Group& message) {
  Group group;
  group.group_id = message.group_id();
  group.sku_id = message.sku_id();
  group.offer_id = message.offer_id();
  group.seats = message.seats();
  group.seats_taken = message.seats_taken();
  group.price_minor = message.price_minor();
  group.currency = message.currency();
  group.state = static_cast<GroupState>(message.state());
  group.partial = message.partial();
  group.create_time = ToTime(message.create_time());
  group.deadline_time = ToTime(message.deadline_time());
  group.remaining = ToDuration(message.remaining());
  if (message.has_finish_time()) group.finish_time = ToTime(message.finish_time());
  group.cancel_reason = message.cancel_reason();
  group.revision = message.revision();
  return group;
}

Reservation FromProto(const tranche::v1::LeaveGroupResponse& message) {
  return FromProto(message.reservation(), message.replayed());
}

GroupWithMembers FromProto(const tranche::v1::GetGroupResponse& message) {
  GroupWithMembers found;
  found.group = FromProto(message.group());
  for (const tranche::v1::GroupMember& one : message.members()) found.members.push_back(ToMember(one));
  return found;
}

GroupPage FromProto(const tranche::v1::ListGroupsResponse& message) {
  GroupPage page;
  for (const tranche::v1::Group& one : message.groups()) page.groups.push_back(FromProto(one));
  page.next_page_token = message.next_page_token();
  return page;
}

std::vector<GroupOffer> FromProto(const tranche::v1::ListGroupOffersResponse& message) {
  std::vector<GroupOffer> offers;
  for (const tranche::v1::GroupOffer& one : message.offers()) offers.push_back(ToOffer(one));
  return offers;
}

}  // namespace internal
}  // namespace tranche
