#include "server/node/buyer_calls.h"

#include <string>
#include <utility>
#include <vector>

#include "server/services/catalog_service.h"

namespace tranche::server {
namespace {

CallDeadlines ToDeadlines(const ServerOptions& options) {
  CallDeadlines deadlines;
  deadlines.default_deadline = absl::Milliseconds(options.default_deadline_ms);
  deadlines.max_deadline = absl::Milliseconds(options.max_deadline_ms);
  return deadlines;
}

CallFrame FrameOf(const ServerOptions& options, OpenCalls* open_calls) {
  return {.clock = storage::Clock::Real(), .deadlines = ToDeadlines(options), .open_calls = open_calls};
}

WatchHubOptions ToWatchOptions(const ServerOptions& options) {
  WatchHubOptions watch;
  watch.max_watches = static_cast<size_t>(options.max_watches);
  return watch;
}

}  // namespace

BuyerCalls::BuyerCalls(const ServerOptions& options, const quota::SliceTable* slices, NodeLedger* ledger,
                       NodeSale* sale)
    : reservations_(
          [sale](storage::ReservationClaim claim, absl::Time deadline, bool may_exist, quota::SaleDone done) {
            sale->seller().Sell(std::move(claim), deadline, may_exist, std::move(done));
          },
          ledger->books(), storage::Clock::Real()),
      carts_(
          [sale](std::vector<storage::ReservationClaim> lines, absl::Time deadline, bool may_exist,
                 quota::CartDone done) { sale->carts().Sell(std::move(lines), deadline, may_exist, std::move(done)); },
          storage::Clock::Real()),
      changes_(ledger->books(), slices, storage::Clock::Real()),
      lists_(ledger->books(), storage::Clock::Real()),
      watch_hub_([ledger](absl::Span<const storage::Uuid> ids) { return ledger->router().ReadEverywhere(ids); },
                 storage::Clock::Real(), ToWatchOptions(options)),
      catalog_([ledger](const std::string& sku_id, auto done) { ledger->books()->FindSku(sku_id, std::move(done)); },
               [ledger](const std::string& after, auto done) {
                 ledger->ListSkus(after, CatalogHandler::kLargestPage + 1, std::move(done));
               },
               storage::Clock::Real()),
      open_calls_(storage::Clock::Real(), absl::Milliseconds(options.max_deadline_ms)),
      service_({&reservations_, &carts_, &changes_, &lists_, &watch_hub_}, FrameOf(options, &open_calls_),
               ReservationStreamOptions{options.max_stream_outstanding}),
      catalog_service_(MakeCatalogService(&catalog_, FrameOf(options, &open_calls_))) {}

void BuyerCalls::StartServing() {
  reservations_.StartServing();
  carts_.StartServing();
}

void BuyerCalls::SetAccepting(bool accepting) {
  changes_.SetAccepting(accepting);
  watch_hub_.SetAccepting(accepting);
}

}  // namespace tranche::server
