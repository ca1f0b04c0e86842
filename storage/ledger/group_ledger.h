// Group buying: units of a SKU at an offer's price for those who find enough others.
//
//   FORMING -> FILLED      the last seat was paid, or PARTIAL at the deadline
//           -> FAILED      the deadline came first: who has paid is refunded; or nobody is in it any more
//           -> CANCELLED   an operator ended it: who has paid is refunded
//
// Who joins claims units like anybody else (ReservationClaim::group) and holds them, PENDING. LifecycleLedger's calls
// about such a reservation: ConfirmReservations takes a seat, and the last seat confirms all members in that
// transaction (a reservation that stays PENDING waits for its group); CancelReservations gives the seat up, and asks
// for the refund; ExtendReservations is refused with kInGroup. A payment that finds no seat is refused with kGroupOver,
// and ConfirmLate ends the hold and asks for the refund in one transaction.
//
// Offers, groups and members are in the ledger of their SKU's shard, and move with it.
//
// Threads, blocking and errors are those of every ledger: storage/ledger/README.md. kNotFound: the SKU is not here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/ledger/actor.h"
#include "storage/ledger/reservation_ledger.h"
#include "storage/uuid.h"

namespace tranche::storage {

inline constexpr int32_t kLeastSeats = 2;
inline constexpr int32_t kMostSeats = 100;
inline constexpr absl::Duration kLongestGroup = absl::Hours(7 * 24);
// That form at the same time.
inline constexpr int kMostFormingGroups = 10'000;
// Of a group that has failed because its last member has left, or has not paid in time.
inline constexpr absl::string_view kReasonOfEmptyGroup = "nobody was in it any more";
inline constexpr int kMostOffers = 100;  // of a SKU, open or closed
inline constexpr int kMaxGroupPage = 1'000;

enum class GroupState { kForming, kFilled, kFailed, kCancelled };

// What becomes of a group that is not full at its deadline.
enum class OnGroupTimeout {
  kRefund,
  kPartial,  // with min_members seats or more it is sold to those who have paid
};

struct GroupOffer {
  std::string sku_id;
  std::string offer_id;  // as a SKU's id
  int32_t seats = kLeastSeats;
  int64_t price_minor = 0;    // for each unit
  std::string currency = {};  // the SKU's; where offers are read
  absl::Duration open_for;    // whole seconds, 1 to kLongestGroup
  absl::Duration pay_within;  // the same; a hold never outlasts its group
  OnGroupTimeout on_timeout = OnGroupTimeout::kRefund;
  int32_t min_members = 1;
  absl::Time created_at;
  std::optional<absl::Time> closed_at = {};
};

struct Group {
  Uuid group_id;
  std::string sku_id;
  std::string offer_id;
  int32_t seats = 0;
  int32_t seats_taken = 0;  // paid; of a failed or cancelled group, by how many it was
  int64_t price_minor = 0;
  std::string currency = {};
  GroupState state = GroupState::kForming;
  bool partial = false;
  std::string opened_by;
  std::string reason = {};  // of a cancelled one, and of a failed one in which nobody was any more
  absl::Time created_at;
  absl::Time deadline_at;
  std::optional<absl::Time> finished_at = {};
  int32_t revision = 1;
};

struct GroupMember {
  std::string user_id;
  Uuid reservation_id;
  int32_t quantity = 0;
  // Of the reservation; nullopt if retention has taken it.
  std::optional<ReservationState> reservation_state = {};
  absl::Time joined_at;
  int32_t seat = 0;  // from 1; 0: not paid
  std::optional<absl::Time> paid_at = {};
  std::string payment_reference = {};
};

// What a read of a group asks for.
struct GroupLookup {
  enum class Members { kNone, kOne, kAll };

