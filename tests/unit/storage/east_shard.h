// Home and a shard named "east", of fakes, for tests of ledgers over all shards.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "storage/fake/fake_ledger.h"
#include "storage/pipeline/commit_lane.h"
#include "storage/shards/shard_backend.h"

namespace tranche::storage {

// Home's list of shards: one besides home.
class EastIsListed : public ShardLedger {
 public:
  absl::StatusOr<SchemaRange> Schema() override { return SchemaRange{}; }
  absl::StatusOr<ShardIdentity> Identity() override { return ShardIdentity{}; }
  absl::StatusOr<absl::Time> ReadClock() override { return absl::UnixEpoch(); }
  absl::StatusOr<std::vector<Shard>> ListShards() override {
    return std::vector<Shard>{{.name = "east", .dsn = "", .added_at = {}}};
  }
  absl::StatusOr<bool> AddShard(const std::string&, const std::string&, const Actor&) override { return false; }
  absl::Status ReserveSku(const std::string&, const std::string&) override { return absl::OkStatus(); }
  absl::StatusOr<bool> Adopt(const std::string&, const std::string&, const std::vector<std::string>&,
                             const Actor&) override {
    return false;
  }
  absl::StatusOr<bool> RegisterIncarnationAs(const Incarnation&) override { return true; }
};

// A shard that answers until it is told not to.
struct SilenceableShard : ShardBackend {
  SilenceableShard(std::string shard, Clock* clock) : ledger(clock), sales(clock) {
    PipelineOptions stepped;
    stepped.lanes = 0;
    pipeline = std::make_unique<CommitPipeline>(&sales, clock, stepped);
    lane = std::make_unique<CommitLane>(pipeline.get());
    name = std::move(shard);
    stock = &ledger;
    shards = &listed;
    claims = pipeline.get();
  }

  // From now on it is known not to answer.
  void FallSilent() {
    sales.FailNext(1);
    pipeline->Submit(1, ReservationClaim{}, absl::InfiniteFuture(), [](const absl::StatusOr<CommitResult>&) {});
    lane->Step();
    ASSERT_FALSE(Answers());
  }

  FakeLedger ledger;
  EastIsListed listed;
  FakeLedger sales;  // of the pipeline, which shows whether it answers
  std::unique_ptr<CommitPipeline> pipeline;
  std::unique_ptr<CommitLane> lane;
};

}  // namespace tranche::storage
