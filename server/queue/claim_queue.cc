#include "server/queue/claim_queue.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace tranche::server {

std::string ClaimQueueName(const std::string& shard, int partition) {
  return absl::StrCat("tranche.claims.", shard, ".", partition);
}

int PartitionOf(const std::string& sku_id, int partitions) {
  // FNV-1a, 64 bits.
  uint64_t hash = 14695981039346656037u;
  for (const char c : sku_id) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 1099511628211u;
  }
  return static_cast<int>(hash % static_cast<uint64_t>(std::max(partitions, 1)));
}

}  // namespace tranche::server
