#include "server/handlers/quota_handler.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "quota/balancer/operator_plans.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/node_directory.h"
#include "server/handlers/outdated_view.h"
#include "server/handlers/quota_messages.h"
#include "server/handlers/quota_preview.h"
#include "server/handlers/rebalance_plan.h"
#include "server/handlers/sku_messages.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

// Another move of the SKU rarely comes in between.
constexpr int kTries = 5;

constexpr char kPoolName[] = "pool";

absl::Status CheckExpectedField(int64_t expected) {
  if (expected >= 0) return absl::OkStatus();
  return InvalidField("expected_quota_version", "must not be negative");
}

absl::Status InsufficientUnits(const std::string& message, const std::string& sku_id, int64_t available,
                               int64_t needed) {
  return MakeError(v1::ERROR_REASON_INSUFFICIENT_UNITS, message,
                   {{"sku_id", sku_id}, {"available", absl::StrCat(available)}, {"needed", absl::StrCat(needed)}});
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
  return InsufficientUnits(absl::StrCat("Only ", available, " units are unsold, ", wanted, " were asked for."),
                           quota.sku_id, available, wanted);
}

absl::Status CheckMove(const v1::MoveQuotaRequest& request) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  if (request.units() < 1 || request.units() > kMaxStock) {
    return InvalidField("units", absl::StrCat("must be 1 to ", kMaxStock));
  }
  return CheckExpectedField(request.expected_quota_version());
}

// One end of a move.
absl::StatusOr<quota::LiveNode> ResolveHolder(absl::Span<const quota::LiveNode> nodes, const std::string& holder,
                                              absl::string_view field) {
  if (holder != kPoolName) return ResolveNode(nodes, holder, field);
  quota::LiveNode pool;
  pool.name = "the pool";
  return pool;
}

// Sales between reading and moving change neither version nor allotted, so the difference is what was moved.
int64_t UnitsThatLeft(const storage::QuotaSnapshot& before, const storage::QuotaSnapshot& after,
                      storage::IncarnationId from, storage::IncarnationId to) {
  if (from != storage::kPool) return SliceOf(before, from).allotted - SliceOf(after, from).allotted;
  return SliceOf(after, to).allotted - SliceOf(before, to).allotted;
}

}  // namespace

absl::StatusOr<v1::GetQuotaResponse> QuotaHandler::Get(const v1::GetQuotaRequest& request) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  ASSIGN_OR_RETURN(const storage::SkuQuota read, Read(request.sku_id()));
  v1::GetQuotaResponse response;
  v1::Quota* quota = response.mutable_quota();
  *quota = ToMessage(read.sku, read.quota);
  if (const std::shared_ptr<quota::Coordination> session = sessions_->Session(); session != nullptr) {
    AddAnnouncedVersions(*session, quota);
    const absl::StatusOr<NodeReports> reports = ReadNodeReports(*session, request.sku_id());
    if (reports.ok()) AddReports(*reports, clock_->Now(), quota);
  }
  AddNames(*ledger_, quota);
  return response;
}

absl::StatusOr<v1::SetQuotaResponse> QuotaHandler::Set(const v1::SetQuotaRequest& request,
                                                       const storage::Actor& actor) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  if (request.remaining() < 0 || request.remaining() > kMaxStock) {
    return InvalidField("remaining", absl::StrCat("must be 0 to ", kMaxStock));
  }
  RETURN_IF_ERROR(CheckExpectedField(request.expected_quota_version()));
  ASSIGN_OR_RETURN(const auto nodes, RequireLiveNodes(*sessions_, *ledger_));
  ASSIGN_OR_RETURN(const quota::LiveNode node, ResolveNode(nodes, request.node()));
  if (node.draining && request.remaining() > 0) return NodeDraining(node);

  const absl::StatusOr<Change> change =
      Execute(request.sku_id(), {request.preview(), request.expected_quota_version()}, actor,
              [&](const storage::QuotaSnapshot& quota) {
                return PlanSet(quota, Receivers(nodes), node.incarnation, request.remaining());
              });
  if (!change.ok()) return change.status();
  v1::SetQuotaResponse response;
  *response.mutable_before() = Describe(change->sku, change->before);
  *response.mutable_after() = Describe(change->sku, change->after);
  return response;
}

