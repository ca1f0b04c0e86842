// A broker of claim queues whose state a test sets: for what operators do with it. Not for consumers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/queue/claim_queue.h"

namespace tranche::server {

// One thread.
class ScriptedBroker : public ClaimQueueAdmin, public ClaimPublisher {
 public:
  struct Queue {
    int64_t ready = 0;
    int64_t consumers = 0;
    std::vector<DeadClaim> dead = {};
  };
  struct Published {
    std::string queue;
    std::string id;
    std::string body;
  };

  absl::Status Declare(absl::Span<const std::string> names) override {
    for (const std::string& name : names) queues[name];
    return error;
  }
  absl::StatusOr<std::vector<QueueDepth>> Depths(absl::Span<const std::string> names) override {
    ++looks;
    if (!error.ok()) return error;
    std::vector<QueueDepth> depths;
    for (const std::string& name : names) {
      const auto queue = queues.find(name);
      if (queue == queues.end()) return absl::NotFoundError(name);
      depths.push_back({.queue = name,
                        .ready = queue->second.ready,
                        .consumers = queue->second.consumers,
                        .dead = static_cast<int64_t>(queue->second.dead.size())});
    }
    return depths;
  }
  absl::StatusOr<std::vector<DeadClaim>> ListDead(const std::string& name, int limit) override {
    if (!error.ok()) return error;
    const auto queue = queues.find(name);
    if (queue == queues.end()) return absl::NotFoundError(name);
    std::vector<DeadClaim> dead = queue->second.dead;
    if (dead.size() > static_cast<size_t>(limit)) dead.resize(static_cast<size_t>(limit));
    return dead;
  }
  absl::StatusOr<int> TakeDead(const std::string& name, absl::Span<const std::string> ids, Each each) override {
    if (!error.ok()) return error;
    const auto queue = queues.find(name);
    if (queue == queues.end()) return absl::NotFoundError(name);
    std::vector<DeadClaim> stay;
    int taken = 0;
    for (DeadClaim& dead : queue->second.dead) {
      const bool wanted = ids.empty() || absl::c_linear_search(ids, dead.id);
      if (wanted && each(dead).ok()) {
        ++taken;
      } else {
        stay.push_back(std::move(dead));
      }
    }
    queue->second.dead = std::move(stay);
    return taken;
  }

  void Publish(const std::string& queue, std::string id, std::string body, absl::Time, PublishDone done) override {
    if (before_publish) before_publish();
    if (!publish_error.ok()) return done(publish_error);
    published.push_back({queue, std::move(id), std::move(body)});
    done(absl::OkStatus());
  }
  bool Up() const override { return publish_error.ok(); }

  std::map<std::string, Queue> queues;
  absl::Status error;          // of ClaimQueueAdmin's calls
  absl::Status publish_error;  // of Publish
  std::function<void()> before_publish;
  std::vector<Published> published;
  int looks = 0;  // calls of Depths
};

}  // namespace tranche::server
