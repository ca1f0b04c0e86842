// For the tests of group commits: a ledger that follows a script, and who collects the answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "storage/pipeline/commit_pipeline.h"

namespace tranche::storage {

using CommitResults = absl::StatusOr<std::vector<CommitResult>>;

inline ReservationClaim ClaimOf(uint8_t id) {
  ReservationClaim claim{.reservation_id = {}, .sku_id = "tv", .user_id = "u", .quantity = 1};
  claim.reservation_id.bytes[15] = id;
  return claim;
}

inline std::vector<CommitResult> AllCreated(absl::Span<const ReservationClaim> claims) {
  std::vector<CommitResult> results(claims.size());
  for (size_t i = 0; i < claims.size(); ++i) {
    results[i].outcome = CommitOutcome::kCreated;
    results[i].reservation.reservation_id = claims[i].reservation_id;
  }
  return results;
}

// Answers each batch by the next step of a script, and with "all created" once that has run out. A step may block.
class ScriptedLedger : public ReservationLedger {
 public:
  using Step = std::function<CommitResults(IncarnationId, LockMode, absl::Span<const ReservationClaim>)>;

  void Then(Step step) {
    absl::MutexLock lock(&mutex_);
    script_.push_back(std::move(step));
  }

  CommitResults CommitReservations(IncarnationId incarnation, LockMode mode,
                                   absl::Span<const ReservationClaim> claims) override {
    Step step;
    {
      absl::MutexLock lock(&mutex_);
      sizes_.push_back(claims.size());
      incarnations_.push_back(incarnation);
      modes_.push_back(mode);
      if (!script_.empty()) {
        step = std::move(script_.front());
        script_.pop_front();
      }
    }
    return step ? step(incarnation, mode, claims) : AllCreated(claims);
  }

  absl::StatusOr<Reservation> FindReservation(const Uuid&) override {
    absl::MutexLock lock(&mutex_);
    if (down_) return absl::UnavailableError("down");
    return absl::NotFoundError("none");
  }

  absl::StatusOr<std::vector<Reservation>> FindReplicated(absl::Span<const Uuid>) override {
    return absl::UnimplementedError("the pipeline asks for none");
  }

  void SetDown(bool down) {
    absl::MutexLock lock(&mutex_);
    down_ = down;
  }
  std::vector<size_t> sizes() {
    absl::MutexLock lock(&mutex_);
    return sizes_;
  }
  std::vector<IncarnationId> incarnations() {
    absl::MutexLock lock(&mutex_);
    return incarnations_;
  }
  std::vector<LockMode> modes() {
    absl::MutexLock lock(&mutex_);
    return modes_;
  }

 private:
  absl::Mutex mutex_;
  std::deque<Step> script_ ABSL_GUARDED_BY(mutex_);
  std::vector<size_t> sizes_ ABSL_GUARDED_BY(mutex_);
  std::vector<IncarnationId> incarnations_ ABSL_GUARDED_BY(mutex_);
  std::vector<LockMode> modes_ ABSL_GUARDED_BY(mutex_);
  bool down_ ABSL_GUARDED_BY(mutex_) = false;
};

// Collects the answers in the order in which they come.
class Answers {
 public:
  CommitDone Expect() {
    return [this](absl::StatusOr<CommitResult> result) {
      absl::MutexLock lock(&mutex_);
      answers_.push_back(std::move(result));
    };
  }
  std::vector<absl::StatusOr<CommitResult>> Wait(size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return answers_.size() >= count; };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(10)));
    return answers_;
  }

 private:
  absl::Mutex mutex_;
  std::vector<absl::StatusOr<CommitResult>> answers_ ABSL_GUARDED_BY(mutex_);
};

inline PipelineOptions OneLane() {
  PipelineOptions options;
  options.lanes = 1;
  options.retry_interval = absl::Milliseconds(1);
  return options;
}

// Makes a lane busy with one claim until released, so that what follows piles up in the queue.
class BusyLane {
 public:
  BusyLane(ScriptedLedger* ledger, CommitPipeline* pipeline, Answers* answers) {
    ledger->Then([this](IncarnationId, LockMode, absl::Span<const ReservationClaim> claims) -> CommitResults {
      started_.Notify();
      release_.WaitForNotification();
      return AllCreated(claims);
    });
    pipeline->Submit(1, ClaimOf(255), absl::InfiniteFuture(), answers->Expect());
    started_.WaitForNotification();
  }
  void Release() { release_.Notify(); }

 private:
  absl::Notification started_, release_;
};

}  // namespace tranche::storage
