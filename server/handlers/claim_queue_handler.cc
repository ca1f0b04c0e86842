#include "server/handlers/claim_queue_handler.h"

#include <cstddef>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "server/errors.h"
#include "server/handlers/audited_action.h"
#include "server/handlers/dead_claims.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

using Settling = v1::SettleDeadClaimsRequest;

constexpr int kDefaultDeadTold = 100;
constexpr int kMostDeadTold = 1000;
constexpr int kMostSettled = 1000;  // ClaimQueueAdmin::TakeDead's
constexpr size_t kMostSettledNamed = 100;
// Less than a call of ClaimQueueAdmin may take. What is left is settled by the next call.
constexpr absl::Duration kSettleWithin = absl::Seconds(4);

absl::Status CheckQueue(const std::string& queue) {
  if (IsClaimQueueName(queue)) return absl::OkStatus();
  return InvalidField("queue",
                      "must be the name of a queue of claims: ListClaimQueues (tranchectl queue list) has them");
}

absl::Status CheckSettling(const Settling& request) {
  RETURN_IF_ERROR(CheckQueue(request.queue()));
  if (request.message_ids_size() > kMostSettled) {
    return InvalidField("message_ids", absl::StrCat("must be at most ", kMostSettled));
  }
  if (request.action() != Settling::ACTION_RETRY && request.action() != Settling::ACTION_DISCARD) {
    return InvalidField("action", "must be RETRY or DISCARD");
  }
  return absl::OkStatus();
}

// What was settled, or would be.
class Settled {
 public:
  explicit Settled(v1::SettleDeadClaimsRequest::Action action, absl::Time now) : action_(action), now_(now) {}

  void Add(v1::DeadClaim claim) {
    ++count_;
    unreadable_ += claim.lines() == 0 ? 1 : 0;
    const auto deadline = FromTimestamp(claim.deadline());
    late_ += claim.has_deadline() && deadline.has_value() && *deadline <= now_ ? 1 : 0;
    if (named_.size() < kMostSettledNamed) named_.push_back(std::move(claim));
  }
  int count() const { return count_; }

  v1::SettleDeadClaimsResponse ToResponse() const {
    v1::SettleDeadClaimsResponse response;
    response.set_settled(count_);
    for (const v1::DeadClaim& claim : named_) *response.add_claims() = claim;
    const bool retried = action_ == Settling::ACTION_RETRY;
    if (unreadable_ > 0) {
      response.add_warnings(
          absl::StrCat(unreadable_, " of ", count_, " cannot be read by this node's version: ",
                       retried ? "if consumers cannot read them either, they are dead letters again at once."
                               : "they are dropped, and nobody learns what became of them."));
    }
    if (retried && late_ > 0) {
      response.add_warnings(
          absl::StrCat(late_, " of ", count_, " are past their deadline: consumers refuse them with DEADLINE_PASSED."));
    }
    return response;
  }
  Members ToMembers() const {
    Members members;
    std::vector<std::string> ids;
    for (const v1::DeadClaim& claim : named_) {
      ids.push_back(claim.reservation_id().empty() ? claim.message_id() : claim.reservation_id());
    }
    members.Add("reservation_ids", ids).Add("settled", int64_t{count_});
    return members;
  }

 private:
  const v1::SettleDeadClaimsRequest::Action action_;
  const absl::Time now_;
  int count_ = 0;
  int unreadable_ = 0;
  int late_ = 0;
  std::vector<v1::DeadClaim> named_;
};

std::vector<std::string> IdsIn(const Settling& request) {
  return {request.message_ids().begin(), request.message_ids().end()};
}

absl::StatusOr<AuditedAction> BeginSettling(storage::AuditLedger* log, const Settling& request,
                                            const storage::Actor& actor) {
  const bool retries = request.action() == Settling::ACTION_RETRY;
  AuditedAction::What what{.actor = actor,
                           .action = retries ? "retry_dead_claims" : "discard_dead_claims",
                           .sku_id = "",
                           .before = {},
                           .asked = {}};
  what.asked.Add("queue", request.queue());
  std::vector<std::string> ids = IdsIn(request);
  if (ids.size() > kMostSettledNamed) ids.resize(kMostSettledNamed);
  if (!ids.empty()) what.asked.Add("message_ids", ids);
  return AuditedAction::Begin(log, what);
}

}  // namespace

absl::StatusOr<v1::ListClaimQueuesResponse> ClaimQueueHandler::List(const v1::ListClaimQueuesRequest& /*request*/) {
  if (!parts_.broker.exists()) return NoBroker();
  const auto queues = ReadClaimQueues(parts_.broker, parts_.shards());
  if (!queues.ok()) return BrokerError(queues.status(), "");
  v1::ListClaimQueuesResponse response;
  for (const v1::ClaimQueueState& queue : *queues) *response.add_queues() = queue;
  // Queues fill while the ledger is away: then they matter most.
  const absl::StatusOr<storage::ClusterSettings> settings = parts_.settings->ReadClusterSettings();
  if (settings.ok()) response.set_paused(settings->claims_paused);
  return response;
}

