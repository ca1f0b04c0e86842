#include "client/load/generator.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/time/clock.h"

namespace tranche::load {
namespace {

uint64_t MicrosecondsSince(absl::Time start) {
  return static_cast<uint64_t>(std::max<int64_t>(0, absl::ToInt64Microseconds(absl::Now() - start)));
}

}  // namespace

Generator::Generator(const LoadOptions& options, Client& client, Outcomes& outcomes, Changer* changer)
    : options_(options), client_(client), outcomes_(outcomes), changer_(changer), started_(absl::Now()) {
  for (int i = 0; i < options_.streams; ++i) {
    streams_.push_back(client_.OpenStream({.max_outstanding = options_.in_flight}));
  }
}

absl::Duration Generator::elapsed() const { return std::min(absl::Now(), ended_) - started_; }

void Generator::Run() {
  started_ = absl::Now();
  if (!options_.reservations_file.empty()) {
    // Others change and read them meanwhile.
    stop_.SleepUntil(started_ + options_.duration);
  } else if (options_.rate_per_second > 0) {
    RunOpenLoop();
  } else {
    RunClosedLoop();
  }
  AwaitFewerThan(1);
  AwaitDecisions();
  ended_ = absl::Now();
}

bool Generator::TakeNext(int64_t* number) {
  if (stop_.IsSet()) return false;
  if (absl::Now() - started_ >= options_.duration) return false;
  *number = next_.fetch_add(1, std::memory_order_relaxed);
  return options_.requests == 0 || *number < options_.requests;
}

// Each answer sends the next request on its own thread, without a detour over one of ours, and on its own stream, where
// what the answers of a frame lead to goes out in a frame again.
void Generator::RunClosedLoop() {
  for (int i = 0; i < options_.in_flight; ++i) {
    int64_t number = 0;
    if (!TakeNext(&number)) return;
    {
      absl::MutexLock lock(&mutex_);
      ++in_flight_;
    }
    Send(number, FirstStreamOf(number), absl::Now());
  }
}

void Generator::RunOpenLoop() {
  SendAtRandomTimes();
  open_loop_.sending = absl::Now() - started_;
  // Not later: when nothing more comes, a system that was overloaded catches up.
  const auto deadline_us = static_cast<uint64_t>(absl::ToInt64Microseconds(options_.timeout));
  open_loop_.acknowledged_in_time = outcomes_.latency_acknowledged().CountUpTo(deadline_us);
}

bool Generator::IsTooLate(absl::Time arrival) {
  if (absl::Now() - arrival > kMostLag) return true;
  absl::MutexLock lock(&mutex_);
  return in_flight_ >= options_.in_flight;
}

void Generator::SendAtRandomTimes() {
  absl::BitGen random;
  absl::Time arrival = started_;
  int64_t number = 0;
  while (TakeNext(&number)) {
    arrival += absl::Seconds(absl::Exponential<double>(random, options_.rate_per_second));
    stop_.SleepUntil(std::min(arrival, started_ + options_.duration));
    if (interrupted() || absl::Now() - started_ >= options_.duration) return;
    if (options_.skip_late && IsTooLate(arrival)) {
      ++open_loop_.not_sent;
      continue;
    }
    AwaitFewerThan(options_.in_flight);
    {
      absl::MutexLock lock(&mutex_);
      ++in_flight_;
    }
    // From the intended arrival: a slow system must not slow the clock that measures it.
    Send(number, FirstStreamOf(number), arrival);
  }
}

void Generator::Send(int64_t number, size_t stream, absl::Time intended_start) {
  const int sku = static_cast<int>(number % static_cast<int64_t>(options_.skus.size()));
  CreateReservation request{.sku = options_.skus[sku],
                            .user = absl::StrCat(options_.user_prefix, "-", number),
                            .quantity = options_.quantity,
                            .reservation_id = MakeUuidV7()};
  // What the record has of it, so that it can be sent again.
  request.accept_queued = options_.accept_queued;
  request.decide_within = options_.decide_within;
  Client::Callback record = [this, sku, stream, request, intended_start](absl::StatusOr<Reservation> answer) {
    outcomes_.Record(sku, request, answer, MicrosecondsSince(intended_start));
    if (changer_ != nullptr && answer.ok()) changer_->Offer(*std::move(answer));
    // The answer of a queued one was that it is queued.
    if (!request.accept_queued) OnAnswer(stream);
  };
  if (options_.accept_queued) AcceptQueued(sku, stream, intended_start, &request, &record);
  if (!streams_.empty() && streams_[stream]->TryCreate(request, record)) return;
  client_.CreateAsync(std::move(request), std::move(record));
}

void Generator::AcceptQueued(int sku, size_t stream, absl::Time intended_start, CreateReservation* request,
                             Client::Callback* record) {
  // Whether it was queued. The decision comes after that, if at all.
  const auto queued = std::make_shared<bool>(false);
  request->on_queued = [this, queued, sku, stream, intended_start](const QueuedClaim&) {
    if (std::exchange(*queued, true)) return;
    outcomes_.RecordQueued(sku, MicrosecondsSince(intended_start));
    {
      absl::MutexLock lock(&mutex_);
      ++undecided_;
    }
    OnAnswer(stream);
  };
  *record = [this, queued, stream, intended_start,
             inner = std::move(*record)](absl::StatusOr<Reservation> answer) mutable {
    if (*queued && (answer.ok() || !MayExist(answer.status()))) {
      outcomes_.RecordDecided(MicrosecondsSince(intended_start));
    }
    inner(std::move(answer));
    if (!*queued) return OnAnswer(stream);
    absl::MutexLock lock(&mutex_);
    --undecided_;
  };
}

void Generator::OnAnswer(size_t stream) {
  int64_t number = 0;
  if (options_.rate_per_second <= 0 && TakeNext(&number)) {
    Send(number, stream, absl::Now());
    return;
  }
  absl::MutexLock lock(&mutex_);
  --in_flight_;
}

void Generator::AwaitFewerThan(int64_t limit) {
  auto fewer = [this, limit]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return in_flight_ < limit; };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&fewer));
}

void Generator::AwaitDecisions() {
  auto decided = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return undecided_ == 0; };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&decided));
}

void ResolveUnknown(Client& client, Outcomes& outcomes, int rounds, const StopFlag& stop) {
  constexpr size_t kAtOnce = 64;
  for (int round = 0; round < rounds; ++round) {
    std::vector<UnknownRequest> unknown = outcomes.TakeUnknown();
    if (unknown.empty()) return;
    // The obstacle may need a moment to pass: a database that recovers, a node that restarts.
    if (round > 0) stop.SleepUntil(absl::Now() + absl::Seconds(1));
    for (size_t first = 0; first < unknown.size(); first += kAtOnce) {
      if (stop.IsSet()) {
        outcomes.PutBack({unknown.begin() + static_cast<std::ptrdiff_t>(first), unknown.end()});
        return;
      }
      const size_t last = std::min(unknown.size(), first + kAtOnce);
      absl::BlockingCounter answers(static_cast<int>(last - first));
      for (size_t i = first; i < last; ++i) {
        CreateReservation again = unknown[i].request;
        again.retry_of_unknown = true;
        const absl::Time started = absl::Now();
        client.CreateAsync(std::move(again), [&, i, started](absl::StatusOr<Reservation> answer) {
          outcomes.Resolve(unknown[i], answer, absl::Now() - started);
          answers.DecrementCount();
        });
      }
      answers.Wait();
    }
  }
}

}  // namespace tranche::load
