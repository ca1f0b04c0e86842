#include "tests/benchmark/open_loop_caller.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "client/internal/status_translation.h"
#include "tranche/error.h"
#include "tranche/uuid.h"

namespace tranche::benchmark {
namespace {

// How often each stream looks whether claims are due.
constexpr absl::Duration kTick = absl::Milliseconds(1);

}  // namespace

std::unique_ptr<tranche::v1::ReservationService::Stub> ConnectAlone(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return tranche::v1::ReservationService::NewStub(
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
}

// Its claims are numbered from 1, as their sequences are, and the number says when a claim is due. At most one write
// and one read are under way.
class OpenLoopCaller::Stream final
    : public grpc::ClientBidiReactor<tranche::v1::StreamReservationsRequest, tranche::v1::StreamReservationsResponse> {
 public:
  Stream(tranche::v1::ReservationService::Stub& stub, const OpenLoopOptions& options, absl::Time began,
         load::Histogram* latency)
      : options_(options),
        began_(began),
        gap_(absl::Seconds(options.streams / options.per_second)),
        latency_(latency),
        user_prefix_(MakeUuidV7().substr(0, 23)) {
    stub.async()->StreamReservations(&context_, this);
    StartRead(&response_);
    // While it is held, a write may be started by another thread than that of a reaction.
    AddHold();
    StartCall();
  }

  // Sends what is due by `now`, unless the message before is still being written.
  void Send(absl::Time now) {
    absl::MutexLock lock(&mutex_);
    SendDue(now);
  }

  // Nothing becomes due any more; what is due and was not sent is too late.
  void StopSending() {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    Skip(absl::Now());
  }

  void End() {
    context_.TryCancel();
    RemoveHold();
    ended_.WaitForNotification();
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    broken_ = broken_ || !ok;
    SendDue(absl::Now());
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    Count(absl::Now());
    StartRead(&response_);
  }

  void OnDone(const grpc::Status& status) override {
    if (status.error_code() != grpc::StatusCode::CANCELLED) {
      ++others_[absl::StrCat("stream: status ", static_cast<int>(status.error_code()))];
    }
    ended_.Notify();
  }

  // After End().
  void AddTo(OpenLoopResult& result) {
    absl::MutexLock lock(&mutex_);
    result.due += next_ - 1;
    result.sent += sent_;
    result.in_time += in_time_;
    for (const auto& [name, count] : others_) result.others[name] += count;
    result.others[""] += sent_ - std::min(sent_, answered_);
  }

 private:
  absl::Time DueTime(uint64_t number) const { return began_ + static_cast<double>(number) * gap_; }

  // Turns away whose patience is over.
  void Skip(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const double oldest = absl::FDivDuration(now - options_.patience - began_, gap_);
    if (oldest > static_cast<double>(next_)) next_ = static_cast<uint64_t>(oldest);
  }

  void SendDue(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || stopped_ || broken_) return;
    Skip(now);
    int items = 0;
    while (items < options_.frame_items && DueTime(next_) <= now) {
      if (items == request_.items_size()) request_.add_items();
      Fill(next_++, now, *request_.mutable_items(items++));
    }
    if (items == 0) return;
    while (request_.items_size() > items) request_.mutable_items()->RemoveLast();
    sent_ += static_cast<uint64_t>(items);
    writing_ = true;
    StartWrite(&request_);
  }

  // Each claim is another buyer's.
  void Fill(uint64_t number, absl::Time now, tranche::v1::StreamReservationsItem& item) {
    item.set_sequence(number);
    absl::Duration left = DueTime(number) + options_.deadline - now;
    item.mutable_timeout()->set_seconds(absl::IDivDuration(left, absl::Seconds(1), &left));
    item.mutable_timeout()->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(left)));
    tranche::v1::CreateReservationRequest* const claim = item.mutable_create();
    claim->set_reservation_id(MakeUuidV7());
    claim->set_sku_id(options_.sku);
    claim->set_user_id(absl::StrCat(user_prefix_, "-", number));
    claim->set_quantity(1);
  }

  void Count(absl::Time now) {
    absl::MutexLock lock(&mutex_);
    for (const tranche::v1::StreamReservationsResult& one : response_.results()) {
      const absl::Duration took = now - DueTime(one.sequence());
      ++answered_;
      latency_->Record(static_cast<uint64_t>(std::max<int64_t>(0, absl::ToInt64Microseconds(took))));
      ++(took <= options_.deadline ? in_time_ : others_["sold late"]);
    }
    for (const tranche::v1::StreamReservationsRefusal& refusal : response_.refusals()) {
      const auto count = static_cast<uint64_t>(refusal.sequences_size());
      answered_ += count;
      others_[ReasonNameOf(internal::ToAbslStatus(refusal.error()))] += count;
    }
  }

  const OpenLoopOptions& options_;
  const absl::Time began_;
  const absl::Duration gap_;
  load::Histogram* const latency_;
  const std::string user_prefix_;
  grpc::ClientContext context_;
  absl::Notification ended_;
  tranche::v1::StreamReservationsResponse response_;

  absl::Mutex mutex_;
  tranche::v1::StreamReservationsRequest request_ ABSL_GUARDED_BY(mutex_);  // while it is not being written
  std::map<std::string, uint64_t> others_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t sent_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t answered_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t in_time_ ABSL_GUARDED_BY(mutex_) = 0;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
};

OpenLoopCaller::OpenLoopCaller(OpenLoopOptions options)
    : options_(std::move(options)), latency_(std::make_unique<load::Histogram>()) {
  for (int i = 0; i < options_.streams; ++i) stubs_.push_back(ConnectAlone(options_.address));
}

OpenLoopCaller::~OpenLoopCaller() = default;

OpenLoopResult OpenLoopCaller::Run(absl::Duration duration) {
  std::vector<std::unique_ptr<Stream>> streams;
  const absl::Time began = absl::Now();
  for (const auto& stub : stubs_) streams.push_back(std::make_unique<Stream>(*stub, options_, began, latency_.get()));
  for (absl::Time tick = began; tick < began + duration; tick += kTick) {
    absl::SleepFor(tick - absl::Now());
    for (const auto& stream : streams) stream->Send(absl::Now());
  }
  for (const auto& stream : streams) stream->StopSending();
  OpenLoopResult result;
  result.seconds = absl::ToDoubleSeconds(absl::Now() - began);
  absl::SleepFor(options_.deadline);  // until nobody waits for an answer any more
  for (const auto& stream : streams) {
    stream->End();
    stream->AddTo(result);
  }
  return result;
}

}  // namespace tranche::benchmark
