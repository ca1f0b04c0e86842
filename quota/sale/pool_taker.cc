#include "quota/sale/pool_taker.h"

#include <algorithm>
#include <string>
#include <utility>

#include "storage/ledger/ledger_error.h"
#include "storage/mutation.h"

namespace tranche::quota {

using Reason = PoolPacing::Reason;

namespace {

// The counter is below zero while units in flight are withdrawn: those are not lacking for good.
int64_t Lacking(const Slice& slice, int64_t wanted) { return wanted - std::max<int64_t>(0, slice.counter().free()); }

}  // namespace

bool PoolTaker::Ask(const std::shared_ptr<Slice>& slice, int64_t wanted) {
  return Begin(slice, Reason::kWanted, Lacking(*slice, wanted));
}

void PoolTaker::Doubt(const std::shared_ptr<Slice>& slice, int64_t wanted) {
  Begin(slice, Reason::kDoubt, Lacking(*slice, wanted));
}

void PoolTaker::Overtaken(const std::shared_ptr<Slice>& slice, int64_t ledger_version, int64_t wanted) {
  if (ledger_version > slice->counter().version()) Begin(slice, Reason::kWanted, wanted);
}

bool PoolTaker::Begin(const std::shared_ptr<Slice>& slice, Reason reason, int64_t lacking) {
  if (lacking <= 0 || !accepting_.load(std::memory_order_relaxed)) return false;
  if (storage::Mutated(storage::Mutation::kPoolNeverAsked)) return false;
  PoolPacing& pacing = slice->pool_pacing();
  const absl::Time now = clock_->Now();
  if (!pacing.TryBegin(reason, lacking, now)) return pacing.asking();
  const std::shared_ptr<const SkuTerms> terms = slice->terms();
  if (terms == nullptr || !terms->announced) {
    const bool first = pacing.EndInVain(reason, lacking, now) == 0;
    slices_->NoteTermsWanted(slice->sku_id());
    // It may not be announced at all: then the balancer does that.
    if (!first) slices_->NoteExhausted();
    return first;
  }
  Send({slice, reason, lacking, now}, terms->shard);
  return true;
}

void PoolTaker::Send(Question question, const std::string& shard) {
  storage::PoolRequest request{question.slice->sku_id(), question.slice->incarnation(), question.units};
  books_->TakeFromPool(shard, std::move(request),
                       [this, question = std::move(question)](absl::StatusOr<storage::PoolTake> answer) {
                         Answered(question, std::move(answer));
                       });
}

void PoolTaker::Answered(const Question& question, absl::StatusOr<storage::PoolTake> answer) {
  if (!answer.ok()) return Failed(question, answer.status());
  (answer->taken > 0 ? counts_.taken : counts_.none).Add();
  counts_.units.Add(answer->taken);
  Slice& slice = *question.slice;
  if (answer->ended) {
    slice.pool_pacing().EndInVain(question.reason, question.units, clock_->Now());
    return slices_->NoteIncarnationEnded(slice.incarnation());
  }
  const std::shared_ptr<const SkuTerms> known = slice.terms();
  SkuTerms fresh = TermsOf(answer->sku);
  fresh.read_at = question.asked_at;
  Tell(*known, fresh, *answer);
  // Also units of an earlier question whose answer was lost, or of a move that is not announced yet.
  const bool came = answer->slice.version > 0 && slice.counter().Apply(answer->slice.allotted, answer->slice.version);
  slice.ClearWantedIfMet();
  if (came) {
    slice.pool_pacing().End();
  } else {
    slice.pool_pacing().EndInVain(question.reason, question.units, clock_->Now());
  }
  slice.OfferTerms(std::move(fresh));
  // Who waits has units now, or there are none for them, or others must give some.
  slices_->NoteChanged(slice.sku_id());
  if (slice.wanted() > 0) slices_->NoteExhausted();
}

void PoolTaker::Failed(const Question& question, const absl::Status& error) {
  counts_.failed.Add();
  const absl::Duration pause = storage::FoundLocked(error) ? kLockedPause : absl::ZeroDuration();
  question.slice->pool_pacing().EndInVain(question.reason, question.units, clock_->Now(), pause);
  // Units may have been taken without an answer: then the balancer sees that we lack what we hold, and announces it.
  slices_->NoteExhausted();
}

// Others hear of the SKU only if they would otherwise believe something else: a sale of many units does not wake all
// nodes whenever one of them takes some.
void PoolTaker::Tell(const SkuTerms& known, const SkuTerms& fresh, const storage::PoolTake& take) {
  PoolNews news{
      .take = take, .about_sku = known.at_most != fresh.at_most, .more_than_known = known.at_most < fresh.at_most};
  if (take.taken > 0 || news.about_sku) slices_->NotePoolNews(std::move(news));
}

}  // namespace tranche::quota
