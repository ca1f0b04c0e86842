// A lane of the commit pipeline, for callers that run lanes themselves: see GroupCommitLane.
#pragma once

#include "storage/pipeline/commit_pipeline.h"

namespace tranche::storage {

class CommitLane : public GroupCommitLane<ClaimWork> {
 public:
  explicit CommitLane(CommitPipeline* pipeline) : GroupCommitLane(&pipeline->group_) {}
};

}  // namespace tranche::storage