absl::StatusOr<v1::MoveQuotaResponse> QuotaHandler::Move(const v1::MoveQuotaRequest& request,
                                                         const storage::Actor& actor) {
  RETURN_IF_ERROR(CheckMove(request));
  ASSIGN_OR_RETURN(const auto nodes, RequireLiveNodes(*sessions_, *ledger_));
  ASSIGN_OR_RETURN(const quota::LiveNode from, ResolveHolder(nodes, request.from(), "from"));
  ASSIGN_OR_RETURN(const quota::LiveNode to, ResolveHolder(nodes, request.to(), "to"));
  if (from.incarnation == to.incarnation) {
    return InvalidField("to", "must be another holder than from");
  }
  if (to.draining) return NodeDraining(to);

  const auto plan = [&](const storage::QuotaSnapshot& quota) -> absl::StatusOr<std::vector<storage::QuotaDelta>> {
    auto deltas = quota::MoveBetween(quota, from.incarnation, to.incarnation, request.units());
    if (deltas.has_value()) return *std::move(deltas);
    const int64_t remaining = SliceOf(quota, from.incarnation).remaining;
    return InsufficientUnits(
        absl::StrCat("Only ", remaining, " units remain at ", from.name, ", ", request.units(), " were asked for."),
        quota.sku_id, remaining, request.units());
  };
  const Repeatable repeatable = request.expected_quota_version() != 0 ? Repeatable::kYes : Repeatable::kNo;
  ASSIGN_OR_RETURN(
      const Change change,
      Execute(request.sku_id(), {request.preview(), request.expected_quota_version(), repeatable}, actor, plan));

  v1::MoveQuotaResponse response;
  *response.mutable_before() = Describe(change.sku, change.before);
  *response.mutable_after() = Describe(change.sku, change.after);
  const int64_t moved = UnitsThatLeft(change.before, change.after, from.incarnation, to.incarnation);
  response.set_units_moved(moved);
  if (moved < request.units()) {
    // The deposit asks for the full number, so units of the pool fill the gap.
    const int64_t arrived =
        SliceOf(change.after, to.incarnation).allotted - SliceOf(change.before, to.incarnation).allotted;
    const std::string stand_in = to.incarnation != storage::kPool && arrived > moved
                                     ? absl::StrCat("; ", arrived - moved, " came from the pool in their stead")
                                     : "";
    response.add_warnings(absl::StrCat("only ", moved, " of ", request.units(), " units left ", from.name,
                                       ": it sold the others in the same moment", stand_in));
  }
  if (to.incarnation == storage::kPool && !change.sku.quota_frozen && !change.sku.closed) {
    response.add_warnings(absl::StrCat("these units will go to nodes again: freeze first (`tranchectl quota freeze ",
                                       request.sku_id(), "`) if they shall stay in the pool"));
  }
  return response;
}

absl::StatusOr<v1::RebalanceQuotaResponse> QuotaHandler::Rebalance(const v1::RebalanceQuotaRequest& request,
                                                                   const storage::Actor& actor) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  RETURN_IF_ERROR(CheckExpectedField(request.expected_quota_version()));
  ASSIGN_OR_RETURN(const auto nodes, RequireLiveNodes(*sessions_, *ledger_));
  NodeReports reports;
  if (request.policy() == v1::REBALANCE_POLICY_DEMAND) {
    ASSIGN_OR_RETURN(const auto session, RequireSession(*sessions_));
    absl::StatusOr<NodeReports> read = ReadNodeReports(*session, request.sku_id());
    if (!read.ok()) return CoordinationError(read.status());
    reports = *std::move(read);
  }
  ASSIGN_OR_RETURN(const RebalancePlan plan, PlanRebalance(request, nodes, reports));
  const std::vector<storage::IncarnationId> sharers = Sharers(nodes);
  const absl::StatusOr<Change> change =
      Execute(request.sku_id(), {request.preview(), request.expected_quota_version()}, actor,
              [&](const storage::QuotaSnapshot& quota) -> absl::StatusOr<std::vector<storage::QuotaDelta>> {
                return SharesOf(plan, quota, sharers);
              });
  if (!change.ok()) return change.status();
  v1::RebalanceQuotaResponse response;
  *response.mutable_before() = Describe(change->sku, change->before);
  *response.mutable_after() = Describe(change->sku, change->after);
  for (const std::string& warning : plan.warnings) response.add_warnings(warning);
  return response;
}