absl::StatusOr<v1::SetClaimQueuePausedResponse> ClaimQueueHandler::SetPaused(
    const v1::SetClaimQueuePausedRequest& request, const storage::Actor& actor) {
  const absl::StatusOr<storage::ClusterSettings> before = parts_.settings->ReadClusterSettings();
  if (!before.ok()) return LedgerError(before.status(), "", Repeatable::kYes);
  v1::SetClaimQueuePausedResponse response;
  response.set_changed(before->claims_paused != request.paused());
  if (request.preview()) return response;
  // Also if it looks as if nothing would change: another call may be quicker.
  const absl::Status set = parts_.settings->SetClaimsPaused(request.paused(), actor);
  if (!set.ok()) return LedgerError(set, "", Repeatable::kYes);
  LOG_IF(WARNING, response.changed()) << "the claim queues are " << (request.paused() ? "paused by " : "resumed by ")
                                      << actor;
  return response;
}

absl::StatusOr<v1::ListDeadClaimsResponse> ClaimQueueHandler::ListDead(const v1::ListDeadClaimsRequest& request) {
  if (request.limit() < 0 || request.limit() > kMostDeadTold) {
    return InvalidField("limit", absl::StrCat("must be 1 to ", kMostDeadTold, ", or 0 for ", kDefaultDeadTold));
  }
  if (!request.queue().empty()) RETURN_IF_ERROR(CheckQueue(request.queue()));
  if (!parts_.broker.exists()) return NoBroker();
  std::vector<std::string> queues = {request.queue()};
  if (request.queue().empty()) {
    const auto states = ReadClaimQueues(parts_.broker, parts_.shards());
    if (!states.ok()) return BrokerError(states.status(), "");
    queues.clear();
    for (const v1::ClaimQueueState& state : *states) {
      if (state.dead() > 0) queues.push_back(state.queue());
    }
  }
  const int limit = request.limit() == 0 ? kDefaultDeadTold : request.limit();
  v1::ListDeadClaimsResponse response;
  for (const std::string& queue : queues) {
    if (response.claims_size() >= limit) break;
    const auto dead = parts_.broker.admin->ListDead(queue, limit - response.claims_size());
    if (!dead.ok()) return BrokerError(dead.status(), queue);
    for (const DeadClaim& claim : *dead) *response.add_claims() = ToMessage(queue, claim);
  }
  return response;
}

absl::StatusOr<v1::SettleDeadClaimsResponse> ClaimQueueHandler::Preview(const v1::SettleDeadClaimsRequest& request) {
  const auto dead = parts_.broker.admin->ListDead(request.queue(), kMostDeadTold);
  if (!dead.ok()) return BrokerError(dead.status(), request.queue());
  const std::vector<std::string> ids = IdsIn(request);
  Settled settled(request.action(), parts_.clock->Now());
  for (const DeadClaim& claim : *dead) {
    if (ids.empty() || absl::c_linear_search(ids, claim.id)) settled.Add(ToMessage(request.queue(), claim));
  }
  return settled.ToResponse();
}

absl::StatusOr<v1::SettleDeadClaimsResponse> ClaimQueueHandler::Settle(const v1::SettleDeadClaimsRequest& request,
                                                                       const storage::Actor& actor) {
  RETURN_IF_ERROR(CheckSettling(request));
  if (!parts_.broker.exists()) return NoBroker();
  if (request.preview()) return Preview(request);
  ASSIGN_OR_RETURN(AuditedAction audited, BeginSettling(parts_.audit, request, actor));

  const absl::Time end = parts_.clock->Now() + kSettleWithin;
  DeadClaims claims(parts_.broker.publisher, parts_.books, parts_.clock);
  Settled settled(request.action(), parts_.clock->Now());
  int left = 0;
  absl::Status error;  // the first
  const auto settle = [&](const DeadClaim& dead) {
    absl::Status done = MakeError(v1::ERROR_REASON_DEADLINE_PASSED, "There was no time for it: repeat the call.");
    if (parts_.clock->Now() < end) {
      done = request.action() == Settling::ACTION_RETRY ? claims.Retry(request.queue(), dead) : claims.Discard(dead);
    }
    if (done.ok()) settled.Add(ToMessage(request.queue(), dead));
    left += done.ok() ? 0 : 1;
    error.Update(done);
    return done;
  };
  const absl::StatusOr<int> taken = parts_.broker.admin->TakeDead(request.queue(), IdsIn(request), settle);
  if (!taken.ok()) error.Update(BrokerError(taken.status(), request.queue()));
  if (settled.count() == 0 && !error.ok()) {
    audited.EndFailed(error);
    return error;
  }
  Members result = settled.ToMembers();
  if (!error.ok()) result.Add("outcome", std::string("PARTLY")).Add("error", ReasonName(error));
  audited.EndDone(std::move(result));
  v1::SettleDeadClaimsResponse response = settled.ToResponse();
  if (!error.ok()) {
    response.add_warnings(absl::StrCat(left > 0 ? absl::StrCat(left, " stay dead letters") : "some may still be there",
                                       ": ", std::string(error.message())));
  }
  return response;
}

}  // namespace tranche::server
