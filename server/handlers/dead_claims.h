// What is done with one dead letter of a claim queue before it leaves: it is put into its queue again, or its claim is
// refused for good.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/queue/claim_queue.h"
#include "storage/books.h"
#include "storage/clock.h"

namespace tranche::server {

// For one call of an operator, and its thread. Both methods block, and may be repeated: a claim that is queued twice is
// decided once, and one that is refused stays so. Errors are those of the API.
class DeadClaims {
 public:
  // Outlived by all of these.
  DeadClaims(ClaimPublisher* publisher, storage::Books* books, storage::Clock* clock)
      : publisher_(publisher), books_(books), clock_(clock) {}

  // OK: the broker has confirmed that it is in `queue`. For 2.2 seconds at most.
  absl::Status Retry(const std::string& queue, const DeadClaim& dead);
  // OK: the ledger says of each line that it was refused, or has sold it before; or nothing can be said, because the
  // message cannot be read, or the SKU or the id is not that of this claim any more.
  absl::Status Discard(const DeadClaim& dead);

 private:
  // Where the SKU is; kNotFound: nowhere. Dead letters are often of one SKU, so it is remembered.
  absl::StatusOr<std::string> ShardOf(const std::string& sku_id);
  absl::Status RefuseAt(const std::string& shard, std::vector<storage::ClaimRefusal> refusals);

  ClaimPublisher* const publisher_;
  storage::Books* const books_;
  storage::Clock* const clock_;
  std::map<std::string, std::string> shards_;  // by SKU
};

}  // namespace tranche::server
