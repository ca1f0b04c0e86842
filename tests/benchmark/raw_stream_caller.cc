#include "tests/benchmark/raw_stream_caller.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "client/internal/status_translation.h"
#include "tests/benchmark/sku_names.h"
#include "tranche/error.h"
#include "tranche/uuid.h"

namespace tranche::benchmark {

// From its start to the end of the stream, at most one write and one read are under way; the read that fails is the
// last thing that happens, so no hold is needed.
class RawStreamCaller::Stream final
    : public grpc::ClientBidiReactor<tranche::v1::StreamReservationsRequest, tranche::v1::StreamReservationsResponse> {
 public:
  // `next_sku`: of its next claim, which is less than there are `skus`; nobody else touches it until the stream has
  // ended.
  Stream(tranche::v1::ReservationService::Stub& stub, const RawStreamOptions& options,
         const std::vector<std::string>& skus, size_t* next_sku, absl::Time end, absl::BlockingCounter* ended)
      : options_(options),
        skus_(skus),
        next_sku_(next_sku),
        end_(end),
        ended_(ended),
        user_prefix_(MakeUuidV7().substr(0, 23)) {
    if (options.security != nullptr) options.security->Authorize(context_);
    stub.async()->StreamReservations(&context_, this);
    absl::MutexLock lock(&mutex_);
    StartRead(&response_);
    WriteNext();
    StartCall();
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    if (ok) WriteNext();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    const bool in_time = absl::Now() < end_;
    absl::MutexLock lock(&mutex_);
    const int answers = Count(in_time);
    outstanding_ -= answers;
    StartRead(&response_);
    WriteNext();
  }

  void OnDone(const grpc::Status& status) override {
    if (!status.ok()) ++result_.outcomes[absl::StrCat("stream: status ", static_cast<int>(status.error_code()))];
    ended_->DecrementCount();
  }

  // After its end.
  const RawResult& result() const { return result_; }

 private:
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || closed_) return;
    if (absl::Now() >= end_) {
      closed_ = true;
      return StartWritesDone();
    }
    const int claims = std::max(1, options_.frame_items);
    if (outstanding_ + claims > options_.in_flight) return;
    if (options_.frame_items == 0) {
      request_.set_sequence(++sequence_);
      FillClaim(request_.mutable_create());
    } else {
      while (request_.items_size() < claims) request_.add_items();
      for (tranche::v1::StreamReservationsItem& item : *request_.mutable_items()) {
        item.set_sequence(++sequence_);
        FillClaim(item.mutable_create());
      }
    }
    outstanding_ += claims;
    writing_ = true;
    StartWrite(&request_);
  }

  // Each claim is another buyer's.
  void FillClaim(tranche::v1::CreateReservationRequest* claim) {
    claim->set_reservation_id(MakeUuidV7());
    claim->set_sku_id(skus_[*next_sku_]);
    *next_sku_ = (*next_sku_ + 1) % skus_.size();
    claim->set_user_id(absl::StrCat(user_prefix_, "-", sequence_));
    claim->set_quantity(1);
  }

  // How many claims the message answers.
  int Count(bool in_time) {
    int answers = 0;
    const auto add = [&](const std::string& outcome, int count) {
      answers += count;
      if (!in_time) return;
      result_.calls += static_cast<uint64_t>(count);
      result_.outcomes[outcome] += static_cast<uint64_t>(count);
    };
    if (response_.has_created()) add("OK", 1);
    if (response_.has_error()) add(NameOf(response_.error()), 1);
    if (response_.results_size() > 0) add("OK", response_.results_size());
    for (const tranche::v1::StreamReservationsRefusal& refusal : response_.refusals()) {
      add(NameOf(refusal.error()), refusal.sequences_size());
    }
    return answers;
  }

  std::string NameOf(const google::rpc::Status& error) {
    // Reading the reason of each single message would cost more than the rest.
    std::string& name = names_[error.message()];
    if (name.empty()) name = ReasonNameOf(internal::ToAbslStatus(error));
    return name;
  }

  const RawStreamOptions& options_;
  const std::vector<std::string>& skus_;
  size_t* const next_sku_;
  const absl::Time end_;
  absl::BlockingCounter* const ended_;
  const std::string user_prefix_;
  grpc::ClientContext context_;
  tranche::v1::StreamReservationsRequest request_;
  tranche::v1::StreamReservationsResponse response_;
  std::map<std::string, std::string> names_;  // of reasons, by their messages
  RawResult result_;
  uint64_t sequence_ = 0;

  absl::Mutex mutex_;
  int outstanding_ ABSL_GUARDED_BY(mutex_) = 0;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

RawStreamCaller::RawStreamCaller(RawStreamOptions options) : options_(std::move(options)) {
  if (options_.skus == 1) skus_ = {options_.sku};
  for (int i = 0; options_.skus > 1 && i < options_.skus; ++i) skus_.push_back(SkuOfMany(options_.sku, i));
  for (int i = 0; i < options_.streams; ++i) {
    next_sku_.push_back(skus_.size() * static_cast<size_t>(i) / static_cast<size_t>(options_.streams));
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    internal::ChannelSecurity* const security = options_.security;
    if (security != nullptr) security->AddTo(arguments, options_.address);
    const auto credentials = security == nullptr ? grpc::InsecureChannelCredentials() : security->Credentials();
    stubs_.push_back(
        tranche::v1::ReservationService::NewStub(grpc::CreateCustomChannel(options_.address, credentials, arguments)));
  }
}

RawStreamCaller::~RawStreamCaller() = default;

RawResult RawStreamCaller::Run(absl::Duration duration) {
  absl::BlockingCounter ended(options_.streams);
  std::vector<std::unique_ptr<Stream>> streams;
  const absl::Time end = absl::Now() + duration;
  for (size_t i = 0; i < stubs_.size(); ++i) {
    streams.push_back(std::make_unique<Stream>(*stubs_[i], options_, skus_, &next_sku_[i], end, &ended));
  }
  ended.Wait();
  RawResult result;
  for (const auto& stream : streams) {
    result.calls += stream->result().calls;
    for (const auto& [name, count] : stream->result().outcomes) result.outcomes[name] += count;
  }
  result.per_second = static_cast<double>(result.calls) / absl::ToDoubleSeconds(duration);
  return result;
}

}  // namespace tranche::benchmark
