// The live line on stderr of a scenario.
#pragma once

#include <functional>
#include <thread>

#include "absl/synchronization/notification.h"
#include "tranche/internal/v1/load.pb.h"

namespace tranche::load {

// Draws from construction to destruction; the last state stays visible. `progress` is called on another thread.
class ScenarioProgress {
 public:
  explicit ScenarioProgress(std::function<internal::v1::LoadProgress()> progress);
  ~ScenarioProgress();
  ScenarioProgress(const ScenarioProgress&) = delete;
  ScenarioProgress& operator=(const ScenarioProgress&) = delete;

 private:
  void Draw();

  const std::function<internal::v1::LoadProgress()> progress_;
  absl::Notification stop_;
  std::thread thread_;
};

}  // namespace tranche::load