  // A group's id is unique on its shard only. "": the group of any SKU; otherwise another SKU's is not found.
  std::string sku_id = {};
  Members members = Members::kNone;
  std::string user_id = {};  // whose membership is read, with kOne
};

struct GroupWithMembers {
  Group group;
  // As asked for. Of all, at most kMaxGroupPage: those with a seat, then those who hold units or have bought them, then
  // the others; each of these in the order of joining.
  std::vector<GroupMember> members;
};

struct GroupFilter {
  std::string sku_id;
  std::string offer_id = {};            // "" for all
  std::vector<GroupState> states = {};  // empty for all
};

// Where a list goes on: after this group.
struct GroupCursor {
  absl::Time deadline_at = absl::InfinitePast();
  Uuid group_id = {};
};

struct GroupPage {
  std::vector<Group> groups;  // by deadline
  std::optional<GroupCursor> next = {};
};

struct ExpiredGroups {
  int64_t filled = 0;  // in part
  int64_t failed = 0;
  int64_t ended = 0;  // holds of members whose group is over, with those that were paid
  // Groups that are over, of which more is settled than before, perhaps without a hold that was left to end.
  int64_t settled = 0;
  // Others are due, beyond the limit or locked just now: call again. If nothing is counted above, all of them are
  // locked.
  bool more = false;
  // Until the next deadline, by the database's clock; InfiniteDuration when no group forms.
  absl::Duration until_next = absl::InfiniteDuration();
};

// For metrics and the status. Counts of a shard stop at kMostCounted (health_ledger.h): so many, or more.
struct GroupCounts {
  int64_t forming = 0;
  int64_t overdue = 0;  // past their deadline by kGroupOverdue and longer, or over and unsettled
};
inline constexpr absl::Duration kGroupOverdue = absl::Seconds(10);

class GroupLedger {
 public:
  virtual ~GroupLedger() = default;

  // Operators. Repeating one with the same values changes and audits nothing. kAlreadyExists: an offer of this name has
  // other values. kResourceExhausted: the SKU has kMostOffers. A preview returns what would be.
  virtual absl::StatusOr<GroupOffer> CreateGroupOffer(const GroupOffer& offer, bool preview, const Actor& actor) = 0;
  // kFailedPrecondition: there is none. Closing a closed one changes nothing.
  virtual absl::StatusOr<GroupOffer> CloseGroupOffer(const std::string& sku_id, const std::string& offer_id,
                                                     bool preview, const Actor& actor) = 0;
  // By name. "": of all SKUs.
  virtual absl::StatusOr<std::vector<GroupOffer>> ListGroupOffers(const std::string& sku_id) = 0;
  // Ends a forming group: all holds end, and who has paid is refunded, in one transaction. Cancelling a cancelled one
  // changes nothing. `sku_id` as in GroupLookup. kNotFound: there is no such group here. kFailedPrecondition: it is
  // filled or failed.
  virtual absl::StatusOr<Group> CancelGroup(const Uuid& group_id, const std::string& sku_id, const std::string& reason,
                                            bool preview, const Actor& actor) = 0;

  // kNotFound: there is no such group here.
  virtual absl::StatusOr<GroupWithMembers> GetGroup(const Uuid& group_id, const GroupLookup& lookup) = 0;
  // `limit`: at most kMaxGroupPage.
  virtual absl::StatusOr<GroupPage> ListGroups(const GroupFilter& filter, const GroupCursor& after, int limit) = 0;
  virtual absl::StatusOr<GroupCounts> CountGroups() = 0;

  // Workers. Ends groups whose deadline has passed by the database's clock, and what unpaid members of ended groups
  // still hold: until `limit` holds were ended or confirmed, at most kMaxBatch, or none is left. A group whose SKU is
  // locked is passed over.
  virtual absl::StatusOr<ExpiredGroups> ExpireGroups(int limit) = 0;
  // Deletes up to `limit` groups that ended longer than `age` ago, with their members; `age` is at least
  // kLeastRetention. Returns how many.
  virtual absl::StatusOr<int64_t> RetireGroups(absl::Duration age, int limit) = 0;
};

}  // namespace tranche::storage
