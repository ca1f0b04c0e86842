// What the tests of failing brokers share: what became of many publishes, and what is in a queue.
#pragma once

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/queue/rabbit_claim_queue.h"
#include "storage/ledger/ledger_error.h"
#include "tests/support/claim_collector.h"

namespace tranche::testing {

inline server::BrokerOptions OptionsFor(const std::string& brokers) {
  server::BrokerOptions options;
  options.brokers = brokers;
  return options;
}

// What became of many publishes. Outlives them.
class Outcomes {
 public:
  void Publish(server::ClaimPublisher& publisher, const std::string& queue, const std::string& id, std::string body,
               absl::Duration timeout) {
    {
      absl::MutexLock lock(&mutex_);
      ++open_;
    }
    publisher.Publish(queue, id, std::move(body), absl::Now() + timeout, [this, id](absl::Status status) {
      absl::MutexLock lock(&mutex_);
      --open_;
      (status.ok() ? confirmed_ : storage::IsUnknownCommit(status) ? unknown_ : refused_).insert(id);
    });
  }
  bool WaitForAll(absl::Duration timeout) {
    absl::MutexLock lock(&mutex_);
    const auto done = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return open_ == 0; };
    return mutex_.AwaitWithTimeout(absl::Condition(&done), timeout);
  }
  size_t Confirmed() {
    absl::MutexLock lock(&mutex_);
    return confirmed_.size();
  }
  std::set<std::string> confirmed() { return Copy(confirmed_); }
  std::set<std::string> unknown() { return Copy(unknown_); }
  std::set<std::string> refused() { return Copy(refused_); }

 private:
  std::set<std::string> Copy(const std::set<std::string>& ids) {
    absl::MutexLock lock(&mutex_);
    return ids;
  }

  absl::Mutex mutex_;
  int open_ ABSL_GUARDED_BY(mutex_) = 0;
  std::set<std::string> confirmed_, unknown_, refused_;
};

// All that is in the queue: what comes before a message that is put there now.
inline std::set<std::string> Contents(server::ClaimPublisher& publisher, const server::BrokerOptions& options,
                                      const std::string& queue) {
  std::string last;
  absl::Status published;
  int attempt = 0;
  EXPECT_TRUE(BecomesTrue([&] {
    last = absl::StrCat("last-", attempt++);
    published = PublishAndWait(publisher, queue, last, "claim", absl::Seconds(5));
    return published.ok();
  })) << published;
  ClaimCollector collector;
  const auto source = server::MakeRabbitClaimSource(options);
  source->Start({queue}, 10'000, &collector);
  const auto deliveries = collector.WaitForId(last);
  source->Stop();
  std::set<std::string> ids;
  for (const server::ClaimDelivery& delivery : deliveries) ids.insert(delivery.id);
  EXPECT_TRUE(ids.contains(last));
  return ids;
}

// Those of `ids` that are in the queue, and should not.
inline std::vector<std::string> Strangers(const std::set<std::string>& contents, const std::set<std::string>& ids) {
  std::vector<std::string> found;
  for (const std::string& id : ids) {
    if (contents.contains(id)) found.push_back(id);
  }
  return found;
}

}  // namespace tranche::testing
