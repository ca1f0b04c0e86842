#include "server/outbound/grpc_risk_scorer.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "server/admission/risk_rule.h"
#include "server/outbound/outbound_channel.h"

namespace tranche::server {
namespace {

constexpr absl::Duration kRenewEvery = absl::Seconds(1);
constexpr absl::Duration kTellScorerFaultEvery = absl::Minutes(1);
constexpr size_t kMostScorerFaults = 20;  // gRPC has 17 codes
constexpr size_t kMostMessageBytes = 200;

}  // namespace

struct GrpcRiskScorer::Call {
  std::shared_ptr<const Link> link;
  CircuitBreaker::Permit permit = CircuitBreaker::Permit::kNo;
  absl::AnyInvocable<void(std::optional<int>)> scored;
  grpc::ClientContext context;
  v1::ScoreBuyerRequest request;
  v1::ScoreBuyerResponse response;
};

GrpcRiskScorer::GrpcRiskScorer(GrpcRiskScorerOptions options, storage::Clock* clock)
    : options_(std::move(options)), breaker_(clock), faults_(kTellScorerFaultEvery, kMostScorerFaults, clock) {
  counts_.open = [this] { return !breaker_.closed(); };
  Renew();
  renewing_ = std::make_unique<PeriodicTask>(kRenewEvery, [this] { Renew(); });
}

GrpcRiskScorer::~GrpcRiskScorer() {
  renewing_.reset();
  // Their deadlines end them so soon that there is no need to cancel them.
  absl::MutexLock lock(&mutex_);
  const auto none = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return calls_ == 0; };
  mutex_.Await(absl::Condition(&none));
}

void GrpcRiskScorer::Renew() {
  std::shared_ptr<const Certificates> certificates;
  if (options_.certificates != nullptr) certificates = options_.certificates->Refresh();
  std::string authorization;
  if (options_.token != nullptr) authorization = absl::StrCat("Bearer ", *options_.token->Current());
  DropRetired();
  const std::shared_ptr<const Link> old = CurrentLink();
  const bool same_channel = old != nullptr && old->certificates == certificates;
  if (!same_channel || old->authorization != authorization) {
    auto link = std::make_shared<Link>();
    link->channel = same_channel
                        ? old->channel
                        : OutboundChannel({.address = options_.address, .tls = options_.tls}, certificates.get());
    link->certificates = std::move(certificates);
    link->stub = v1::RiskScorerService::NewStub(link->channel);
    link->authorization = std::move(authorization);
    Replace(std::move(link));
  }
  // A connection takes longer than a call may, so it must be there before.
  CurrentLink()->channel->GetState(/*try_to_connect=*/true);
}

void GrpcRiskScorer::Replace(std::shared_ptr<const Link> link) {
  absl::MutexLock lock(&mutex_);
  if (link_ != nullptr) retired_.push_back(std::move(link_));
  link_ = std::move(link);
}

// Nobody finds a retired one any more, so one that only this holds stays so.
void GrpcRiskScorer::DropRetired() {
  std::vector<std::shared_ptr<const Link>> unused;  // ends without the lock
  absl::MutexLock lock(&mutex_);
  const auto used = [](const std::shared_ptr<const Link>& link) { return link.use_count() > 1; };
  const auto first_unused = std::partition(retired_.begin(), retired_.end(), used);
  std::move(first_unused, retired_.end(), std::back_inserter(unused));
  retired_.erase(first_unused, retired_.end());
}

std::shared_ptr<const GrpcRiskScorer::Link> GrpcRiskScorer::CurrentLink() const {
  absl::MutexLock lock(&mutex_);
  return link_;
}

bool GrpcRiskScorer::BeginCall() {
  absl::MutexLock lock(&mutex_);
  if (calls_ >= kMostCalls) return false;
  ++calls_;
  return true;
}

void GrpcRiskScorer::Score(const v1::ScoreBuyerRequest& buyer, absl::AnyInvocable<void(std::optional<int>)> scored) {
  const bool begun = BeginCall();
  const CircuitBreaker::Permit permit = begun ? breaker_.Ask() : CircuitBreaker::Permit::kNo;
  if (permit == CircuitBreaker::Permit::kNo) {
    ++counts_.skipped;
    scored(std::nullopt);
    if (!begun) return;
    absl::MutexLock lock(&mutex_);
    --calls_;
    return;
  }
  auto* call = new Call;  // End takes it
  call->link = CurrentLink();
  call->permit = permit;
  call->scored = std::move(scored);
  call->request = buyer;
  call->context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(options_.timeout));
  if (!call->link->authorization.empty()) call->context.AddMetadata("authorization", call->link->authorization);
  // It may end, and be deleted, within this line.
  call->link->stub->async()->ScoreBuyer(
      &call->context, &call->request, &call->response,
      [this, call](grpc::Status status) { End(std::unique_ptr<Call>(call), status); });
}

void GrpcRiskScorer::End(std::unique_ptr<Call> call, const grpc::Status& status) {
  std::optional<int> score;
  const int told = call->response.risk_score();
  if (status.ok() && call->response.has_risk_score() && told >= 0 && told <= kMostRiskScore) score = told;
  breaker_.Note(call->permit, score.has_value());
  if (!score.has_value()) TellFault(status);
  const bool late = status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
  ++(score.has_value() ? counts_.answered : late ? counts_.late : counts_.failed);
  call->scored(score);
  call.reset();
  // The last thing: the destructor waits for it.
  absl::MutexLock lock(&mutex_);
  --calls_;
}

// Its messages may be others each time, so they do not count as kinds.
void GrpcRiskScorer::TellFault(const grpc::Status& status) {
  const std::string code = absl::StatusCodeToString(static_cast<absl::StatusCode>(status.error_code()));
  const std::optional<int64_t> left_out = faults_.Take(code);
  if (!left_out.has_value()) return;
  const std::string why =
      status.ok() ? "it answers without a risk_score of 0 to 100"
                  : absl::StrCat(code, ": ", absl::CEscape(status.error_message().substr(0, kMostMessageBytes)));
  LOG(ERROR) << "the scorer (--risk-scorer) gives no score: " << why
             << ". Until it does, buyers have the policy's `unscored` (and " << *left_out << " such faults before)";
}

}  // namespace tranche::server
