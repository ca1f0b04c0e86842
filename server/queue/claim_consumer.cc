#include "server/queue/claim_consumer.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "glog/logging.h"
#include "quota/sale/grant.h"
#include "server/queue/final_refusals.h"
#include "storage/base/log_trace.h"
#include "storage/mutation.h"

namespace tranche::server {

using storage::Refusal;

ClaimConsumer::ClaimConsumer(Parts parts)
    : parts_(std::move(parts)),
      held_(parts_.prefetch),
      paused_skus_(parts_.prefetch),
      join_places_(parts_.prefetch),
      random_(parts_.seed) {}

void ClaimConsumer::OnDelivery(ClaimDelivery delivery) {
  absl::StatusOr<QueuedClaim> claim = ReadMessage(delivery.body);
  if (!claim.ok()) {
    LOG_EVERY_T(WARNING, 1) << "a message of " << delivery.queue
                            << " goes to the dead letters: " << claim.status().message();
    counts_.dead.Add();
    return parts_.source->Settle(delivery.queue, delivery.tag, Settlement::kDead);
  }
  HeldClaim held{.queue = std::move(delivery.queue), .tag = delivery.tag, .claim = *std::move(claim)};
  held.since = parts_.clock->Now();
  held.lines.assign(held.claim.lines.size(), {.shard = parts_.shard});
  // Whoever had it before may have sold it, and not have come to say so.
  held.may_exist = delivery.deliveries > 0;
  Work work;
  {
    absl::MutexLock lock(&mutex_);
    HeldClaim& added = held_.Add(std::move(held));
    if (draining_) {
      GiveBack(added, work);
    } else {
      TryNow(added, work);
    }
  }
  Do(std::move(work));
}

void ClaimConsumer::OnLost(const std::string& queue) {
  Work work;
  {
    absl::MutexLock lock(&mutex_);
    std::vector<uint64_t> lost;
    for (const auto& [number, held] : held_.all()) {
      if (held.queue == queue) lost.push_back(number);
    }
    std::vector<uint64_t> next;
    for (const uint64_t number : lost) {
      const std::vector<uint64_t> after = Forget(*held_.Find(number));
      next.insert(next.end(), after.begin(), after.end());
    }
    TryTurns(next, work);
    counts_.lost.Add(static_cast<int64_t>(lost.size()));
  }
  Do(std::move(work));
}

void ClaimConsumer::Tick() {
  Work work;
  {
    absl::MutexLock lock(&mutex_);
    const absl::Time now = parts_.clock->Now();
    std::vector<uint64_t> waiting;
    for (const auto& [number, held] : held_.all()) {
      if (held.step == HeldClaim::Step::kWaits) waiting.push_back(number);
    }
    for (const uint64_t number : waiting) {
      // Another one's turn may have begun it.
      HeldClaim* const held = held_.Find(number);
      if (held == nullptr || held->step != HeldClaim::Step::kWaits) continue;
      if (draining_ || now - held->since >= kHoldDelivery) {
        GiveBack(*held, work);
      } else {
        TryNow(*held, work);
      }
    }
    for (const auto& [shard, notes] : notes_) SendNotes(shard, work);
    Probe(now, work);
  }
  Do(std::move(work));
}

void ClaimConsumer::SetPaused(bool paused) {
  {
    absl::MutexLock lock(&mutex_);
    if (paused_ == paused) return;
    paused_ = paused;
    if (!paused) goes_on_since_ = parts_.clock->Now();
  }
  // What is here came first.
  if (!paused) Tick();
  TellSource();
}

void ClaimConsumer::SetDraining(bool draining) {
  {
    absl::MutexLock lock(&mutex_);
    if (draining_ == draining) return;
    draining_ = draining;
  }
  TellSource();
  Tick();
}

void ClaimConsumer::TellSource() {
  absl::MutexLock telling(&telling_);
  bool stops = false;
  {
    absl::MutexLock lock(&mutex_);
    stops = paused_ || draining_;
  }
  if (stops) return parts_.source->Pause();
  parts_.source->Resume();
}

void ClaimConsumer::Drain(absl::Duration timeout) {
  SetDraining(true);
  Work work;
  {
    absl::MutexLock lock(&mutex_);
    const auto decided = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return under_way_ == 0; };
    mutex_.AwaitWithTimeout(absl::Condition(&decided), std::max(absl::ZeroDuration(), timeout));
    LOG_IF(WARNING, under_way_ > 0) << under_way_ << " queued claims of shard " << parts_.shard
                                    << " are not decided by the drain timeout, and go back to their queue";
    std::vector<uint64_t> rest;
    for (const auto& [number, held] : held_.all()) rest.push_back(number);
    for (const uint64_t number : rest) GiveBack(*held_.Find(number), work);
  }
  Do(std::move(work));
}

