#include "server/node/node_sale.h"

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
                   quota::SaleGate* gate)
    : slices_(slices),
      directory_(books, storage::Clock::Real()),
      pools_(slices, books, storage::Clock::Real()),
      room_(slices, storage::Clock::Real(), ToWaitingOptions(options), &pools_),
      seller_(slices, &directory_, books, storage::Clock::Real(), &room_, gate),
      carts_(slices, &directory_, books, storage::Clock::Real(), &room_, gate),
      overdue_task_(std::make_unique<PeriodicTask>(kWaitGranularity, [this] { room_.AnswerOverdue(); })) {}

void NodeSale::SetAccepting(bool accepting) {
  seller_.SetAccepting(accepting);
  carts_.SetAccepting(accepting);
  pools_.SetAccepting(accepting);
  room_.SetOpen(accepting);
}

}  // namespace tranche::server