absl::StatusOr<v1::SetQuotaFrozenResponse> QuotaHandler::SetFrozen(const v1::SetQuotaFrozenRequest& request,
                                                                   const storage::Actor& actor) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  const absl::StatusOr<storage::Sku> before = ledger_->GetSku(request.sku_id());
  if (!before.ok()) return LedgerError(before.status(), request.sku_id(), Repeatable::kYes);
  absl::StatusOr<storage::Sku> after = *before;
  if (request.preview()) {
    // As set_quota_frozen: repeating it changes nothing.
    if (after->quota_frozen != request.frozen()) ++after->quota_version;
    after->quota_frozen = request.frozen();
  } else {
    after = ledger_->SetQuotaFrozen(request.sku_id(), request.frozen(), actor);
    if (!after.ok()) return LedgerError(after.status(), request.sku_id(), Repeatable::kYes);
  }
  v1::SetQuotaFrozenResponse response;
  const absl::Time now = clock_->Now();
  *response.mutable_before() = ToMessage(*before, now);
  *response.mutable_sku() = ToMessage(*after, now);
  return response;
}

// Reads, plans, and moves against the version that was read. If another move came in between, it starts over, unless
// the caller insists on a version.
absl::StatusOr<QuotaHandler::Change> QuotaHandler::Execute(const std::string& sku_id, const Terms& terms,
                                                           const storage::Actor& actor, const Plan& plan) {
  for (int attempt = 1;; ++attempt) {
    ASSIGN_OR_RETURN(storage::SkuQuota read, Read(sku_id));
    const storage::QuotaSnapshot& before = read.quota;
    if (terms.expected_quota_version != 0 && terms.expected_quota_version != before.quota_version) {
      return QuotaVersionChanged(*ledger_, sku_id, before.quota_version);
    }
    ASSIGN_OR_RETURN(const std::vector<storage::QuotaDelta> deltas, plan(before));
    if (terms.preview || deltas.empty()) return Change{read.sku, before, QuotaAfter(before, deltas)};

    absl::StatusOr<storage::QuotaSnapshot> after = mover_->Move(sku_id, deltas, before.quota_version, actor);
    if (after.ok()) return Change{read.sku, before, *std::move(after)};
    if (!absl::IsAborted(after.status()) || attempt == kTries) {
      return LedgerError(after.status(), sku_id, terms.repeatable);
    }
  }
}

absl::StatusOr<storage::SkuQuota> QuotaHandler::Read(const std::string& sku_id) {
  absl::StatusOr<std::vector<storage::SkuQuota>> read = ledger_->ReadQuotas({&sku_id, 1});
  if (read.ok() && read->empty()) read = absl::NotFoundError("no such SKU");
  if (!read.ok()) return LedgerError(read.status(), sku_id, Repeatable::kYes);
  return std::move(read->front());
}

v1::Quota QuotaHandler::Describe(const storage::Sku& sku, const storage::QuotaSnapshot& quota) {
  v1::Quota message = ToMessage(sku, quota);
  AddNames(*ledger_, &message);
  if (const std::shared_ptr<quota::Coordination> session = sessions_->Session(); session != nullptr) {
    AddAnnouncedVersions(*session, &message);
  }
  return message;
}

}  // namespace tranche::server
