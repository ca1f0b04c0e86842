#include "server/handlers/quota_messages.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "quota/coordination/coordination_paths.h"
#include "server/proto_time.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::server {
namespace {

v1::NodeReport ReportToMessage(const NodeReportOf& report, absl::Time now) {
  v1::NodeReport message;
  // If the node's clock is ahead of ours, the age is 0, not negative.
  *message.mutable_age() = ToDuration(std::max(now - report.reported_at, absl::ZeroDuration()));
  message.set_cannot_commit(report.cannot_commit);
  if (!report.demand.has_value()) return message;
  v1::NodeReport::Activity* activity = message.mutable_activity();
  activity->set_free(report.demand->free());
  activity->set_in_flight(report.demand->in_flight());
  activity->set_waiting(report.demand->waiting());
  activity->set_grants_per_s(report.demand->grants_per_s());
  activity->set_denials_per_s(report.demand->denials_per_s());
  activity->set_refused_per_s(report.demand->refused_per_s());
  activity->set_slice_version(report.demand->slice_version());
  return message;
}

}  // namespace

v1::Quota ToMessage(const storage::Sku& sku, const storage::QuotaSnapshot& quota) {
  v1::Quota message;
  message.set_sku_id(quota.sku_id);
  message.set_quota_version(quota.quota_version);
  message.set_quota_frozen(sku.quota_frozen);
  message.set_on_demand(!sku.presplit);
  for (const storage::HeldSlice& slice : quota.slices) {
    v1::Slice* added = message.add_slices();
    added->set_incarnation(slice.holder);
    added->set_allotted(slice.allotted);
    added->set_remaining(slice.remaining);
    added->set_version(slice.version);
  }
  return message;
}

void AddNames(storage::IncarnationLedger& ledger, v1::Quota* message) {
  const absl::StatusOr<std::vector<storage::Incarnation>> live = ledger.ListLiveIncarnations();
  if (!live.ok()) return;
  absl::flat_hash_map<storage::IncarnationId, std::string> names;
  for (const storage::Incarnation& incarnation : *live) names[incarnation.id] = incarnation.node_name;
  for (v1::Slice& slice : *message->mutable_slices()) {
    const auto name = names.find(slice.incarnation());
    if (name != names.end()) slice.set_node_name(name->second);
  }
}

void AddAnnouncedVersions(quota::Coordination& session, v1::Quota* message) {
  std::vector<v1::Slice*> slices;
  std::vector<std::string> paths;
  for (v1::Slice& slice : *message->mutable_slices()) {
    if (slice.incarnation() == storage::kPool) continue;
    slices.push_back(&slice);
    paths.push_back(quota::SlicePath(slice.incarnation(), message->sku_id()));
  }
  const auto znodes = session.GetMany(paths, quota::Watch::kNo);
  for (size_t i = 0; i < znodes.size(); ++i) {
    internal::v1::SliceAnnouncement announcement;
    if (znodes[i].ok() && announcement.ParseFromString(znodes[i]->data)) {
      slices[i]->set_announced_version(announcement.version());
    }
  }
}

void AddReports(const NodeReports& reports, absl::Time now, v1::Quota* message) {
  absl::flat_hash_set<storage::IncarnationId> holders;
  for (v1::Slice& slice : *message->mutable_slices()) {
    holders.insert(slice.incarnation());
    const auto report = reports.find(slice.incarnation());
    if (report != reports.end()) *slice.mutable_report() = ReportToMessage(report->second, now);
  }
  for (const auto& [incarnation, report] : reports) {
    if (holders.contains(incarnation) || !report.demand.has_value()) continue;
    v1::Slice* slice = message->add_slices();
    slice->set_incarnation(incarnation);
    *slice->mutable_report() = ReportToMessage(report, now);
  }
  std::sort(message->mutable_slices()->begin(), message->mutable_slices()->end(),
            [](const v1::Slice& a, const v1::Slice& b) { return a.incarnation() < b.incarnation(); });
}

}  // namespace tranche::server
