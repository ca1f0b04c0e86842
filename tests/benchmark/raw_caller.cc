#include "tests/benchmark/raw_caller.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/internal/status_translation.h"
#include "tranche/error.h"
#include "tranche/uuid.h"

namespace tranche::benchmark {

// One call in flight after the other. Used by one thread at a time.
class RawCaller::Slot {
 public:
  Slot(RawCaller* owner, tranche::v1::ReservationService::Stub* stub, const internal::ChannelSecurity* security,
       const std::string& sku, bool refusal_in_response, int number)
      : owner_(owner), stub_(stub), security_(security) {
    request_.set_sku_id(sku);
    request_.set_user_id(absl::StrCat("buyer-", MakeUuidV7().substr(0, 23), "-", number));
    request_.set_quantity(1);
    request_.set_refusal_in_response(refusal_in_response);
  }

  void Start(absl::Time end) {
    end_ = end;
    calls_ = 0;
    outcomes_.clear();
    Call();
  }

  uint64_t calls() const { return calls_; }
  const std::map<std::string, uint64_t>& outcomes() const { return outcomes_; }

 private:
  void Call() {
    context_.emplace();
    security_->Authorize(*context_);
    context_->set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(5)));
    request_.set_reservation_id(MakeUuidV7());
    stub_->async()->CreateReservation(&*context_, &request_, &response_, [this](grpc::Status status) { Done(status); });
  }

  void Done(const grpc::Status& status) {
    if (absl::Now() >= end_) {
      owner_->SlotIdle();
      return;
    }
    // The reason is read only sometimes: reading it each time would cost the sold-out side more than the echo's.
    if (calls_++ % 64 == 0) ++outcomes_[NameOf(status, response_)];
    Call();
  }

  static std::string NameOf(const grpc::Status& status, const tranche::v1::CreateReservationResponse& response) {
    if (status.ok() && !response.has_refusal()) return "OK";
    const std::string reason =
        ReasonNameOf(status.ok() ? internal::ToAbslStatus(response.refusal()) : internal::ToAbslStatus(status));
    return reason.empty() ? absl::StrCat("status ", static_cast<int>(status.error_code())) : reason;
  }

  RawCaller* const owner_;
  tranche::v1::ReservationService::Stub* const stub_;
  const internal::ChannelSecurity* const security_;
  std::optional<grpc::ClientContext> context_;
  tranche::v1::CreateReservationRequest request_;
  tranche::v1::CreateReservationResponse response_;
  absl::Time end_;
  uint64_t calls_ = 0;
  std::map<std::string, uint64_t> outcomes_;
};

RawCaller::RawCaller(const std::string& address, const std::string& sku, int in_flight, int channels,
                     bool refusal_in_response, internal::ChannelSecurity* security) {
  for (int i = 0; i < channels; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    security->AddTo(arguments, address);
    stubs_.push_back(tranche::v1::ReservationService::NewStub(
        grpc::CreateCustomChannel(address, security->Credentials(), arguments)));
  }
  for (int i = 0; i < in_flight; ++i) {
    slots_.push_back(
        std::make_unique<Slot>(this, stubs_[i % stubs_.size()].get(), security, sku, refusal_in_response, i));
  }
}

RawCaller::~RawCaller() = default;

RawResult RawCaller::Run(absl::Duration duration) {
  {
    absl::MutexLock lock(&mutex_);
    busy_ = static_cast<int>(slots_.size());
  }
  const absl::Time end = absl::Now() + duration;
  for (const auto& slot : slots_) slot->Start(end);
  {
    auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return busy_ == 0; };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&idle));
  }
  RawResult result;
  for (const auto& slot : slots_) {
    result.calls += slot->calls();
    for (const auto& [name, count] : slot->outcomes()) result.outcomes[name] += count;
  }
  result.per_second = static_cast<double>(result.calls) / absl::ToDoubleSeconds(duration);
  return result;
}

void RawCaller::SlotIdle() {
  absl::MutexLock lock(&mutex_);
  --busy_;
}

}  // namespace tranche::benchmark