size_t ClaimConsumer::held() const {
  absl::MutexLock lock(&mutex_);
  return held_.size();
}

std::optional<absl::Time> ClaimConsumer::oldest_held_since() const {
  absl::MutexLock lock(&mutex_);
  const absl::Time now = parts_.clock->Now();
  for (const auto& [number, held] : held_.all()) {
    const bool rests = held.step == HeldClaim::Step::kWaits && Rests(held, now);
    if (held.kept_for.empty() && !rests) return held.since;
  }
  return std::nullopt;
}

// Whatever answers at once comes back through the lock, which is free here.
void ClaimConsumer::Do(Work work) {
  for (const Work::Settle& settle : work.settles) parts_.source->Settle(settle.queue, settle.tag, settle.settlement);
  for (Work::Try& tried : work.tries) Begin(std::move(tried));
  const absl::Time deadline = parts_.clock->Now() + kTryQueuedClaim;
  for (Work::Note& note : work.notes) {
    parts_.books->RefuseClaims(
        note.shard, std::move(note.batch), deadline,
        [this, shard = note.shard, lines = std::move(note.lines)](
            const absl::StatusOr<std::vector<storage::RefuseResult>>& results) { OnNoted(shard, lines, results); });
  }
  for (const Work::Look& look : work.looks) {
    parts_.books->FindSku(look.sku_id,
                          [this, line = look.line](const absl::StatusOr<storage::Sku>& sku) { OnLooked(line, sku); });
  }
}

void ClaimConsumer::Begin(Work::Try tried) {
  const ScopedTrace trace(tried.lines.front().trace);
  // What a queue holds is not queued again: a seller without a queue never answers so.
  constexpr Refusal kQueuedAgain = Refusal::kClaimsAreQueued;
  if (tried.cart) {
    return parts_.sell_cart(std::move(tried.lines), tried.deadline, tried.may_exist,
                            [this, number = tried.number, queued = kQueuedAgain](quota::CartSale sale) {
                              if (const auto* sold = std::get_if<quota::CartSold>(&sale)) {
                                return OnSold(number, sold->replayed);
                              }
                              const auto* const refused = std::get_if<quota::CartRefused>(&sale);
                              if (refused == nullptr) return OnRefused(number, queued, "");
                              OnRefused(number, refused->refused.refusal, refused->sku_id);
                            });
  }
  const std::string sku_id = tried.lines.front().sku_id;
  parts_.sell(std::move(tried.lines.front()), tried.deadline, tried.may_exist,
              [this, number = tried.number, queued = kQueuedAgain, sku_id](quota::SaleResult result) {
                if (const auto* sold = std::get_if<quota::Sold>(&result)) return OnSold(number, sold->replayed);
                const auto* const refused = std::get_if<quota::Refused>(&result);
                OnRefused(number, refused == nullptr ? queued : refused->refusal, sku_id);
              });
}

HeldClaim* ClaimConsumer::Tried(uint64_t number) {
  HeldClaim* const held = held_.Find(number);
  if (held == nullptr || held->step != HeldClaim::Step::kSells) return nullptr;
  SetStep(*held, HeldClaim::Step::kWaits);
  return held;
}

