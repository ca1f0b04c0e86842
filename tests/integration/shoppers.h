// Buyers for tests: threads that reserve through the SDK, each buyer once, and remember their answers.
#pragma once

#include <atomic>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "tranche/client.h"

namespace tranche::testing {

// Call Start, then Stop; then read the results.
class Shoppers {
 public:
  // `client` outlives this. Each thread rests after each answer: give a rest where the sale only has to go on, because
  // without one the buyers take what processor there is from whatever the test waits for.
  Shoppers(Client* client, std::vector<std::string> skus, int threads, absl::Duration rest = absl::ZeroDuration());
  ~Shoppers() { Stop(); }

  void Stop();

  // Waits until that many more reservations were acknowledged, counted from now; false after `timeout`. They have
  // shopped since they were made: where the units are limited, wait for the total.
  bool WaitForMore(int acknowledged, absl::Duration timeout);
  // Waits until that many reservations were acknowledged, counted from the first on; false after `timeout`.
  bool WaitForTotal(int acknowledged, absl::Duration timeout);
  // Waits until `refusals` more answers with this reason have come.
  bool WaitForReason(Reason reason, int refusals, absl::Duration timeout);

  std::set<std::string> acknowledged();
  // Reservation ids whose outcome the client could not tell, with its error.
  std::map<std::string, std::string> unknown();
  std::map<std::string, int> refused();

 private:
  void Shop(int thread);
  bool AwaitTotal(size_t total, absl::Duration timeout) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Client* const client_;
  const std::vector<std::string> skus_;
  const absl::Duration rest_;
  std::atomic<bool> stopping_{false};
  absl::Mutex mutex_;
  std::set<std::string> acknowledged_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> unknown_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int> refused_ ABSL_GUARDED_BY(mutex_);  // by reason
  std::vector<std::thread> threads_;
};

}  // namespace tranche::testing
