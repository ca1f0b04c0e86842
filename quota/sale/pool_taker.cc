#include "quota/sale/pool_taker.h"

#include <algorithm>
#include <utility>

#include "storage/mutation.h"

namespace tranche::quota {

using Reason = PoolPacing::Reason;

void PoolTaker::Ask(const std::shared_ptr<Slice>& slice, int64_t wanted) {
  if (!accepting_.load(std::memory_order_relaxed) || storage::Mutated(storage::Mutation::kPoolNeverAsked)) return;
  // The counter is below zero while units in flight are withdrawn: those are not lacking for good.
  const int64_t lacking = wanted - std::max<int64_t>(0, slice->counter().free());
  if (lacking <= 0) return;
  const absl::Time now = clock_->Now();
  if (slice->pool_pacing().TryBegin(Reason::kWanted, lacking, now)) AskNow({slice, Reason::kWanted, lacking, now});
}

void PoolTaker::Doubt(const std::shared_ptr<Slice>& slice) {
  if (!accepting_.load(std::memory_order_relaxed) || storage::Mutated(storage::Mutation::kPoolNeverAsked)) return;
  const absl::Time now = clock_->Now();
  if (slice->pool_pacing().TryBegin(Reason::kDoubt, 1, now)) AskNow({slice, Reason::kDoubt, 1, now});
}

void PoolTaker::AskNow(Question question) {
  const Slice& slice = *question.slice;
  const std::shared_ptr<const SkuTerms> terms = slice.terms();
  storage::PoolRequest request{slice.sku_id(), slice.incarnation(), question.units};
  books_->TakeFromPool(terms == nullptr ? storage::kHomeShard : terms->shard, std::move(request),
                       [this, question = std::move(question)](absl::StatusOr<storage::PoolTake> answer) {
                         Answered(question, std::move(answer));
                       });
}

void PoolTaker::Answered(const Question& question, absl::StatusOr<storage::PoolTake> answer) {
  Slice& slice = *question.slice;
  if (!answer.ok() || !answer->live) {
    slice.pool_pacing().EndInVain(question.reason, question.units, clock_->Now());
    if (answer.ok()) slices_->NoteIncarnationEnded(slice.incarnation());
    // Units may have been taken without an answer: then the balancer sees that we lack what we hold, and announces it.
    return slices_->NoteExhausted();
  }
  SkuTerms fresh = TermsOf(answer->sku);
  fresh.read_at = question.asked_at;
  Tell(slice, fresh, *answer);
  if (answer->taken > 0) {
    slice.counter().Apply(answer->slice.allotted, answer->slice.version);
    slice.ClearWantedIfMet();
    slice.pool_pacing().End();
  } else {
    slice.pool_pacing().EndInVain(question.reason, question.units, clock_->Now());
  }
  slice.OfferTerms(std::move(fresh));
  // Who waits has units now, or there are none for them, or others must give some.
  slices_->NoteChanged(slice.sku_id());
  if (slice.wanted() > 0) slices_->NoteExhausted();
}

// Others hear of the SKU only if they would otherwise believe something else: a sale of many units does not wake all
// nodes whenever one of them takes some.
void PoolTaker::Tell(Slice& slice, const SkuTerms& fresh, const storage::PoolTake& take) {
  const std::shared_ptr<const SkuTerms> known = slice.terms();
  const int64_t believed = known == nullptr ? SkuTerms::kPlenty : known->at_most;
  PoolNews news{.take = take, .about_sku = believed != fresh.at_most, .more_than_known = believed < fresh.at_most};
  if (take.taken > 0 || news.about_sku) slices_->NotePoolNews(std::move(news));
}

}  // namespace tranche::quota