void ClaimConsumer::OnSold(uint64_t number, bool replayed) {
  Work work;
  {
    absl::MutexLock lock(&mutex_);
    HeldClaim* const held = Tried(number);
    if (held == nullptr) return;
    if (!IsElsewhere(*held)) NoteLedgerAnswers();
    (replayed ? counts_.replayed : counts_.sold).Add();
    Settle(*held, Settlement::kDone, work);
  }
  Do(std::move(work));
}

void ClaimConsumer::OnRefused(uint64_t number, Refusal refusal, const std::string& sku_id) {
  Work work;
  {
    absl::MutexLock lock(&mutex_);
    HeldClaim* const held = Tried(number);
    if (held == nullptr) return;
    Refused(*held, refusal, sku_id, work);
  }
  Do(std::move(work));
}

void ClaimConsumer::Refused(HeldClaim& held, Refusal refusal, const std::string& sku_id, Work& work) {
  RefusalMeans means = MeaningOf(refusal);
  // A node that cannot ask the ledger about a repeated claim says so from memory: that is no sign of life.
  const bool again = std::exchange(held.unanswered, means == RefusalMeans::kMayExist);
  const bool unanswered = means == RefusalMeans::kMayExist && (again || probe_ == held.number);
  if (means == RefusalMeans::kMayExist) held.may_exist = true;
  // Whoever is told something else has not looked for its group, and others may.
  if (means != RefusalMeans::kNoGroup) LeaveJoinPlace(held);
  if (means == RefusalMeans::kLedgerOut || unanswered) {
    if (probe_ == held.number || !IsElsewhere(held)) NoteLedgerOut(held);
    return TryAgain(held);
  }
  // The claim that asks for all was answered: from memory perhaps, so the others find out for themselves.
  if (probe_ == held.number) EndLedgerOut();
  if (means == RefusalMeans::kPaused) {
    const bool waits = paused_skus_.Keep(held, sku_id, parts_.clock->Now());
    means = waits ? RefusalMeans::kTryAgain : RefusalMeans::kDecided;
  } else {
    paused_skus_.Leave(held);
  }
  if (means == RefusalMeans::kNoGroup) means = AwaitsGroup(held) ? RefusalMeans::kTryAgain : RefusalMeans::kDecided;
  if (means == RefusalMeans::kForeign) return SettleForeign(held, work);
  // Of a cart, other lines have rows.
  if (means == RefusalMeans::kDecided || (means == RefusalMeans::kNoRow && held.claim.cart)) {
    held.refusal = refusal;
    return BeginNoting(held, work);
  }
  if (means == RefusalMeans::kNoRow) {
    counts_.Refused(refusal);
    return Settle(held, Settlement::kDone, work);
  }
  if (means == RefusalMeans::kInternal) return NoteFault(held, work);
  TryAgain(held);
}

bool ClaimConsumer::AwaitsGroup(HeldClaim& held) {
  const storage::GroupJoin* const join = held.claim.lines.front().group.get();
  // Who opens one finds another's of this id, which stays what it is.
  if (join == nullptr || !join->offer_id.empty()) return false;
  const absl::Time now = parts_.clock->Now();
  if (!held.awaits_group_since.has_value()) held.awaits_group_since = now;
  if (now - std::max(*held.awaits_group_since, goes_on_since_) >= kAwaitOpening) return false;
  // A buyer's own opening would wait for the end of their join.
  return join_places_.Keep(held) || held_.AnotherOpensGroupOf(held);
}

void ClaimConsumer::LeaveJoinPlace(HeldClaim& held) {
  join_places_.Leave(held);
  held.awaits_group_since.reset();
}

void ClaimConsumer::SettleForeign(HeldClaim& held, Work& work) {
  const storage::ReservationClaim& line = held.claim.lines.front();
  LOG_EVERY_T(WARNING, 1) << "claim " << line.reservation_id.ToString() << " for " << line.sku_id << " of "
                          << held.queue << " goes to the dead letters: there is no such SKU in this cluster";
  counts_.dead.Add();
  Settle(held, Settlement::kDead, work);
}

