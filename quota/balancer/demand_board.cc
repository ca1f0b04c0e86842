#include "quota/balancer/demand_board.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "glog/logging.h"
#include "quota/balancer/operator_plans.h"
#include "quota/coordination/coordination_paths.h"
#include "storage/base/status_macros.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {

using internal::v1::DemandReport;
using storage::IncarnationId;
using storage::kPool;

absl::Status DemandBoard::Read(Coordination& session, bool everything, const std::set<IncarnationId>& changed) {
  ASSIGN_OR_RETURN(const auto names, session.List(kDemandPath, Watch::kYes));
  std::set<IncarnationId> present;
  std::vector<IncarnationId> to_read;
  for (const std::string& name : names) {
    const IncarnationId incarnation = ParseIncarnation(name);
    if (incarnation == kPool) continue;
    present.insert(incarnation);
    if (everything || changed.contains(incarnation) || !reports_.contains(incarnation)) to_read.push_back(incarnation);
  }
  std::vector<IncarnationId> gone;
  for (const auto& [incarnation, _] : reports_) {
    if (!present.contains(incarnation)) gone.push_back(incarnation);
  }
  for (const IncarnationId incarnation : gone) Forget(incarnation);
  std::vector<std::string> paths;
  for (const IncarnationId incarnation : to_read) paths.push_back(DemandPath(incarnation));
  const auto read = session.GetMany(paths, Watch::kYes);
  absl::Status status;
  for (size_t i = 0; i < to_read.size(); ++i) {
    if (absl::IsNotFound(read[i].status())) {
      Forget(to_read[i]);
    } else if (absl::IsPermissionDenied(read[i].status())) {
      LOG_EVERY_T(WARNING, 60) << paths[i] << " is kept from this process: the demand of that node is not known";
      Forget(to_read[i]);
    } else if (!read[i].ok()) {
      status = read[i].status();
    } else {
      Learn(to_read[i], read[i]->data);
    }
  }
  return status;
}

void DemandBoard::Forget(IncarnationId incarnation) {
  const auto report = reports_.find(incarnation);
  if (report == reports_.end()) return;
  for (const std::string& sku_id : report->second.skus) {
    const auto demand = by_sku_.find(sku_id);
    const auto node = demand->second.by_node.find(incarnation);
    if (node->second.wanted > 0) --demand->second.wanting;
    demand->second.by_node.erase(node);
    if (demand->second.by_node.empty()) by_sku_.erase(demand);
    // A node that no longer reports sales may now give units.
    if (Wanted(sku_id)) due_.insert(sku_id);
  }
  reports_.erase(report);
}

void DemandBoard::Learn(IncarnationId incarnation, const std::string& data) {
  // Most reports that are read again from time to time say nothing new; demand that could not be met becomes due by
  // itself.
  if (const auto known = reports_.find(incarnation); known != reports_.end() && known->second.data == data) return;
  DemandReport message;
  if (!message.ParseFromString(data)) return;
  Forget(incarnation);
  Report& report = reports_[incarnation];
  report.data = data;
  const auto& silent = message.shards_out_of_reach();
  report.cannot_commit = shard_ == storage::kHomeShard
                             ? message.cannot_commit()
                             : std::find(silent.begin(), silent.end(), shard_) != silent.end();
  for (const auto& sku : message.skus()) {
    const NodeDemand demand{.wanted = std::max<int64_t>(0, sku.wanted()),
                            .milli_rate = WeightOfRate(sku.grants_per_s() + sku.denials_per_s()),
                            .free = sku.free(),
                            .slice_version = sku.slice_version()};
    SkuDemand& of_sku = by_sku_[sku.sku_id()];
    if (!of_sku.by_node.try_emplace(incarnation, demand).second) continue;  // named twice
    report.skus.push_back(sku.sku_id());
    if (demand.wanted > 0) ++of_sku.wanting;
    if (demand.wanted > 0) looked_at_.try_emplace(sku.sku_id(), absl::InfinitePast());
    if (Wanted(sku.sku_id()) || IsLow(sku.free(), demand.milli_rate)) due_.insert(sku.sku_id());
  }
}

std::vector<std::string> DemandBoard::TakeDue(absl::Time now, size_t limit) {
  for (auto it = looked_at_.begin(); it != looked_at_.end();) {
    const auto entry = it++;
    if (!Wanted(entry->first)) {
      looked_at_.erase(entry);
    } else if (now - entry->second >= retry_interval_) {
      due_.insert(entry->first);
    }
  }
  // SKUs that some node wants come first; the others are about balance. Among them, the longest waiting come first, so
  // that demand that cannot be met does not delay the others.
  std::vector<std::tuple<bool, absl::Time, std::string>> waiting;
  waiting.reserve(due_.size());
  for (const std::string& sku_id : due_) {
    const auto looked_at = looked_at_.find(sku_id);
    waiting.emplace_back(!Wanted(sku_id), looked_at == looked_at_.end() ? absl::InfinitePast() : looked_at->second,
                         sku_id);
  }
  const auto end = waiting.begin() + static_cast<ptrdiff_t>(std::min(limit, waiting.size()));
  std::partial_sort(waiting.begin(), end, waiting.end());
  std::vector<std::string> taken;
  for (auto it = waiting.begin(); it != end; ++it) {
    auto& [unwanted, looked_at, sku_id] = *it;
    if (!unwanted) looked_at_[sku_id] = now;
    due_.erase(sku_id);
    taken.push_back(std::move(sku_id));
  }
  return taken;
}

DemandByNode DemandBoard::DemandOf(const std::string& sku_id) const {
  const auto found = by_sku_.find(sku_id);
  return found == by_sku_.end() ? DemandByNode() : found->second.by_node;
}

bool DemandBoard::Wanted(const std::string& sku_id) const {
  const auto found = by_sku_.find(sku_id);
  return found != by_sku_.end() && found->second.wanting > 0;
}

std::set<IncarnationId> DemandBoard::CannotCommit() const {
  std::set<IncarnationId> unable;
  for (const auto& [incarnation, report] : reports_) {
    if (report.cannot_commit) unable.insert(incarnation);
  }
  return unable;
}

void DemandBoard::Clear() {
  reports_.clear();
  by_sku_.clear();
  due_.clear();
  looked_at_.clear();
}

}  // namespace tranche::quota
