// A broker's admin that says what the test told it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/queue/claim_queue.h"

namespace tranche::server {

class ScriptedQueueAdmin : public ClaimQueueAdmin {
 public:
  absl::Status Declare(absl::Span<const std::string> queues) override {
    for (const std::string& queue : queues) {
      declared.push_back(queue);
      ready.try_emplace(queue, 0);
    }
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<QueueDepth>> Depths(absl::Span<const std::string> queues) override {
    ++asked;
    if (on_depths) on_depths();
    if (!error.ok()) return error;
    std::vector<QueueDepth> depths;
    for (const std::string& queue : queues) {
      if (!ready.contains(queue)) return absl::NotFoundError(queue);
      depths.push_back({.queue = queue, .ready = ready[queue], .consumers = consumers, .dead = dead});
    }
    return depths;
  }
  absl::StatusOr<std::vector<DeadClaim>> ListDead(const std::string&, int) override {
    return absl::UnimplementedError("the test does not expect this call");
  }
  absl::StatusOr<int> TakeDead(const std::string&, absl::Span<const std::string>, Each) override {
    return absl::UnimplementedError("the test does not expect this call");
  }

  std::map<std::string, int64_t> ready;  // of the queues that exist
  int64_t consumers = 1;                 // of each
  int64_t dead = 2;                      // of each
  std::vector<std::string> declared;
  absl::Status error;
  std::function<void()> on_depths;
  int asked = 0;
};

}  // namespace tranche::server