void ClaimConsumer::NoteFault(HeldClaim& held, Work& work) {
  if (++held.internal_errors < kMostInternalErrors) return TryAgain(held);
  LOG(WARNING) << "claim " << held.claim.lines.front().reservation_id.ToString() << " of " << held.queue << " has met "
               << kMostInternalErrors << " internal errors and goes back to its queue";
  GiveBack(held, work);
}

void ClaimConsumer::TryNow(HeldClaim& held, Work& work) {
  const absl::Time now = parts_.clock->Now();
  const bool waits = held.step == HeldClaim::Step::kWaits && held.try_at <= now;
  // One that was held for too long is given back by the next tick.
  if (!waits || now - held.since >= kHoldDelivery) return;
  if (ledger_out_ || draining_ || !held_.HasTurn(held) || Rests(held, now)) return;
  BeginNow(held, work);
}

bool ClaimConsumer::Rests(const HeldClaim& held, absl::Time now) const {
  return paused_ && held.refusal == Refusal::kNone && held.claim.deadline > now;
}

void ClaimConsumer::BeginNow(HeldClaim& held, Work& work) {
  const absl::Time now = parts_.clock->Now();
  held.began = now;
  if (held.refusal == Refusal::kNone && held.claim.deadline <= now) held.refusal = Refusal::kDeadlinePassed;
  if (storage::Mutated(storage::Mutation::kDoneBeforeDecision)) {
    work.settles.push_back({.queue = held.queue, .tag = held.tag, .settlement = Settlement::kDone});
  }
  if (held.refusal != Refusal::kNone) return BeginNoting(held, work);
  SetStep(held, HeldClaim::Step::kSells);
  work.tries.push_back({.number = held.number,
                        .lines = held.claim.lines,
                        .cart = held.claim.cart,
                        .deadline = std::min(held.claim.deadline, now + kTryQueuedClaim),
                        .may_exist = held.may_exist});
}

bool ClaimConsumer::IsElsewhere(const HeldClaim& held) const {
  // All lines of a cart are on one shard.
  const std::string shard = parts_.shard_of ? parts_.shard_of(held.claim.lines.front().sku_id) : "";
  return !shard.empty() && shard != parts_.shard;
}

void ClaimConsumer::TryAgain(HeldClaim& held) {
  counts_.retried.Add();
  held.try_at = parts_.clock->Now() + PauseAfter(held.tries++);
}

absl::Duration ClaimConsumer::PauseAfter(int tries) {
  constexpr int kEnough = 6;  // doublings, to the longest one
  const absl::Duration whole = std::min(kLongestPause, kShortestPause * (1 << std::min(tries, kEnough)));
  return whole * std::uniform_real_distribution<double>(0.5, 1)(random_);
}

void ClaimConsumer::Settle(HeldClaim& held, Settlement settlement, Work& work) {
  work.settles.push_back({.queue = held.queue, .tag = held.tag, .settlement = settlement});
  TryTurns(Forget(held), work);
}

void ClaimConsumer::GiveBack(HeldClaim& held, Work& work) {
  counts_.requeued.Add();
  Settle(held, Settlement::kRequeue, work);
}

std::vector<uint64_t> ClaimConsumer::Forget(HeldClaim& held) {
  SetStep(held, HeldClaim::Step::kWaits);
  if (probe_ == held.number) probe_ = 0;
  paused_skus_.Leave(held);
  LeaveJoinPlace(held);
  return held_.Remove(held.number);
}

void ClaimConsumer::TryTurns(const std::vector<uint64_t>& numbers, Work& work) {
  for (const uint64_t number : numbers) {
    if (HeldClaim* const held = held_.Find(number); held != nullptr) TryNow(*held, work);
  }
}

void ClaimConsumer::SetStep(HeldClaim& held, HeldClaim::Step step) {
  const auto weight = [](HeldClaim::Step one) { return one == HeldClaim::Step::kWaits ? 0 : 1; };
  under_way_ += weight(step) - weight(held.step);
  held.step = step;
}

}  // namespace tranche::server
