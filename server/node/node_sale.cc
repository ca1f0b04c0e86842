#include "server/node/node_sale.h"

#include <memory>
#include <optional>
#include <utility>

namespace tranche::server {
namespace {

// How precisely the end of a wait for units is kept.
constexpr absl::Duration kWaitGranularity = absl::Milliseconds(10);

quota::WaitingOptions ToWaitingOptions(const ServerOptions& options) {
  quota::WaitingOptions waiting;
  waiting.exhausted_wait = absl::Milliseconds(options.exhausted_wait_ms);
  waiting.max_waiting = static_cast<size_t>(options.max_waiting);
  return waiting;
}

}  // namespace

NodeSale::NodeSale(const ServerOptions& options, quota::SliceTable* slices, storage::Books* books,
                   quota::SaleGate* gate, quota::ClaimDiversion* diversion)
    : slices_(slices),
      directory_(books, storage::Clock::Real()),
      pools_(slices, books, storage::Clock::Real()),
      room_(slices, storage::Clock::Real(), ToWaitingOptions(options), &pools_),
      seller_(slices, &directory_, books, storage::Clock::Real(), &room_, gate, diversion),
      carts_(slices, &directory_, books, storage::Clock::Real(), &room_, gate, diversion),
      overdue_task_(std::make_unique<PeriodicTask>(kWaitGranularity, [this] { room_.AnswerOverdue(); })) {}

void NodeSale::CheckEntry(const std::string& sku_id, quota::EntryChecked done) {
  quota::CheckEntry(*slices_, directory_, *storage::Clock::Real(), sku_id,
                    [this, sku_id, done = std::move(done)](std::optional<quota::Refused> refused) mutable {
                      if (!refused.has_value() || refused->refusal != storage::Refusal::kSalePaused) {
                        return done(std::move(refused));
                      }
                      TellOpening(sku_id, *std::move(refused), std::move(done));
                    });
}

void NodeSale::TellOpening(const std::string& sku_id, quota::Refused paused, quota::EntryChecked done) {
  const std::shared_ptr<quota::Slice> slice = slices_->Find(sku_id);
  const std::shared_ptr<const quota::SkuTerms> terms = slice == nullptr ? nullptr : slice->terms();
  if (terms != nullptr) {
    paused.opens_at = terms->opens_at;
    return done(std::move(paused));
  }
  // It was looked up a moment ago, to know that it is paused.
  directory_.Lookup(
      sku_id, [paused = std::move(paused), done = std::move(done)](const quota::SkuDirectory::Found& found) mutable {
        if (found.ok() && found->has_value()) paused.opens_at = (*found)->terms.opens_at;
        done(std::move(paused));
      });
}

void NodeSale::SetAccepting(bool accepting) {
  seller_.SetAccepting(accepting);
  carts_.SetAccepting(accepting);
  pools_.SetAccepting(accepting);
  room_.SetOpen(accepting);
}

}  // namespace tranche::server
