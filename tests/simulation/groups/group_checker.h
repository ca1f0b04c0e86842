// Checks the rules of group buying, after every call of the ledger that may have changed a group.
//
//   seats      a group has no more paid members than seats, and counts those who have paid and not left; a payment is
//              refused a seat only if there is none
//   deadline   no seat is taken at the deadline or later, and no group fails before it unless nobody is in it any more
//   filled     the last seat fills the group; so does the deadline, in part, if the offer says so. In that moment all
//              who have paid are CONFIRMED, each by their own payment, and nobody else ever is
//   failed     in the moment when a group fails or is cancelled, all who have paid are CANCELLED
//   money      a payment that was taken has a seat, or its refund was asked for: once, in the moment when the seat was
//              given up or denied
//   price      a member's price and time to pay are the offer's
//   join       nobody joins what is full or over, or twice; nobody is refused without a reason
//   ended      without faults a group ends soon after its deadline, and what unpaid members hold soon after the group
//
// It keeps books of its own from the arguments and results of calls. LifeChecker follows the members' reservations and
// tells it of refunds; the Checker is told about units.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/fake/fake_ledger.h"
#include "storage/ledger/group_ledger.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "tests/simulation/checker.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/trace.h"

namespace tranche::simulation {

class GroupChecker {
 public:
  GroupChecker(Checker* checker, storage::FakeLedger* ledger, Scheduler* scheduler, Trace* trace)
      : checker_(checker), ledger_(ledger), scheduler_(scheduler), trace_(trace) {}

  // The ledger was called. An offer as it is now.
  void OnOffer(const storage::GroupOffer& offer);
  void OnCommit(ActorId actor, absl::Span<const storage::ReservationClaim> claims,
                absl::Span<const storage::CommitResult> results);
  // Of members; in the order of their batch. A payment that ConfirmLate answers as a seat that was taken before, is of
  // the first kind.
  void OnPaid(ActorId actor, const storage::Payment& payment, const storage::ChangeResult& result);
  void OnLeft(ActorId actor, const storage::Cancellation& cancellation, const storage::ChangeResult& result);
  // The hold of a member has lapsed.
  void OnLapsed(ActorId actor, const storage::Uuid& reservation_id) { EndIfEmpty(actor, GroupOf(reservation_id)); }
  // What the call did: it ended the hold, and asked for the refund.
  struct LateSteps {
    bool ended = false;
    bool refund_requested = false;
  };
  void OnPaidLate(ActorId actor, const storage::Payment& payment, const storage::ChangeResult& result,
                  const LateSteps& steps);
  void OnRefundRequested(const storage::Uuid& reservation_id, const std::string& payment_reference);
  // `holds`: of how many members it was seen that they ended.
  void OnExpired(ActorId actor, const storage::ExpiredGroups& done, int64_t holds);
  void OnCancelled(ActorId actor, const storage::Uuid& group_id);
  // At the end of such a call: is in the ledger what it must be? Of the groups of these members.
  void Verify(const std::vector<storage::Uuid>& reservation_ids);

  // All groups. From time to time: what only time does is checked here.
  void VerifyAll();
  // From now on groups end within this time after their deadline, and unpaid holds after their group.
  void ExpectPromptEnd(absl::Duration longest) { longest_late_ = longest; }

  bool IsMember(const storage::Uuid& reservation_id) const { return members_.contains(reservation_id); }
  // The reservations of the same group, the asked one included.
  std::vector<storage::Uuid> FellowsOf(const storage::Uuid& reservation_id) const;
  std::vector<storage::Uuid> MembersOf(const storage::Uuid& group_id) const;
  // Those of groups that ExpireGroups may change now.
  std::vector<storage::Uuid> MembersOfDue() const;
  // Was it true when it was told, or is it? That the payment has a seat; that its refund was asked for.
  bool HadSeat(const storage::Payment& payment) const;
  bool IsRefunded(const storage::Payment& payment) const;

  // It has a seat that nobody may leave any more: the deadline has passed, and the group was not ended yet.
  bool AwaitsDecision(const storage::Uuid& reservation_id) const;

  // What a buyer can see of a group.
  struct Seen {
    storage::Uuid group_id;
    std::string sku_id;
    std::string offer_id;
  };
  std::vector<Seen> Forming() const;
  bool AnyForming() const;

  // How often things happened, by name.
  const std::map<std::string, int64_t>& counts() const { return counts_; }

 private:
  using OfferName = std::pair<std::string, std::string>;  // SKU and name
  struct Group {
    int64_t number = 0;  // for the trace
    storage::GroupOffer offer;
    std::string opened_by;
    absl::Time deadline;
    storage::GroupState state = storage::GroupState::kForming;
    bool partial = false;
    int32_t seated = 0;
    absl::Time over_at;
    bool unsettled = false;              // over, and when it was looked at last, unpaid members still held units
    std::vector<storage::Uuid> members;  // all who ever joined, in their order
  };
  struct Member {
    storage::Uuid group_id;
    std::string user_id;
    std::string paid_by;  // the payment that has the seat; "": none. It stays when the group fails
  };

  absl::Time Now() const { return scheduler_->Now(); }
  Group& GroupOf(const storage::Uuid& reservation_id) { return groups_.at(members_.at(reservation_id).group_id); }
  bool HasRoom(const Group& group) const;
  // Of this buyer and the group, a member whose reservation lives.
  bool HasLiveMember(const Group& group, const std::string& user_id) const;
  bool HasOpened(const storage::ReservationClaim& claim) const;
  // Is it over, and does a member still hold units that they have not paid for?
  bool IsUnsettled(const Group& group) const;
  void Join(ActorId actor, const storage::ReservationClaim& claim, const storage::CommitResult& result);
  Group* Open(const storage::ReservationClaim& claim, const storage::Reservation& row);
  // May the claim be refused so?
  bool IsTrue(storage::Refusal refusal, const storage::ReservationClaim& claim) const;
  void Sit(const storage::Payment& payment, Member& member);
  void End(ActorId actor, Group& group, storage::GroupState state, bool partial);
  void EndIfEmpty(ActorId actor, Group& group);
  void VerifyGroup(const storage::Uuid& group_id, const Group& group);
  void VerifyMember(const Group& group, const storage::Uuid& reservation_id, const Member& member);
  void VerifySeats(const Group& group, const storage::GroupWithMembers& found);
  int Refunds(const storage::Uuid& reservation_id, const std::string& payment_reference) const;
  void Violated(const char* rule, const storage::Uuid& id, const std::string& detail);

  Checker* const checker_;
  storage::FakeLedger* const ledger_;
  Scheduler* const scheduler_;
  Trace* const trace_;
  std::map<OfferName, storage::GroupOffer> offers_;
  std::map<storage::Uuid, Group> groups_;
  std::map<storage::Uuid, Member> members_;                       // by reservation
  std::map<std::pair<storage::Uuid, std::string>, int> refunds_;  // asked for, by reservation and payment
  std::set<std::pair<storage::Uuid, std::string>> ever_seated_;   // the same
  absl::Duration longest_late_ = absl::InfiniteDuration();
  std::map<std::string, int64_t> counts_;
};

}  // namespace tranche::simulation
