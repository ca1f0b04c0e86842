#include "server/handlers/quota_handler.h"

#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "quota/allocation.h"
#include "quota/coordination_paths.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/node_handler.h"
#include "server/handlers/quota_preview.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::server {
namespace {

// Other moves of the SKU come between only now and then.
constexpr int kTries = 5;

absl::Status CheckExpectedVersion(const storage::QuotaSnapshot& quota, int64_t expected) {
  if (expected == 0 || expected == quota.quota_version) return absl::OkStatus();
  return MakeError(v1::ERROR_REASON_QUOTA_VERSION_CHANGED,
                   absl::StrCat("The quota of SKU ", quota.sku_id, " is now at version ", quota.quota_version,
                                "; look again before changing it."),
                   {{"sku_id", quota.sku_id}, {"quota_version", absl::StrCat(quota.quota_version)}});
}

absl::Status CheckExpectedField(int64_t expected) {
  if (expected >= 0) return absl::OkStatus();
  return FieldError(v1::ERROR_REASON_FIELD_INVALID, "expected_quota_version", "must not be negative");
}

absl::StatusOr<std::vector<storage::QuotaDelta>> PlanSet(const storage::QuotaSnapshot& quota,
                                                         const std::vector<storage::IncarnationId>& receivers,
                                                         storage::IncarnationId holder, int64_t wanted) {
  std::optional<std::vector<storage::QuotaDelta>> deltas = quota::SetRemaining(quota, receivers, holder, wanted);
  if (deltas.has_value()) return *std::move(deltas);
  int64_t available = SliceOf(quota, storage::kPool).remaining + SliceOf(quota, holder).remaining;
  for (const storage::IncarnationId other : receivers) {
    if (other != holder) available += SliceOf(quota, other).remaining;
  }
  return MakeError(
      v1::ERROR_REASON_INSUFFICIENT_UNITS,
      absl::StrCat("Only ", available, " units are unsold, ", wanted, " were asked for."),
      {{"sku_id", quota.sku_id}, {"available", absl::StrCat(available)}, {"needed", absl::StrCat(wanted)}});
}

std::vector<storage::IncarnationId> Receivers(const std::vector<quota::LiveNode>& nodes) {
  std::vector<storage::IncarnationId> receivers;
  for (const quota::LiveNode& node : nodes) {
    if (!node.draining) receivers.push_back(node.incarnation);
  }
  return receivers;
}

}  // namespace

absl::StatusOr<v1::GetQuotaResponse> QuotaHandler::Get(const v1::GetQuotaRequest& request) {
  if (absl::Status id = CheckSkuId(request.sku_id()); !id.ok()) return id;
  const absl::StatusOr<storage::QuotaSnapshot> quota = ledger_->ReadQuota(request.sku_id());
  if (!quota.ok()) return LedgerError(quota.status(), request.sku_id(), Repeatable::kYes);
  v1::GetQuotaResponse response;
  *response.mutable_quota() = ToMessage(*quota);
  return response;
}

absl::StatusOr<v1::SetQuotaResponse> QuotaHandler::Set(const v1::SetQuotaRequest& request, const std::string& actor) {
  if (absl::Status id = CheckSkuId(request.sku_id()); !id.ok()) return id;
  if (request.remaining() < 0 || request.remaining() > kMaxStock) {
    return FieldError(v1::ERROR_REASON_FIELD_INVALID, "remaining", absl::StrCat("must be 0 to ", kMaxStock));
  }
  if (absl::Status expected = CheckExpectedField(request.expected_quota_version()); !expected.ok()) return expected;
  const auto nodes = RequireLiveNodes(*sessions_);
  if (!nodes.ok()) return nodes.status();
  const absl::StatusOr<quota::LiveNode> node = ResolveNode(*nodes, request.node());
  if (!node.ok()) return node.status();

  const absl::StatusOr<Change> change =
      Execute(request.sku_id(), request.preview(), request.expected_quota_version(), actor,
              [&](const storage::QuotaSnapshot& quota) {
                return PlanSet(quota, Receivers(*nodes), node->incarnation, request.remaining());
              });
  if (!change.ok()) return change.status();
  v1::SetQuotaResponse response;
  *response.mutable_before() = ToMessage(change->before);
  *response.mutable_after() = ToMessage(change->after);
  return response;
}

