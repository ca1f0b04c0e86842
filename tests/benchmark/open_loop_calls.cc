#include "tests/benchmark/open_loop_calls.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/internal/status_translation.h"
#include "tranche/error.h"
#include "tranche/uuid.h"

namespace tranche::benchmark {
namespace {

constexpr absl::Duration kCallTick = absl::Milliseconds(1);

}  // namespace

struct OpenLoopCalls::Call {
  absl::Time due;
  grpc::ClientContext context = {};
  tranche::v1::CreateReservationRequest request = {};
  tranche::v1::CreateReservationResponse response = {};
  grpc::Status status = {};
};

OpenLoopCalls::OpenLoopCalls(OpenLoopOptions options)
    : options_(std::move(options)),
      user_prefix_(MakeUuidV7().substr(0, 23)),
      latency_(std::make_unique<load::Histogram>()) {
  for (int i = 0; i < options_.streams; ++i) stubs_.push_back(ConnectAlone(options_.address));
}

OpenLoopCalls::~OpenLoopCalls() = default;

OpenLoopResult OpenLoopCalls::Run(absl::Duration duration) {
  const absl::Time began = absl::Now();
  const absl::Duration gap = absl::Seconds(1 / options_.per_second);
  uint64_t next = 1;
  uint64_t sent = 0;
  for (absl::Time tick = began; tick < began + duration; tick += kCallTick) {
    absl::SleepFor(tick - absl::Now());
    const double oldest = absl::FDivDuration(absl::Now() - options_.patience - began, gap);
    if (oldest > static_cast<double>(next)) next = static_cast<uint64_t>(oldest);
    for (absl::Time due; (due = began + static_cast<double>(next) * gap) <= tick; ++next, ++sent) Start(due, next);
  }
  const double seconds = absl::ToDoubleSeconds(absl::Now() - began);
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return under_way_ == 0; };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&idle));  // each has a deadline
  result_.due = next - 1;
  result_.sent = sent;
  result_.seconds = seconds;
  return result_;
}

void OpenLoopCalls::Start(absl::Time due, uint64_t number) {
  auto* const call = new Call{.due = due};
  call->context.set_deadline(absl::ToChronoTime(due + options_.deadline));
  call->request.set_reservation_id(MakeUuidV7());
  call->request.set_sku_id(options_.sku);
  call->request.set_user_id(absl::StrCat(user_prefix_, "-", number));
  call->request.set_quantity(1);
  call->request.set_refusal_in_response(true);
  {
    absl::MutexLock lock(&mutex_);
    ++under_way_;
  }
  stubs_[number % stubs_.size()]->async()->CreateReservation(&call->context, &call->request, &call->response,
                                                             [this, call](grpc::Status status) {
                                                               call->status = std::move(status);
                                                               End(*call);
                                                               delete call;
                                                             });
}

void OpenLoopCalls::End(const Call& call) {
  const absl::Duration took = absl::Now() - call.due;
  const bool sold = call.status.ok() && call.response.has_reservation();
  if (sold) latency_->Record(static_cast<uint64_t>(std::max<int64_t>(0, absl::ToInt64Microseconds(took))));
  absl::MutexLock lock(&mutex_);
  --under_way_;
  if (sold) {
    ++(took <= options_.deadline ? result_.in_time : result_.others["sold late"]);
    return;
  }
  if (call.status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    ++result_.others[""];
    return;
  }
  ++result_.others[ReasonNameOf(call.status.ok() ? internal::ToAbslStatus(call.response.refusal())
                                                 : internal::ToAbslStatus(call.status))];
}

}  // namespace tranche::benchmark
