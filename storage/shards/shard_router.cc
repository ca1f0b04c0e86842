#include "storage/shards/shard_router.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"
#include "storage/shards/ask_in_turn.h"
#include "storage/shards/ask_shards.h"

namespace tranche::storage {
namespace {

constexpr absl::Duration kReadPatience = absl::Seconds(1);
// For a late payment: other changes of its SKU may be in the way for a moment.
constexpr int kMaxLateTries = 5;

absl::Status UnknownShard() {
  // It was announced before home told us about it.
  return absl::UnavailableError("the shard is not known here yet");
}

absl::Status TooLate() { return absl::DeadlineExceededError("the deadline passed before it was sent"); }

// Each reservation once. Of two copies, the one with the newer revision: a shard that a SKU has left may not know that
// yet, and its copy does not change any more.
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

// Some reservations, collected from all shards.
struct Gathered {
  absl::Mutex mutex;
  size_t waiting ABSL_GUARDED_BY(mutex) = 0;
  size_t answered ABSL_GUARDED_BY(mutex) = 0;
  std::vector<Reservation> found ABSL_GUARDED_BY(mutex);
};

// When there are several shards: a shard that does not have the reservation answers "no", and one whose SKU is moving,
// or has just moved away, answers "ask another".
absl::StatusOr<ChangeResult> AmongSeveral(absl::StatusOr<ChangeResult> result) {
  if (result.ok() && result->refusal == Refusal::kReservationNotFound) return absl::NotFoundError("not here");
  if (result.ok() && result->refusal == Refusal::kSkuMoving) return SkuMovingError("leaving");
  return result;
}

// The opposite, for the final answer.
absl::StatusOr<ChangeResult> OfAll(absl::StatusOr<ChangeResult> result) {
  if (absl::IsNotFound(result.status())) return RefusedChange(Refusal::kReservationNotFound);
  if (IsSkuMoving(result.status())) return RefusedChange(Refusal::kSkuMoving);
  return result;
}

// The same for entries into draws: a draw is on the shard that has the SKU.
absl::StatusOr<DrawEntryResult> AmongSeveral(absl::StatusOr<DrawEntryResult> result) {
  if (result.ok() && result->refusal == Refusal::kSkuNotFound) return absl::NotFoundError("not here");
  if (result.ok() && result->refusal == Refusal::kSkuMoving) return SkuMovingError("leaving");
  return result;
}

absl::StatusOr<DrawEntryResult> OfAll(absl::StatusOr<DrawEntryResult> result) {
  if (absl::IsNotFound(result.status())) return DrawEntryResult{.refusal = Refusal::kSkuNotFound};
  if (IsSkuMoving(result.status())) return DrawEntryResult{.refusal = Refusal::kSkuMoving};
  return result;
}

// Of several shards asks the one that is named first, if it is known, and all of them if it is not there: it may have
// moved since the terms were announced.
template <typename T>
void AskNamedFirst(const std::string& name, const ShardSet& shards, ShardQuestion<T> ask, ShardAnswer<T> finish) {
  const auto named = name.empty() ? nullptr : shards.Find(name);
  if (named == nullptr) return AskShards<T>(shards.All(), std::move(ask), std::move(finish));
  ask(*named, [all = shards.All(), ask, finish = std::move(finish)](absl::StatusOr<T> result) mutable {
    if (!absl::IsNotFound(result.status()) && !IsSkuMoving(result.status())) return finish(std::move(result));
    AskShards<T>(all, std::move(ask), std::move(finish));
  });
}

absl::StatusOr<Reservation> FindAt(ShardBackend& shard, const Uuid& reservation_id, Assurance assurance) {
  if (assurance == Assurance::kCommitted) return shard.reservations->FindReservation(reservation_id);
  ASSIGN_OR_RETURN(auto found, shard.reservations->FindReplicated(absl::MakeConstSpan(&reservation_id, 1)));
  if (found.empty()) return absl::NotFoundError("no such reservation");
  return std::move(found.front());
}

}  // namespace

void ShardRouter::Commit(const std::string& shard, IncarnationId incarnation, ReservationClaim claim,
                         absl::Time deadline, CommitDone done) {
  if (shard == kHomeShard) {
    return shards_->home().claims->Submit(incarnation, std::move(claim), deadline, std::move(done));
  }
  const auto backend = shards_->Find(shard);
  if (backend == nullptr) return done(UnknownShard());
  backend->claims->Submit(incarnation, std::move(claim), deadline, std::move(done));
}

void ShardRouter::CommitCart(const std::string& shard, IncarnationId incarnation, std::vector<ReservationClaim> lines,
                             absl::Time deadline, CartDone done) {
  const auto backend = shards_->Find(shard);
  if (backend == nullptr) return done(UnknownShard());
  backend->carts->Submit(incarnation, std::move(lines), deadline, std::move(done));
}

// A shard that is silent is not asked: who refuses has the claim still, and comes again.
void ShardRouter::RefuseClaims(const std::string& shard, std::vector<ClaimRefusal> batch, absl::Time deadline,
                               RefuseDone done) {
  const auto backend = shards_->Find(shard);
  if (backend == nullptr) return done(UnknownShard());
  if (!backend->Answers()) return done(SilentShard(*backend));
  RunOn(
      *backend->executor,
      [this, backend, batch = std::move(batch), deadline]() -> absl::StatusOr<std::vector<RefuseResult>> {
        if (clock_->Now() >= deadline) return TooLate();
        return backend->lifecycle->RefuseClaims(batch);
      },
      std::move(done));
}

void ShardRouter::Apply(const std::string& shard, Change change, absl::Time deadline, ChangeDone done) {
  const ShardList all = shards_->All();
  if (all.size() == 1) return all.front()->changes->Submit(std::move(change), deadline, std::move(done));
  ShardQuestion<ChangeResult> ask = [change = std::move(change), deadline](ShardBackend& one,
                                                                           ShardAnswer<ChangeResult> answer) {
    one.changes->Submit(change, deadline, [answer = std::move(answer)](absl::StatusOr<ChangeResult> result) mutable {
      answer(AmongSeveral(std::move(result)));
    });
  };
  ShardAnswer<ChangeResult> finish = [done = std::move(done)](absl::StatusOr<ChangeResult> result) mutable {
    done(OfAll(std::move(result)));
  };
  AskNamedFirst<ChangeResult>(shard, *shards_, std::move(ask), std::move(finish));
}

void ShardRouter::EnterDraw(const std::string& shard, DrawEntryClaim claim, absl::Time deadline, EntryDone done) {
  const ShardList all = shards_->All();
  if (all.size() == 1) return all.front()->entries->Submit(std::move(claim), deadline, std::move(done));
  ShardQuestion<DrawEntryResult> ask = [claim = std::move(claim), deadline](ShardBackend& one,
                                                                            ShardAnswer<DrawEntryResult> answer) {
    one.entries->Submit(claim, deadline, [answer = std::move(answer)](absl::StatusOr<DrawEntryResult> result) mutable {
      answer(AmongSeveral(std::move(result)));
    });
  };
  ShardAnswer<DrawEntryResult> finish = [done = std::move(done)](absl::StatusOr<DrawEntryResult> result) mutable {
    done(OfAll(std::move(result)));
  };
  AskNamedFirst<DrawEntryResult>(shard, *shards_, std::move(ask), std::move(finish));
}

void ShardRouter::ConfirmLate(Payment payment, const std::string& sku_id, absl::Time deadline, ChangeDone done) {
  RunOn(
      *late_payments_,
      [this, payment = std::move(payment), sku_id, deadline]() -> absl::StatusOr<ChangeResult> {
        if (!locked_skus_.MayTry(sku_id)) return BusyError("another transaction has locked the SKU");
        absl::StatusOr<ChangeResult> result = TryLate(payment, deadline);
        locked_skus_.Tried(sku_id, FoundLocked(result.status()));
        return result;
      },
      std::move(done));
}

absl::StatusOr<ChangeResult> ShardRouter::TryLate(const Payment& payment, absl::Time deadline) {
  for (int tries = 1;; ++tries) {
    if (clock_->Now() >= deadline) return TooLate();
    absl::StatusOr<ChangeResult> result = AskLate(payment);
    if (result.ok() || !IsRetryTransaction(result.status()) || tries == kMaxLateTries) return result;
  }
}

absl::StatusOr<ChangeResult> ShardRouter::AskLate(const Payment& payment) {
  absl::StatusOr<ChangeResult> result =
      AskInTurn(*shards_, [&](ShardBackend& shard) { return AmongSeveral(shard.lifecycle->ConfirmLate(payment)); });
  if (absl::IsNotFound(result.status())) return RefusedChange(Refusal::kReservationNotFound);
  return result;
}

absl::StatusOr<ChangeResult> ShardRouter::Preview(const Change& change) {
  return OfAll(
      AskInTurn(*shards_, [&](ShardBackend& shard) { return AmongSeveral(shard.lifecycle->PreviewChange(change)); }));
}

// The deadline is looked at when a thread takes the call: a caller who has gone takes none from the others.
void ShardRouter::Find(const Uuid& reservation_id, Assurance assurance, absl::Time deadline, FindDone done) {
  const ShardList all = shards_->All();
  const bool alone = all.size() == 1;
  const auto find = [this, reservation_id, assurance, deadline,
                     alone](ShardBackend& shard) -> absl::StatusOr<Reservation> {
    if (clock_->Now() >= deadline) return TooLate();
    absl::StatusOr<Reservation> found = FindAt(shard, reservation_id, assurance);
    return found.ok() && !alone ? AsItIs(shard, *std::move(found), assurance) : found;
  };
  AskShards<Reservation>(all, Blocking<Reservation>(find), std::move(done));
}

// A shard that a SKU is leaving does not know whether it has arrived at the other one: the mover may have died in
// between. Then the other shard's answer counts.
absl::StatusOr<Reservation> ShardRouter::AsItIs(ShardBackend& shard, Reservation found, Assurance assurance) {
  ASSIGN_OR_RETURN(const auto where, shard.whereabouts->Where(found.sku_id));
  if (where.place != SkuWhereabouts::Place::kLeaving) return found;
  const auto target = shards_->Find(where.other_shard);
  if (target == nullptr) return UnknownShard();
  auto there = FindAt(*target, found.reservation_id, assurance);
  if (absl::IsNotFound(there.status())) return found;
  return there;
}

void ShardRouter::FindSku(const std::string& sku_id, SkuDone done) {
  AskShards<Sku>(shards_->All(), Blocking<Sku>([sku_id](ShardBackend& shard) { return shard.stock->GetSku(sku_id); }),
                 std::move(done));
}

void ShardRouter::ViewSku(const std::string& sku_id, SkuDone done) {
  AskShards<Sku>(shards_->All(), Blocking<Sku>([sku_id](ShardBackend& shard) { return shard.stock->GetSku(sku_id); }),
                 std::move(done), AwaitShards::kAll);
}

// A shard that is silent keeps nobody waiting: its threads are needed for those who ask whether it is back.
void ShardRouter::TakeFromPool(const std::string& shard, PoolRequest request, TakeDone done) {
  const auto backend = shards_->Find(shard);
  if (backend == nullptr) return done(UnknownShard());
  if (!backend->Answers()) return done(SilentShard(*backend));
  RunOn(
      backend->for_pool(), [backend, request = std::move(request)] { return backend->stock->TakeFromPool(request); },
      std::move(done));
}

void ShardRouter::FindReplicated(const std::string& shard, std::vector<Uuid> reservation_ids, absl::Time deadline,
                                 ReadDone done) {
  const auto backend = shards_->Find(shard);
  if (backend == nullptr) return done(UnknownShard());
  RunOn(
      *backend->executor,
      [this, backend, ids = std::move(reservation_ids), deadline]() -> absl::StatusOr<std::vector<Reservation>> {
        if (clock_->Now() >= deadline) return TooLate();
        return backend->reservations->FindReplicated(ids);
      },
      std::move(done));
}

void ShardRouter::ReadAll(std::vector<Uuid> reservation_ids, absl::Time deadline, ReadDone done) {
  RunOn(
      *lists_,
      [this, ids = std::move(reservation_ids), deadline]() -> absl::StatusOr<std::vector<Reservation>> {
        if (clock_->Now() >= deadline) return TooLate();
        PartialRead read = ReadWhereAnswered(ids);
        if (!read.rest.ok() && read.found.size() < ids.size()) return read.rest;
        return std::move(read.found);
      },
      std::move(done));
}

void ShardRouter::ReadKnown(std::vector<Uuid> reservation_ids, absl::Time deadline, KnownDone done) {
  RunOn(
      *lists_,
      [this, ids = std::move(reservation_ids), deadline]() -> absl::StatusOr<PartialRead> {
        if (clock_->Now() >= deadline) return TooLate();
        return ReadWhereAnswered(ids);
      },
      std::move(done));
}

void ShardRouter::List(ReservationFilter filter, ReservationCursor after, int limit, absl::Time deadline,
                       PageDone done) {
  RunOn(
      *lists_,
      [this, filter = std::move(filter), after = std::move(after), limit,
       deadline]() -> absl::StatusOr<ReservationPage> {
        if (clock_->Now() >= deadline) return TooLate();
        return ReadPage(filter, after, limit);
      },
      std::move(done));
}

absl::StatusOr<ReservationPage> ShardRouter::ReadPage(const ReservationFilter& filter, const ReservationCursor& after,
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

PartialRead ShardRouter::ReadWhereAnswered(absl::Span<const Uuid> reservation_ids) {
  using Found = std::vector<Reservation>;
  const ShardList all = shards_->All();
  if (all.size() == 1) {
    absl::StatusOr<Found> found = all.front()->lifecycle->ReadReservations(reservation_ids);
    if (!found.ok()) return {{}, found.status(), /*none_answered=*/true};
    return {*std::move(found), absl::OkStatus()};
  }
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
      if (!found.ok()) return;
      ++gathered->answered;
      gathered->found.insert(gathered->found.end(), found->begin(), found->end());
    });
  }
  absl::MutexLock lock(&gathered->mutex);
  const auto settled = [&gathered]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(gathered->mutex) { return gathered->waiting == 0; };
  gathered->mutex.AwaitWithTimeout(absl::Condition(&settled), kReadPatience);
  const bool complete = gathered->answered == all.size();
  return {Newest(gathered->found), complete ? absl::OkStatus() : absl::UnavailableError("a shard does not answer"),
          /*none_answered=*/gathered->answered == 0};
}

}  // namespace tranche::storage