absl::StatusOr<v1::RebalanceQuotaResponse> QuotaHandler::Rebalance(const v1::RebalanceQuotaRequest& request,
                                                                   const std::string& actor) {
  if (absl::Status id = CheckSkuId(request.sku_id()); !id.ok()) return id;
  if (absl::Status expected = CheckExpectedField(request.expected_quota_version()); !expected.ok()) return expected;
  const auto nodes = RequireLiveNodes(*sessions_);
  if (!nodes.ok()) return nodes.status();
  const std::vector<storage::IncarnationId> receivers = Receivers(*nodes);
  const absl::StatusOr<Change> change =
      Execute(request.sku_id(), request.preview(), request.expected_quota_version(), actor,
              [&](const storage::QuotaSnapshot& quota) -> absl::StatusOr<std::vector<storage::QuotaDelta>> {
                return quota::EqualShares(quota, receivers);
              });
  if (!change.ok()) return change.status();
  v1::RebalanceQuotaResponse response;
  *response.mutable_before() = ToMessage(change->before);
  *response.mutable_after() = ToMessage(change->after);
  return response;
}

// Reads, plans and moves against the very version that was read. A move that came between makes it start over, unless
// the caller insists on a version.
absl::StatusOr<QuotaHandler::Change> QuotaHandler::Execute(const std::string& sku_id, bool preview,
                                                           int64_t expected_quota_version, const std::string& actor,
                                                           const Plan& plan) {
  for (int attempt = 1;; ++attempt) {
    absl::StatusOr<storage::QuotaSnapshot> before = ledger_->ReadQuota(sku_id);
    if (!before.ok()) return LedgerError(before.status(), sku_id, Repeatable::kYes);
    if (absl::Status same = CheckExpectedVersion(*before, expected_quota_version); !same.ok()) return same;
    const absl::StatusOr<std::vector<storage::QuotaDelta>> deltas = plan(*before);
    if (!deltas.ok()) return deltas.status();
    if (preview || deltas->empty()) return Change{*before, QuotaAfter(*before, *deltas)};

    absl::StatusOr<storage::QuotaSnapshot> after = mover_->Move(sku_id, *deltas, before->quota_version, actor);
    if (after.ok()) return Change{*std::move(before), *std::move(after)};
    if (!absl::IsAborted(after.status()) || attempt == kTries) {
      return LedgerError(after.status(), sku_id, Repeatable::kYes);
    }
  }
}

v1::Quota QuotaHandler::ToMessage(const storage::QuotaSnapshot& quota) {
  v1::Quota message;
  message.set_sku_id(quota.sku_id);
  message.set_quota_version(quota.quota_version);
  for (const storage::Slice& slice : quota.slices) {
    v1::Slice* added = message.add_slices();
    added->set_incarnation(slice.holder);
    added->set_allotted(slice.allotted);
    added->set_remaining(slice.remaining);
    added->set_version(slice.version);
  }
  AddNames(&message);
  AddAnnouncedVersions(&message);
  return message;
}

// By the ledger, which knows also those that lost their session and still hold units.
void QuotaHandler::AddNames(v1::Quota* message) {
  const absl::StatusOr<std::vector<storage::Incarnation>> live = ledger_->ListLiveIncarnations();
  if (!live.ok()) return;
  absl::flat_hash_map<storage::IncarnationId, std::string> names;
  for (const storage::Incarnation& incarnation : *live) names[incarnation.id] = incarnation.node_name;
  for (v1::Slice& slice : *message->mutable_slices()) {
    const auto name = names.find(slice.incarnation());
    if (name != names.end()) slice.set_node_name(name->second);
  }
}

void QuotaHandler::AddAnnouncedVersions(v1::Quota* message) {
  const std::shared_ptr<quota::Coordination> session = sessions_->Session();
  if (session == nullptr) return;
  std::vector<v1::Slice*> slices;
  std::vector<std::string> paths;
  for (v1::Slice& slice : *message->mutable_slices()) {
    if (slice.incarnation() == storage::kPool) continue;
    slices.push_back(&slice);
    paths.push_back(quota::SlicePath(slice.incarnation(), message->sku_id()));
  }
  const auto znodes = session->GetMany(paths, quota::Watch::kNo);
  for (size_t i = 0; i < znodes.size(); ++i) {
    internal::v1::SliceAnnouncement announcement;
    if (znodes[i].ok() && announcement.ParseFromString(znodes[i]->data)) {
      slices[i]->set_announced_version(announcement.version());
    }
  }
}

}  // namespace tranche::server
