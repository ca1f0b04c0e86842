#include "quota/balancer/round/newcomer_step.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "quota/balancer/allocation.h"
#include "storage/base/status_macros.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;
using storage::SkuQuota;

// The page of SKUs that is searched for newcomers' shares.
constexpr int kWelcomePage = 256;
// The number of nodes per round that are checked for what they hold.
constexpr int kNodesAskedPerRound = 32;

}  // namespace

void NewcomerStep::Forget() {
  taking_over_after_ = storage::kPool;
  welcomed_.clear();
  pass_.reset();
}

absl::Status NewcomerStep::TakeOver() {
  if (!taking_over_after_.has_value()) return absl::OkStatus();
  int asked = 0;
  for (const IncarnationId incarnation : context_.nodes.sharers()) {
    if (incarnation <= *taking_over_after_) continue;
    if (++asked > kNodesAskedPerRound) {
      context_.inbox.Again();
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(const auto slices, context_.ledger.ListSlices(incarnation));
    if (!slices.empty()) welcomed_.insert(incarnation);
    taking_over_after_ = incarnation;
  }
  taking_over_after_.reset();
  return absl::OkStatus();
}

absl::Status NewcomerStep::Run() {
  if (taking_over_after_.has_value()) return absl::OkStatus();
  const std::vector<IncarnationId>& receivers = context_.nodes.sharers();
  const std::set<IncarnationId> now(receivers.begin(), receivers.end());
  if (!BeginOrGoOn(now)) return absl::OkStatus();

  ASSIGN_OR_RETURN(const auto page, context_.ledger.ListSkus(pass_->after_sku, kWelcomePage));
  std::vector<std::string> open;
  std::string last;
  for (const storage::Sku& sku : page) {
    if (open.size() >= context_.mover.SkusToRead()) break;
    last = sku.sku_id;
    if (!sku.closed && sku.presplit && !sku.quota_frozen && sku.unsold > 0) open.push_back(sku.sku_id);
  }
  const absl::Status shared = context_.mover.MoveUnitsOf(open, MoveReason::kNewcomer, [&](const SkuQuota& quota) {
    return ShareWithNewcomers(quota.quota, receivers, pass_->newcomers);
  });
  if (!shared.ok()) return shared;
  const bool looked_at_all = page.empty() || last == page.back().sku_id;
  if (page.size() < static_cast<size_t>(kWelcomePage) && looked_at_all) {
    End(now);
  } else {
    pass_->after_sku = last;
    context_.inbox.Again();
  }
  return absl::OkStatus();
}

// Is there anybody to welcome? A node that joins during a pass over the SKUs waits for the next pass: if each one
// restarted the pass, a long restart of all nodes would never reach the last SKUs.
bool NewcomerStep::BeginOrGoOn(const std::set<IncarnationId>& receivers) {
  // A node that only lost its registration still has its share when it registers again.
  std::erase_if(welcomed_, [&](IncarnationId id) {
    return !receivers.contains(id) && (context_.nodes.registered().contains(id) || !context_.nodes.live().contains(id));
  });
  std::set<IncarnationId> newcomers;
  std::set_difference(receivers.begin(), receivers.end(), welcomed_.begin(), welcomed_.end(),
                      std::inserter(newcomers, newcomers.end()));
  if (newcomers.empty()) {
    pass_.reset();
    return false;
  }
  if (!pass_.has_value()) pass_ = Pass{std::move(newcomers), ""};
  std::erase_if(pass_->newcomers, [&](IncarnationId id) { return !receivers.contains(id); });
  return true;
}

void NewcomerStep::End(const std::set<IncarnationId>& receivers) {
  welcomed_.insert(pass_->newcomers.begin(), pass_->newcomers.end());
  pass_.reset();
  if (!std::includes(welcomed_.begin(), welcomed_.end(), receivers.begin(), receivers.end())) context_.inbox.Again();
}

}  // namespace tranche::quota
