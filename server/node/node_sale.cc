#include "server/node/node_sale.h"

namespace tranche::server {
namespace {

// How precisely the end of a wait for units is kept.
constexpr absl::Duration kWaitGranularity = absl::Milliseconds(10);

quota::SellerOptions ToSellerOptions(const ServerOptions& options) {
  quota::SellerOptions seller;
  seller.exhausted_wait = absl::Milliseconds(options.exhausted_wait_ms);
  seller.max_waiting = options.max_waiting;
  return seller;
}

}  // namespace

NodeSale::NodeSale(const ServerOptions& options, quota::SliceTable* slices, storage::Books* books)
    : directory_(books, storage::Clock::Real()),
      seller_(slices, &directory_, books, storage::Clock::Real(), ToSellerOptions(options)),
      carts_(slices, &directory_, books, storage::Clock::Real()),
      overdue_task_(std::make_unique<PeriodicTask>(kWaitGranularity, [this] { seller_.AnswerOverdue(); })) {}

void NodeSale::SetAccepting(bool accepting) {
  seller_.SetAccepting(accepting);
  carts_.SetAccepting(accepting);
}

}  // namespace tranche::server
