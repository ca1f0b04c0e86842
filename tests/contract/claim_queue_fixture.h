// What the suites of the contract of claim queues share.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/ledger/ledger_error.h"
#include "tests/contract/claim_queue_backend.h"
#include "tests/support/claim_collector.h"

namespace tranche::server {

class ClaimQueueContractTest : public ::testing::TestWithParam<ClaimQueueBackendFactory> {
 protected:
  void SetUp() override { Make(kMaxQueueLength); }

  void Make(int64_t max_length) {
    backend_ = GetParam().make(max_length);
    queue_ = backend_->queue();
    const absl::Status declared = backend_->admin().Declare({queue_});
    ASSERT_TRUE(declared.ok()) << declared;
    ASSERT_TRUE(testing::BecomesTrue([this] { return backend_->publisher().Up(); }));
  }

  absl::Status Publish(const std::string& id) {
    return testing::PublishAndWait(backend_->publisher(), queue_, id, "body of " + id);
  }
  // "1", "2", ...: each after the one before was confirmed.
  void PublishNumbers(int count) {
    for (int i = 1; i <= count; ++i) {
      const absl::Status published = Publish(absl::StrCat(i));
      ASSERT_TRUE(published.ok()) << published;
    }
  }
  std::unique_ptr<ClaimSource> Take(testing::ClaimCollector& collector, int prefetch) {
    auto source = backend_->MakeSource();
    source->Start({queue_}, prefetch, &collector);
    return source;
  }
  QueueDepth Depth() {
    const auto depths = backend_->admin().Depths({queue_});
    EXPECT_TRUE(depths.ok()) << depths.status();
    return depths.ok() ? depths->front() : QueueDepth();
  }
  // The broker may count late.
  bool DepthBecomes(int64_t ready, int64_t dead) {
    return testing::BecomesTrue([&] {
      const QueueDepth depth = Depth();
      return depth.ready == ready && depth.dead == dead;
    });
  }
  std::vector<DeadClaim> Dead() {
    auto dead = backend_->admin().ListDead(queue_, 100);
    EXPECT_TRUE(dead.ok()) << dead.status();
    return dead.ok() ? *std::move(dead) : std::vector<DeadClaim>();
  }

  std::unique_ptr<ClaimQueueBackend> backend_;
  std::string queue_;
};

}  // namespace tranche::server
