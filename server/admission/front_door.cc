#include "server/admission/front_door.h"

#include <utility>

#include "glog/logging.h"
#include "server/admission/challenge.h"
#include "server/admission/door_passage.h"
#include "server/admission/door_refusals.h"
#include "server/admission/lottery.h"
#include "server/admission/purchase_token.h"
#include "storage/mutation.h"

namespace tranche::server {
namespace {

std::shared_ptr<const DoorState> OpenDoor() {
  auto state = std::make_shared<DoorState>();
  state->access = std::make_shared<const AccessLists>();
  state->keys = std::make_shared<const FrontKeys>();
  return state;
}

// Who is on the list is refused like everybody.
std::optional<quota::Refused> RefusedByMode(const DoorState& state) {
  if (!state.reserves_nothing()) return std::nullopt;
  return ServiceLimited(state.mode);
}

// A ticket's times are cut to microseconds: who comes back as it says is not too early.
constexpr absl::Duration kTicketRounding = absl::Milliseconds(1);

// For WaitToCount, by what this node counted. A table that is too full to tell buyers apart says nothing: somebody who
// counts twice does less harm than many who are not counted.
absl::Duration UntilCountable(const DoorView& view, const DoorPolicy& policy, absl::string_view user_id,
                              absl::Duration interval, absl::Time now) {
  if (view.table == nullptr) return absl::ZeroDuration();
  const RateFingerprint key = view.hasher->OfWaiting(policy.sku_id, policy.room->round, user_id);
  const RateVerdict verdict = view.table->Try(key, {.interval = interval, .tolerance = kTicketRounding}, now);
  return verdict.taken || verdict.by_shared ? absl::ZeroDuration() : verdict.wait;
}

// Tells the buyer's place in the lottery. True: there is room for them, or there is no lottery.
bool Draw(const DoorPolicy& policy, absl::string_view user_id, DoorEntry* entry) {
  if (!policy.lottery.has_value()) return true;
  entry->lottery = policy.lottery;
  entry->lottery->key.clear();
  entry->rank = Rank(policy.lottery->key, policy.sku_id, policy.lottery->round, user_id);
  return Admits(policy.lottery->threshold, entry->rank);
}

}  // namespace

FrontDoor::FrontDoor(size_t table_bytes, TurnQueue* turns, const storage::Clock* clock)
    : table_bytes_(table_bytes), turns_(turns), clock_(clock) {
  absl::MutexLock lock(&mutex_);
  Publish(OpenDoor(), std::make_shared<const Homes>());
}

FrontDoor::~FrontDoor() = default;

void FrontDoor::SetState(std::shared_ptr<const DoorState> state) {
  CHECK(state != nullptr && state->access != nullptr && state->keys != nullptr);
  absl::MutexLock lock(&mutex_);
  // Here, not at the first try: it is large, and all its memory is touched.
  if (made_table_ == nullptr && state->NeedsTable()) {
    made_table_ = std::make_unique<RateTable>(table_bytes_);
    table_.store(made_table_.get(), std::memory_order_release);
  }
  // Before the view: whoever goes by the new policies finds their rooms.
  rooms_.SetRooms(state->OpenRooms());
  const std::shared_ptr<const DoorView> view = View();
  Publish(std::move(state), view->homes);
  // What was before it ends here, unless a claim still goes by it.
  state_before_ = view->state;
}

void FrontDoor::SetHomes(std::shared_ptr<const Homes> homes) {
  CHECK(homes != nullptr);
  absl::MutexLock lock(&mutex_);
  Publish(View()->state, std::move(homes));
}

void FrontDoor::Publish(std::shared_ptr<const DoorState> state, std::shared_ptr<const Homes> homes) {
  const bool closed = !state->open();
  const bool changes_refused = state->changes_nothing();
  auto fresh = std::make_shared<const DoorView>(
      DoorView{std::move(state), std::move(homes), made_table_.get(), &hasher_, &rooms_});
  {
    absl::MutexLock lock(&view_mutex_);
    view_.swap(fresh);
  }
  // After the view: whoever sees this finds what it is about.
  closed_to_some_.store(closed, std::memory_order_release);
  changes_refused_.store(changes_refused, std::memory_order_release);
}

std::optional<quota::Refused> FrontDoor::RefusesChanges() const {
  if (!changes_refused_.load(std::memory_order_acquire)) return std::nullopt;
  const std::shared_ptr<const DoorView> view = View();
  // It may have been set back in this moment.
  if (!view->state->changes_nothing()) return std::nullopt;
  return ServiceLimited(view->state->mode);
}

std::shared_ptr<const DoorState> FrontDoor::state() const { return View()->state; }

quota::GateVerdict FrontDoor::Check(absl::Span<const quota::GateLine> lines, absl::Time now, absl::Time deadline) {
  if (lines.empty()) return {};
  const std::shared_ptr<const DoorView> view = View();
  if (auto limited = RefusedByMode(*view->state)) return {.refused = std::move(limited)};
  return DoorPassage(*view, lines, now, {deadline, turns_}).Go(counts_);
}

quota::GateVerdict FrontDoor::CheckDrawEntry(const std::string& sku_id, const std::string& user_id,
                                             const quota::Visitor& visitor, absl::Time now, absl::Time deadline) {
  storage::ReservationClaim claim;
  claim.sku_id = sku_id;
  claim.user_id = user_id;
  const quota::GateLine line{&claim, &visitor};
  const std::shared_ptr<const DoorView> view = View();
  if (auto limited = RefusedByMode(*view->state)) return {.refused = std::move(limited)};
  return DoorPassage(*view, absl::MakeConstSpan(&line, 1), now, {deadline, turns_}, DoorPurpose::kDrawEntry)
      .Go(counts_);
}

bool FrontDoor::Park(absl::Duration wait, absl::AnyInvocable<void()> go_on) {
  return turns_->Park(clock_->Now() + wait, std::move(go_on));
}

DoorEntry FrontDoor::RefusedEntry(DoorCheck check, quota::Refused refused) {
  counts_.Refused(check);
  return {.refused = std::move(refused)};
}

DoorEntry FrontDoor::RefusedEntry(const LimitTries::Refusal& refusal) {
  if (refusal.no_room) counts_.parked_full.fetch_add(1, std::memory_order_relaxed);
  return RefusedEntry(CheckOfLimit(refusal.kind), RateLimited(refusal.kind, refusal.retry_after));
}

DoorEntry FrontDoor::Enter(const DoorVisit& visit, absl::Time now, absl::Time deadline) {
  const std::shared_ptr<const DoorView> view = View();
  std::optional<quota::Refused> limited = RefusedByMode(*view->state);
  if (!limited.has_value()) return EnterBy(*view, visit, now, deadline);
  const DoorPolicy* const policy = view->state->PolicyOf(visit.sku_id);
  if (policy == nullptr || !policy->room.has_value()) return {.refused = std::move(limited)};
  // Who waits goes on waiting: who is not counted meanwhile would be passed over afterwards.
  DoorVisit waits = visit;
  waits.may_enter = false;
  DoorEntry entry = EnterBy(*view, waits, now, deadline);
  if (entry.place.has_value()) entry.held_by = std::move(limited);
  return entry;
}

DoorEntry FrontDoor::EnterBy(const DoorView& view, const DoorVisit& visit, absl::Time now, absl::Time deadline) {
  const AccessVerdict access = view.state->access->Find(visit.user_id, visit.address, now);
  if (access == AccessVerdict::kDeny && !storage::Mutated(storage::Mutation::kEntryIgnoresDenials)) {
    return RefusedEntry(DoorCheck::kAccessList, DeniedAtTheDoor());
  }
  const DoorPolicy* const policy = view.state->PolicyOf(visit.sku_id);
  if (policy == nullptr) return {};
  if (!policy->unreadable.empty()) return RefusedEntry(DoorCheck::kPolicy, NotJudgedHere());
  // Another node may have read the keys.
  if (policy->token_lifetime.has_value() && view.state->keys->current() == nullptr) {
    return RefusedEntry(DoorCheck::kPurchaseToken, NotJudgedHere());
  }
  const bool listed = access == AccessVerdict::kAllow;
  const auto no_token_ids = [] { return std::vector<std::string>(); };
  const LimitSubjects subjects = {visit.user_id, visit.address, no_token_ids};
  LimitTries tries(view, now, {deadline, turns_});
  if (!listed) {
    if (const auto refusal = tries.Take(*policy, subjects, LimitPart::kBuyer)) return RefusedEntry(*refusal);
  }
  DoorEntry entry;
  entry.admitted = Admit(view, *policy, visit, listed, now, &entry);
  if (entry.admitted && (listed || EarnsToken(view, *policy, visit, now, &entry))) {
    if (!listed) {
      if (const auto refusal = tries.Take(*policy, subjects, LimitPart::kSku)) return RefusedEntry(*refusal);
    }
    GiveToken(view, *policy, visit, now, &entry);
  }
  if (tries.wait() > absl::ZeroDuration()) {
    tries.CountWaits(counts_);
    entry.wait = tries.wait();
  }
  return entry;
}

bool FrontDoor::Admit(const DoorView& view, const DoorPolicy& policy, const DoorVisit& visit, bool listed,
                      absl::Time now, DoorEntry* entry) {
  if (policy.room.has_value()) return AdmitFromRoom(view, policy, visit, listed, now, entry);
  if (Draw(policy, visit.user_id, entry) || listed) return true;
  counts_.Refused(DoorCheck::kLottery);
  entry->retry_after = ComeBackAfter(entry->rank);
  return false;
}

bool FrontDoor::AdmitFromRoom(const DoorView& view, const DoorPolicy& policy, const DoorVisit& visit, bool listed,
                              absl::Time now, DoorEntry* entry) {
  if (listed && visit.may_enter) return true;
  entry->room = policy.room;
  entry->room->key.clear();
  const RoomVisit asks = {.sku_id = visit.sku_id,
                          .user_id = visit.user_id,
                          .ticket = visit.waiting_ticket,
                          .opened = visit.opened,
                          .may_enter = visit.may_enter,
                          .opens_in = visit.opens_in};
  // Who is on the list waits for nobody, so they are not counted as somebody who is waited for.
  const auto wait_to_count = [&](absl::Duration interval) {
    return listed ? interval : UntilCountable(view, policy, visit.user_id, interval, now);
  };
  entry->place = EnterRoom(policy, *view.state->keys, *view.rooms, asks, now, wait_to_count);
  if (entry->place->let_in) return true;
  counts_.Refused(DoorCheck::kRoom);
  entry->retry_after = entry->place->retry_after;
  return false;
}

bool FrontDoor::EarnsToken(const DoorView& view, const DoorPolicy& policy, const DoorVisit& visit, absl::Time now,
                           DoorEntry* entry) {
  if (!policy.challenge.has_value()) return true;
  const DoorChallenge& rule = *policy.challenge;
  const FrontKeys& keys = *view.state->keys;
  if (!visit.challenge_solution.empty()) {
    entry->challenge_problem =
        ChallengeProblem(keys, visit.challenge_solution, visit.sku_id, visit.user_id, rule.bits, now);
    if (entry->challenge_problem.empty()) {
      counts_.challenges_solved.fetch_add(1, std::memory_order_relaxed);
      return true;
    }
    counts_.challenges_refused.fetch_add(1, std::memory_order_relaxed);
  }
  // There is a current key: Enter has looked.
  if (std::optional<IssuedChallenge> issued =
          IssueChallenge(keys, visit.sku_id, visit.user_id, rule.bits, rule.lifetime, now)) {
    entry->challenge = std::move(issued->json);
    entry->challenge_expires_at = issued->expires_at;
    counts_.challenges_issued.fetch_add(1, std::memory_order_relaxed);
  }
  return false;
}

void FrontDoor::GiveToken(const DoorView& view, const DoorPolicy& policy, const DoorVisit& visit, absl::Time now,
                          DoorEntry* entry) {
  if (!policy.token_lifetime.has_value()) return;
  PurchaseToken token = MakePurchaseToken(*view.state->keys, visit.sku_id, visit.user_id, *policy.token_lifetime, now);
  entry->purchase_token = std::move(token.text);
  entry->token_expires_at = token.expires_at;
  counts_.tokens_issued.fetch_add(1, std::memory_order_relaxed);
}

FrontDoor::Explanation FrontDoor::Explain(absl::string_view sku_id, absl::string_view user_id,
                                          absl::string_view address, absl::string_view purchase_token,
                                          absl::Time now) const {
  const std::shared_ptr<const DoorView> view = View();
  return {view->state, ExplainDoor(*view, {sku_id, user_id, address, purchase_token}, now)};
}

}  // namespace tranche::server
