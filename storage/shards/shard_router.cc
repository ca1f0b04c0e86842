#include "storage/shards/shard_router.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "storage/ledger/ledger_error.h"
#include "storage/shards/ask_in_turn.h"

namespace tranche::storage {
namespace {

constexpr absl::Duration kReadPatience = absl::Seconds(1);

void Send(ChangePipeline& pipeline, Confirmation change, absl::Time deadline, ChangeDone done) {
  pipeline.Confirm(std::move(change), deadline, std::move(done));
}
void Send(ChangePipeline& pipeline, Cancellation change, absl::Time deadline, ChangeDone done) {
  pipeline.Cancel(std::move(change), deadline, std::move(done));
}
void Send(ChangePipeline& pipeline, Extension change, absl::Time deadline, ChangeDone done) {
  pipeline.Extend(std::move(change), deadline, std::move(done));
}

ChangeResult Undecided(ChangeOutcome outcome) {
  ChangeResult result;
  result.outcome = outcome;
  return result;
}

// Each once. Of two copies the newer one: a shard that a SKU has left may not know it yet, and its copy stays as it
// was.
std::vector<Reservation> Newest(std::vector<Reservation> found) {
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    if (a.reservation_id == b.reservation_id) return a.revision > b.revision;
    return a.reservation_id < b.reservation_id;
  });
  found.erase(std::unique(found.begin(), found.end(),
                          [](const auto& a, const auto& b) { return a.reservation_id == b.reservation_id; }),
              found.end());
  return found;
}

// What the shards together have of some reservations.
struct Gathered {
  absl::Mutex mutex;
  size_t waiting ABSL_GUARDED_BY(mutex) = 0;
  bool complete ABSL_GUARDED_BY(mutex) = true;
  std::vector<Reservation> found ABSL_GUARDED_BY(mutex);
};

}  // namespace

void ShardRouter::Submit(const std::string& shard, IncarnationId incarnation, ReservationClaim claim,
                         absl::Time deadline, CommitDone done) {
  if (shard == kHomeShard) {
    return shards_->home().claims->Submit(incarnation, std::move(claim), deadline, std::move(done));
  }
  const auto backend = shards_->Find(shard);
  // Announced before we have heard of it from home.
  if (backend == nullptr) return done(absl::UnavailableError("the shard is not known here yet"));
  backend->claims->Submit(incarnation, std::move(claim), deadline, std::move(done));
}

void ShardRouter::Find(const Uuid& reservation_id, FindDone done) {
  const ShardList all = shards_->All();
  const bool alone = all.size() == 1;
  AskShards<CommitResult>(all, Blocking<CommitResult>([this, reservation_id, alone](ShardBackend& shard) {
                            auto found = shard.reservations->FindReservation(reservation_id);
                            return found.ok() && !alone ? AsItIs(shard, *std::move(found)) : found;
                          }),
                          std::move(done));
}

// A shard that a SKU is leaving does not know whether it is at the other one already: a mover that died in between left
// it so. Then the other one's word counts.
absl::StatusOr<CommitResult> ShardRouter::AsItIs(ShardBackend& shard, CommitResult found) {
  const auto where = shard.moves->Where(found.reservation.sku_id);
  if (!where.ok()) return where.status();
  if (where->place != SkuWhereabouts::Place::kLeaving) return found;
  const auto target = shards_->Find(where->other_shard);
  if (target == nullptr) return absl::UnavailableError("the shard where it moves to is not known here yet");
  auto there = target->reservations->FindReservation(found.reservation.reservation_id);
  if (absl::IsNotFound(there.status())) return found;
  return there;
}

void ShardRouter::ReadSku(const std::string& sku_id, ReadSkuDone done) {
  AskShards<Sku>(shards_->All(), Blocking<Sku>([sku_id](ShardBackend& shard) { return shard.stock->GetSku(sku_id); }),
                 std::move(done));
}

void ShardRouter::Confirm(const std::string& shard, Confirmation change, absl::Time deadline, ChangeDone done) {
  Route(shard, std::move(change), deadline, std::move(done));
}

void ShardRouter::Cancel(const std::string& shard, Cancellation change, absl::Time deadline, ChangeDone done) {
  Route(shard, std::move(change), deadline, std::move(done));
}

void ShardRouter::Extend(const std::string& shard, Extension change, absl::Time deadline, ChangeDone done) {
  Route(shard, std::move(change), deadline, std::move(done));
}

