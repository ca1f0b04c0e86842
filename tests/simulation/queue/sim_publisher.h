// The broker as one node puts claims into it: each message takes its time, and so does its confirm, which may not come.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "server/queue/claim_queue.h"
#include "tests/simulation/process.h"

namespace tranche::simulation {

class SimPublisher : public server::ClaimPublisher {
 public:
  // Outlived by the process. What is under way when this is destroyed is never answered.
  explicit SimPublisher(Process* process);
  ~SimPublisher() override { *alive_ = false; }

  void Publish(const std::string& queue, std::string id, std::string body, absl::Time deadline,
               PublishDone done) override;
  bool Up() const override { return server_->Up(); }

 private:
  void Arrive(uint64_t number, const std::string& queue, std::string id, std::string body, absl::Time deadline);
  void Answer(uint64_t number, const absl::Status& status);
  void After(absl::Duration delay, absl::AnyInvocable<void()> then);

  Process* const process_;
  const std::unique_ptr<server::ClaimPublisher> server_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  // Kept here, so that they end with the process.
  std::map<uint64_t, PublishDone> under_way_;
  uint64_t last_number_ = 0;
};

}  // namespace tranche::simulation
