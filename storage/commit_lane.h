// One lane of the commit pipeline: commits one batch after the other, a step at a time.
//
// A thread of the pipeline runs it as "step, wait for what it says". The simulation makes lanes of its own on a
// pipeline without threads and runs them in the same way, with its own idea of waiting.
#pragma once

#include <vector>

#include "storage/commit_pipeline.h"

namespace tranche::storage {

// Used by one thread at a time. Outlived by the pipeline. Claims of a lane that is destroyed in the middle of a batch
// are never answered, as if the process had died.
class CommitLane {
 public:
  // What to wait for before the next step.
  enum class Next {
    kStep,       // nothing
    kAwaitWork,  // claims: the pipeline's queue is empty
    kPause,      // PipelineOptions::retry_interval: the ledger does not answer
    kEnd,        // the pipeline is shutting down, and nothing is left to do
  };

  explicit CommitLane(CommitPipeline* pipeline) : pipeline_(pipeline) {}
  CommitLane(const CommitLane&) = delete;
  CommitLane& operator=(const CommitLane&) = delete;

  // Calls the ledger at most once. Blocks for that call only.
  Next Step();

 private:
  using Batch = CommitPipeline::Batch;

  Next Commit();
  absl::StatusOr<std::vector<CommitResult>> Send();
  Next AskForLedger();
  void Answer(std::vector<CommitResult> results);
  void AnswerAll(Batch batch, const absl::Status& status);
  void DropExpired();

  CommitPipeline* const pipeline_;
  Batch batch_;                           // in the making; empty between two batches
  bool in_doubt_ = false;                 // some earlier try of this batch may have been committed
  int transaction_retries_ = 0;           // of this batch
  bool ledger_is_down_ = false;           // no batch is taken until it answers again
  std::vector<ReservationClaim> claims_;  // kept for its memory
};

}  // namespace tranche::storage
