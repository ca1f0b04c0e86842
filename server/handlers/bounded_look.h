// A question that may hang, asked for somebody who waits only so long.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/executor.h"

namespace tranche::server {

// Thread-safe. While a question hangs, no second one is asked: who asks meanwhile waits for the answer to the first. So
// it takes one thread of the executor at most. An answer may come when nobody waits any more, also after this object
// has gone.
template <typename T>
class BoundedLook {
 public:
  class Question {
   public:
    // kDeadlineExceeded if there is no answer by then, by the machine's clock.
    absl::StatusOr<T> Await(absl::Time until) {
      absl::MutexLock lock(&mutex_);
      const auto answered = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return answer_.has_value(); };
      if (!mutex_.AwaitWithDeadline(absl::Condition(&answered), until)) {
        return absl::DeadlineExceededError("no answer in time");
      }
      return *answer_;
    }

   private:
    friend class BoundedLook;

    void Take(absl::StatusOr<T> answer) {
      absl::MutexLock lock(&mutex_);
      answer_ = std::move(answer);
    }
    bool Answered() {
      absl::MutexLock lock(&mutex_);
      return answer_.has_value();
    }

    absl::Mutex mutex_;
    std::optional<absl::StatusOr<T>> answer_ ABSL_GUARDED_BY(mutex_);
  };

  // Does not wait. `ask` may run when this has returned, and is then called on the executor.
  std::shared_ptr<Question> Ask(storage::Executor& executor, std::function<absl::StatusOr<T>()> ask) {
    std::shared_ptr<Question> asked;
    {
      absl::MutexLock lock(&mutex_);
      if (last_ != nullptr && !last_->Answered()) return last_;
      asked = last_ = std::make_shared<Question>();
    }
    storage::RunOn(executor, std::move(ask), [asked](absl::StatusOr<T> answer) { asked->Take(std::move(answer)); });
    return asked;
  }

 private:
  absl::Mutex mutex_;
  std::shared_ptr<Question> last_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
