// Group buying: units of a SKU at an offer's price for those who find enough others in time. As plain values.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tranche/export.h"
#include "tranche/reservation.h"

namespace tranche {

// Opens a group with an offer of a SKU, and joins it.
struct OpenGroup {
  std::string sku = {};
  // An offer of this SKU.
  std::string offer = {};
  std::string user = {};
  int32_t quantity = 1;
  // A UUID, as a reservation id is. Empty: the client makes one. Give your own ids and store them first to survive a
  // crash of your process; a repetition needs both. Keep the group's beside a ticket, too: GetClaim does not tell it.
  std::string group_id = {};
  std::string reservation_id = {};
  // As in CreateReservation. kInvalidArgument without both ids: those of the first try.
  bool retry_of_unknown = false;
  std::string order_reference = {};
  std::string purchase_token = {};
  std::string buyer_address = {};
  // As in CreateReservation. While it is queued there is no group yet.
  bool accept_queued = false;
  std::optional<absl::Duration> decide_within = std::nullopt;
  std::function<void(const QueuedClaim&)> on_queued = nullptr;
};

// Joins a group that forms.
struct JoinGroup {
  std::string group_id = {};
  std::string sku = {};  // the group's
  std::string user = {};
  int32_t quantity = 1;
  // As in CreateReservation.
  std::string reservation_id = {};
  // As in OpenGroup.
  bool retry_of_unknown = false;
  std::string order_reference = {};
  std::string purchase_token = {};
  std::string buyer_address = {};
  // As in CreateReservation.
  bool accept_queued = false;
  std::optional<absl::Duration> decide_within = std::nullopt;
  std::function<void(const QueuedClaim&)> on_queued = nullptr;
};

// A membership: the reservation is held and has no seat before it is paid.
struct JoinedGroup {
  std::string group_id;  // as in the request, or the one that the client has made
  Reservation reservation;
};

// Gives a membership of a group that forms up. A seat that was paid is free again, and its refund is requested.
struct LeaveGroup {
  std::string reservation_id = {};
  std::string reason = {};  // for people; at most 256 bytes
  std::string sku = {};     // as in ConfirmReservation
};

// A newer server may have states that are not named here.
enum class GroupState {
  kUnspecified = 0,
  kForming = 1,    // who joins and pays in time has a seat
  kFilled = 2,     // sold to all who have a seat
  kFailed = 3,     // its deadline came before it was full, or nobody was in it any more: payments are refunded
  kCancelled = 4,  // an operator ended it: payments are refunded
};
// "FORMING", "FILLED", ...
TRANCHE_EXPORT const char* GroupStateName(GroupState state);

// What becomes of a group that is not full at its deadline.
enum class GroupTimeout {
  kUnspecified = 0,
  kRefund = 1,   // it fails
  kPartial = 2,  // with min_members seats or more it is sold to those who have paid; with fewer it fails
};
// "REFUND", "PARTIAL"
TRANCHE_EXPORT const char* GroupTimeoutName(GroupTimeout timeout);

// What groups an operator offers of a SKU. It never changes, except that it is closed.
struct GroupOffer {
  std::string sku_id;
  std::string offer_id;
  int32_t seats = 0;          // so many members make a group
  int64_t price_minor = 0;    // for each unit, in the currency's minor unit (cents)
  std::string currency;       // ISO 4217
  absl::Duration open_for;    // how long a group may form
  absl::Duration pay_within;  // how long a member may take to pay; no longer than the group may form
  GroupTimeout on_timeout = GroupTimeout::kUnspecified;
  int32_t min_members = 0;  // for kPartial
  absl::Time create_time;
  absl::Time close_time = absl::InfiniteFuture();  // no group is opened since then
};

struct Group {
  std::string group_id;
  std::string sku_id;
  std::string offer_id;
  int32_t seats = 0;
  int32_t seats_taken = 0;  // how many have paid
  int64_t price_minor = 0;  // for each unit
  std::string currency;
  GroupState state = GroupState::kUnspecified;
  bool partial = false;  // it was sold at its deadline without being full
  absl::Time create_time;
  absl::Time deadline_time;                         // by the ledger's clock
  absl::Duration remaining;                         // until then, when the answer was made: not by the caller's clock
  absl::Time finish_time = absl::InfiniteFuture();  // when it left kForming
  // Of a cancelled one, and of a failed one in which nobody was any more; for people.
  std::string cancel_reason;
  int32_t revision = 0;  // grows with every change
};

struct GroupMember {
  std::string reservation_id;
  std::string user_id;
  int32_t quantity = 0;
  // kUnspecified: the reservation is not kept any more.
  ReservationState reservation_state = ReservationState::kUnspecified;
  absl::Time join_time;
  int32_t seat = 0;                              // from 1, in the order of payments; 0: not paid
  absl::Time pay_time = absl::InfiniteFuture();  // when the seat was paid
};

struct GetGroup {
  std::string group_id = {};
  // Optional: tells this buyer's membership.
  std::string user = {};
  // Optional: finds the group at once if there are several shards.
  std::string sku = {};
  // All members with their user ids. Needs the role `service`, or an operator's.
  bool with_members = false;
};

struct GroupWithMembers {
  Group group;
  // As asked for: of one buyer, or all; at most 1000. Those with a seat come first, then those who hold units or have
  // bought them, then the others; each of these in the order of joining.
  std::vector<GroupMember> members;
};

struct ListGroups {
  std::string sku = {};
  std::string offer = {};               // empty: all
  std::vector<GroupState> states = {};  // empty: those that form
  int32_t page_size = 0;                // at most 1000; 0: 100
  std::string page_token = {};          // from the previous page, with the same sku, offer and states
};

struct GroupPage {
  std::vector<Group> groups;  // by deadline
  // Empty: that was the last page.
  std::string next_page_token;
};

}  // namespace tranche
