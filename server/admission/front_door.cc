#include "server/admission/front_door.h"

#include <utility>

#include "glog/logging.h"
#include "server/admission/door_passage.h"
#include "server/admission/door_refusals.h"
#include "server/admission/door_risk.h"
#include "server/admission/entry_passage.h"

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

DoorEntry FrontDoor::Enter(const DoorVisit& visit, absl::Time now, absl::Time deadline) {
  const std::shared_ptr<const DoorView> view = View();
  std::optional<quota::Refused> limited = RefusedByMode(*view->state);
  if (!limited.has_value()) return EntryPassage(*view, visit, now, {deadline, turns_}, counts_).Go();
  const DoorPolicy* const policy = view->state->PolicyOf(visit.sku_id);
  if (policy == nullptr || !policy->room.has_value()) return {.refused = std::move(limited)};
  // Who waits goes on waiting: who is not counted meanwhile would be passed over afterwards.
  DoorVisit waits = visit;
  waits.may_enter = false;
  DoorEntry entry = EntryPassage(*view, waits, now, {deadline, turns_}, counts_).Go();
  if (entry.place.has_value()) entry.held_by = std::move(limited);
  return entry;
}

quota::Refused FrontDoor::HoldBack(absl::Duration retry_after) {
  counts_.Refused(DoorCheck::kLimitUser);
  return RateLimited(RateKeyKind::kUser, retry_after);
}

DoorNeeds FrontDoor::NeedsOf(const DoorVisit& visit, absl::Time now) const {
  const std::shared_ptr<const DoorView> view = View();
  // Nobody is let in, also not through a room.
  if (view->state->reserves_nothing()) return {};
  return NeedsOfVisit(*view, visit, now);
}

FrontDoor::Explanation FrontDoor::Explain(const DoorQuestion& question, absl::Time now) const {
  const std::shared_ptr<const DoorView> view = View();
  return {view->state, ExplainDoor(*view, question, now)};
}

}  // namespace tranche::server
