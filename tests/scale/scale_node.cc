#include "tests/scale/scale_node.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace tranche::testing {
namespace {

using storage::CommitOutcome;

storage::Uuid IdOf(int node, int64_t sale) {
  storage::Uuid id;
  std::memcpy(id.bytes.data(), &node, sizeof(node));
  std::memcpy(id.bytes.data() + 8, &sale, sizeof(sale));
  return id;
}

quota::NodeAgentOptions OptionsOf(int number) {
  quota::NodeAgentOptions options;
  options.node_name = absl::StrCat("node-", number);
  options.address = absl::StrCat("node-", number, ":7400");
  return options;
}

}  // namespace

ScaleNode::ScaleNode(quota::CoordinationConnector* connector, storage::StockLedger* stock,
                     storage::ReservationLedger* sales, storage::Clock* clock, int number)
    : sales_(sales),
      number_(number),
      agent_(
          connector, stock, &slices_, &host_, clock, [this](const std::string& sku_id) { return WaitingFor(sku_id); },
          OptionsOf(number)) {}

void ScaleNode::Ask(const storage::Sku& sku, int32_t units) {
  const auto slice = slices_.FindOrAdd(sku.sku_id);
  if (slice->counter().version() == 0) slice->SetTerms(quota::TermsOf(sku));
  waiting_.push_back({sku.sku_id, units});
  ++waiting_by_sku_[sku.sku_id];
  if (slice->counter().free() >= units) return ServeWaiting();
  slice->CountDenied(units);
  if (slice->MarkWanted(units)) slices_.NoteExhausted();
}

void ScaleNode::ServeWaiting() {
  std::erase_if(waiting_, [this](const Asked& asked) {
    if (!TrySell(asked.sku_id, asked.units)) return false;
    --waiting_by_sku_[asked.sku_id];
    return true;
  });
}

int64_t ScaleNode::WaitingFor(const std::string& sku_id) const {
  const auto found = waiting_by_sku_.find(sku_id);
  return found == waiting_by_sku_.end() ? 0 : found->second;
}

bool ScaleNode::TrySell(const std::string& sku_id, int32_t units) {
  const auto slice = slices_.Find(sku_id);
  if (slice == nullptr || !slice->counter().TryTake(units)) return false;
  const int64_t sale = ++sales_made_;
  const storage::ReservationClaim claim{.reservation_id = IdOf(number_, sale),
                                        .sku_id = sku_id,
                                        .user_id = absl::StrCat(number_, "-", sale),
                                        .quantity = units};
  const auto result = sales_->CommitReservations(agent_.incarnation(), storage::LockMode::kWait, {&claim, 1});
  if (result.ok() && result->front().outcome == CommitOutcome::kCreated) {
    slice->CountGranted(units);
    return true;
  }
  slice->counter().GiveBack(units);
  return false;
}

int64_t ScaleNode::SellAll(const std::string& sku_id) {
  const auto slice = slices_.Find(sku_id);
  if (slice == nullptr) return 0;
  const int64_t free = slice->counter().free();
  constexpr int64_t kMostPerBuyer = 1000;
  for (int64_t left = free; left > 0; left -= kMostPerBuyer) {
    if (!TrySell(sku_id, static_cast<int32_t>(std::min(left, kMostPerBuyer)))) return free - left;
  }
  return std::max<int64_t>(0, free);
}

void ScaleNode::CountTraffic(const std::string& sku_id, int64_t units) {
  if (const auto slice = slices_.Find(sku_id); slice != nullptr) slice->CountGranted(units);
}

}  // namespace tranche::testing
