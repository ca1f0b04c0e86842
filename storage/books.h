// The ledger as those see it who sell: over all shards, and without blocking.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/executor.h"
#include "storage/ledger/incarnation_id.h"
#include "storage/ledger/reservation_ledger.h"
#include "storage/ledger/sku_ledger.h"
#include "storage/pipeline/commit_pipeline.h"

namespace tranche::storage {

// Thread-safe. Callbacks come exactly once, inline or on another thread, and must not block.
class Books {
 public:
  using ReadSkuDone = absl::AnyInvocable<void(absl::StatusOr<Sku>)>;
  using FindDone = absl::AnyInvocable<void(absl::StatusOr<CommitResult>)>;

  virtual ~Books() = default;

  // Through the commit pipeline of the shard; errors are the pipeline's.
  virtual void Submit(const std::string& shard, IncarnationId incarnation, ReservationClaim claim, absl::Time deadline,
                      CommitDone done) = 0;
  // The reservation of that id, on whichever shard; kNotFound, kUnavailable, or kResourceExhausted when too many wait.
  virtual void Find(const Uuid& reservation_id, FindDone done) = 0;
};

// Of one ledger.
class SingleLedgerBackend : public Books {
 public:
  SingleLedgerBackend(CommitPipeline* pipeline, ReservationLedger* ledger, Executor* executor)
      : pipeline_(pipeline), ledger_(ledger), executor_(executor) {}

  void Submit(const std::string&, IncarnationId incarnation, ReservationClaim claim, absl::Time deadline,
              CommitDone done) override {
    pipeline_->Submit(incarnation, std::move(claim), deadline, std::move(done));
  }
  void Find(const Uuid& reservation_id, FindDone done) override {
    // Shared, so that it can still be answered when the executor has no room.
    auto answer = std::make_shared<FindDone>(std::move(done));
    absl::AnyInvocable<void()> find = [this, reservation_id, answer] {
      (*answer)(ledger_->FindReservation(reservation_id));
    };
    if (!executor_->TryRun(find)) (*answer)(absl::ResourceExhaustedError("too many calls wait for the ledger"));
  }

 private:
  CommitPipeline* const pipeline_;
  ReservationLedger* const ledger_;
  Executor* const executor_;
};

}  // namespace tranche::storage
