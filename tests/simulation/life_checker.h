// Checks the life of every reservation against its rules, at the moment when it changes.
//
//   states         PENDING becomes CONFIRMED, CANCELLED or EXPIRED, once; only calls change anything
//   hold           nothing expires before its time, and without faults not long after it
//   acknowledged   when a buyer is told "paid", "cancelled" or "extended", it is true at that very moment
//   replay         the same change again gets the same answer, and changes nothing
//   late payment   each is booked again or to be refunded, once; a hold is booked again once; none is refunded if it
//                  could be booked
//   outbox         one message about each change for every sink, of the right kind; and no other
//
// It keeps its own rows. The Checker is told about units and checks them; the GroupChecker about members of groups.
#pragma once

#include <array>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/fake/fake_ledger.h"
#include "storage/fake/fake_outbox.h"
#include "tests/simulation/checker.h"
#include "tests/simulation/groups/group_checker.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/trace.h"

namespace tranche::simulation {

// What a buyer may ask for after the sale.
using storage::Change;

enum class LifeEvent {
  kConfirmed,
  kCancelled,
  kExpired,
  kExtended,
  kRebooked,
  kRefundRequested,
  kSeatTaken,  // only of members of groups
  kCount,
};

inline constexpr int kLifeEvents = static_cast<int>(LifeEvent::kCount);
// From here on they are of the scenario "groups" alone.
inline constexpr int kFirstGroupEvent = static_cast<int>(LifeEvent::kSeatTaken);
// The kind of message in the outbox. A literal.
const char* KindOf(LifeEvent event);

using LifeCounts = std::array<int64_t, kLifeEvents>;

class LifeChecker {
 public:
  LifeChecker(Checker* checker, GroupChecker* groups, storage::FakeLedger* ledger, storage::FakeOutbox* outbox,
              Scheduler* scheduler, Trace* trace)
      : checker_(checker), groups_(groups), ledger_(ledger), outbox_(outbox), scheduler_(scheduler), trace_(trace) {}

  // Every message goes to each of these.
  void SetSinks(std::vector<std::string> sinks) { sinks_ = std::move(sinks); }

  // The ledger was called.
  void OnCommit(absl::Span<const storage::CommitResult> results);
  // The arguments of Payment, Cancellation or Extension.
  template <typename Asked>
  void OnChanges(ActorId actor, absl::Span<const Asked> batch, absl::Span<const storage::ChangeResult> results);
  void OnConfirmedLate(ActorId actor, const storage::Payment& payment, const storage::ChangeResult& result);
  void OnExpired(ActorId actor, int limit, const storage::ExpiredHolds& holds);
  void OnGroupsExpired(ActorId actor, const storage::ExpiredGroups& done);
  void OnGroupCancelled(ActorId actor, const storage::Uuid& group_id);

  // A buyer was told the result of their change.
  void OnAnswer(ActorId actor, const Change& change, const storage::ChangeResult& result);

  // What the books say now, and the return to it with the ledger.
  struct Past;
  Past Save() const;
  void GoBack(const Past& past);

  // Checks that only calls have changed anything, and that there are as many messages as changes.
  void VerifyAll();
  // From now on no hold may be overdue for longer than this.
  void ExpectPromptExpiry(absl::Duration longest) { longest_overdue_ = longest; }

  // Unpaid holds that end before then.
  bool AnyEndsBefore(absl::Time time) const { return !holds_.empty() && holds_.begin()->first < time; }
  int64_t EndingBefore(absl::Time time) const {
    return std::distance(holds_.begin(), holds_.lower_bound({time, storage::Uuid{}}));
  }
  const LifeCounts& counts() const { return counts_; }

 private:
  using Reservation = storage::Reservation;
  // The answer to a late payment.
  struct Decision {
    storage::ChangeOutcome outcome;
    std::optional<storage::Uuid> rebooked_as;
    bool operator==(const Decision&) const = default;
  };

  // Reads the reservation's present state in the ledger, checks that it may have changed so, and makes it the books'
  // state. Returns what happened to it, if anything.
  std::optional<LifeEvent> Follow(ActorId actor, const storage::Uuid& id);
  // The same for members of groups, in groups/member_life.cc. Who holds nothing any more is added to `lapsed`.
  std::vector<LifeEvent> FollowMember(ActorId actor, const storage::Uuid& id, std::vector<Reservation>* lapsed);
  void FollowMembers(ActorId actor, const std::vector<storage::Uuid>& ids, std::vector<Reservation>* lapsed);
  std::vector<LifeEvent> StepsBetween(const Reservation& was, const Reservation& is);
  void OnMemberConfirmedLate(ActorId actor, const storage::Payment& payment, const storage::ChangeResult& result);
  void CheckMemberResult(const storage::ChangeResult& result, const std::vector<LifeEvent>& steps);
  // What they are answered, and GroupChecker judges.
  void CheckMember(ActorId actor, const storage::Payment& payment, const storage::ChangeResult& result);
  void CheckMember(ActorId actor, const storage::Cancellation& cancellation, const storage::ChangeResult& result);
  void CheckMember(ActorId actor, const storage::Extension& extension, const storage::ChangeResult& result);
  void Note(ActorId actor, LifeEvent event, const Reservation& row);
  void CheckResult(const storage::ChangeResult& result, std::optional<LifeEvent> event);
  // Was it answered, and rightly, that there is no such reservation?
  bool IsUnknown(const storage::Uuid& id, const storage::ChangeResult& result);
  void CheckOutcome(const storage::Payment& payment, const storage::ChangeResult& result);
  void CheckOutcome(const storage::Cancellation& cancellation, const storage::ChangeResult& result);
  void CheckOutcome(const storage::Extension& extension, const storage::ChangeResult& result);
  void CheckRefusedExtension(const storage::ChangeResult& result, bool over);
  // No change of this kind is ever answered like this.
  void NeverSo(const char* change, const storage::ChangeResult& result);
  void CheckRebooked(ActorId actor, const storage::Payment& payment, const Reservation& told);
  void CheckPaid(const storage::Payment& payment, const storage::ChangeResult& result);
  Reservation RowNow(const storage::Uuid& id);
  void Violated(const char* rule, const storage::Uuid& id, const std::string& detail);
  // Is nothing different between the two?
  static bool IsSame(const Reservation& a, const Reservation& b);

  Checker* const checker_;
  GroupChecker* const groups_;
  storage::FakeLedger* const ledger_;
  storage::FakeOutbox* const outbox_;
  Scheduler* const scheduler_;
  Trace* const trace_;
  std::vector<std::string> sinks_;
  // What follows the ledger into the past is in Past, too.
  std::map<storage::Uuid, Reservation> rows_;
  std::set<std::pair<absl::Time, storage::Uuid>> holds_;            // unpaid, by when they end
  std::map<std::pair<storage::Uuid, std::string>, Decision> late_;  // by reservation and reference
  std::set<storage::Uuid> rebooked_;                                // whose late payment was booked again
  std::set<storage::Uuid> lost_;                                    // reservations that the ledger has lost
  absl::Duration longest_overdue_ = absl::InfiniteDuration();
  LifeCounts counts_{};
};

struct LifeChecker::Past {
  std::map<storage::Uuid, Reservation> rows;
  std::set<std::pair<absl::Time, storage::Uuid>> holds;
  std::map<std::pair<storage::Uuid, std::string>, Decision> late;
  std::set<storage::Uuid> rebooked;
};

}  // namespace tranche::simulation