template <typename Change>
void ShardRouter::Route(const std::string& shard, Change change, absl::Time deadline, ChangeDone done) {
  const ShardList all = shards_->All();
  if (all.size() == 1) return Send(*all.front()->changes, std::move(change), deadline, std::move(done));
  // A reservation that a shard does not have is, among several, an answer like "no"; one that is moving, or has just
  // moved away, like "ask somebody else".
  ShardQuestion<ChangeResult> ask = [change, deadline](ShardBackend& shard, ShardAnswer<ChangeResult> answer) {
    Send(*shard.changes, change, deadline, [answer = std::move(answer)](absl::StatusOr<ChangeResult> result) mutable {
      if (result.ok() && result->outcome == ChangeOutcome::kNotFound) return answer(absl::NotFoundError("not here"));
      if (result.ok() && result->outcome == ChangeOutcome::kMoving) return answer(SkuMovingError("leaving"));
      answer(std::move(result));
    });
  };
  ShardAnswer<ChangeResult> ask_all_done = [done = std::move(done)](absl::StatusOr<ChangeResult> result) mutable {
    if (absl::IsNotFound(result.status())) return done(Undecided(ChangeOutcome::kNotFound));
    if (IsSkuMoving(result.status())) return done(Undecided(ChangeOutcome::kMoving));
    done(std::move(result));
  };
  const auto named = shard.empty() ? nullptr : shards_->Find(shard);
  if (named == nullptr) return AskShards<ChangeResult>(all, std::move(ask), std::move(ask_all_done));
  // It may have moved since the terms were announced.
  ask(*named, [all, ask, ask_all_done = std::move(ask_all_done)](absl::StatusOr<ChangeResult> result) mutable {
    if (!absl::IsNotFound(result.status()) && !IsSkuMoving(result.status())) {
      return ask_all_done(std::move(result));
    }
    AskShards<ChangeResult>(all, std::move(ask), std::move(ask_all_done));
  });
}

absl::StatusOr<ChangeResult> ShardRouter::ConfirmLate(const Confirmation& payment) {
  absl::StatusOr<ChangeResult> result = AskInTurn(*shards_, [&](ShardBackend& shard) -> absl::StatusOr<ChangeResult> {
    absl::StatusOr<ChangeResult> here = shard.lifecycle->ConfirmLate(payment);
    if (here.ok() && here->outcome == ChangeOutcome::kNotFound) return absl::NotFoundError("not here");
    // The others are asked as well: perhaps it has arrived there.
    if (here.ok() && here->outcome == ChangeOutcome::kMoving) return SkuMovingError("leaving");
    return here;
  });
  if (absl::IsNotFound(result.status())) return Undecided(ChangeOutcome::kNotFound);
  return result;
}

absl::StatusOr<ReservationPage> ShardRouter::List(const ReservationFilter& filter, const ReservationCursor& after,
                                                  int limit) {
  const ShardList all = shards_->All();
  size_t nth = 0;
  while (nth < all.size() && !after.shard.empty() && all[nth]->name != after.shard) ++nth;
  if (nth == all.size()) return ReservationPage{};
  absl::StatusOr<ReservationPage> page = all[nth]->lifecycle->ListReservations(filter, after, limit);
  if (!page.ok()) return page;
  if (page->next.has_value()) {
    if (all.size() > 1) page->next->shard = all[nth]->name;
  } else if (nth + 1 < all.size()) {
    page->next.emplace().shard = all[nth + 1]->name;
  }
  return page;
}

absl::StatusOr<std::vector<Reservation>> ShardRouter::Read(absl::Span<const Uuid> reservation_ids) {
  using Found = std::vector<Reservation>;
  const ShardList all = shards_->All();
  if (all.size() == 1) return all.front()->lifecycle->ReadReservations(reservation_ids);
  auto gathered = std::make_shared<Gathered>();
  {
    absl::MutexLock lock(&gathered->mutex);
    gathered->waiting = all.size();
  }
  const ShardQuestion<Found> ask =
      Blocking<Found>([ids = std::vector<Uuid>(reservation_ids.begin(), reservation_ids.end())](ShardBackend& shard) {
        return shard.lifecycle->ReadReservations(ids);
      });
  for (const auto& shard : all) {
    // The shard stays until its call has ended.
    ask(*shard, [gathered, shard](absl::StatusOr<Found> found) {
      absl::MutexLock lock(&gathered->mutex);
      --gathered->waiting;
      if (!found.ok()) {
        gathered->complete = false;
      } else {
        gathered->found.insert(gathered->found.end(), found->begin(), found->end());
      }
    });
  }
  absl::MutexLock lock(&gathered->mutex);
  const auto answered = [&gathered]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(gathered->mutex) { return gathered->waiting == 0; };
  const bool complete =
      gathered->mutex.AwaitWithTimeout(absl::Condition(&answered), kReadPatience) && gathered->complete;
  std::vector<Reservation> found = Newest(gathered->found);
  if (!complete && found.size() < reservation_ids.size()) return absl::UnavailableError("a shard does not answer");
  return found;
}

}  // namespace tranche::storage
