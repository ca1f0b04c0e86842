// The live line on stderr.
#pragma once

#include <thread>

#include "absl/synchronization/notification.h"
#include "client/load/generator.h"
#include "client/load/load_options.h"
#include "client/load/outcomes.h"

namespace tranche::load {

// Draws from construction to destruction; the last state stays visible.
class Progress {
 public:
  Progress(const LoadOptions& options, const Generator& generator, const Outcomes& outcomes);
  ~Progress();

 private:
  void Run();
  void Draw(double per_second);

  const LoadOptions& options_;
  const Generator& generator_;
  const Outcomes& outcomes_;
  absl::Notification stop_;
  std::thread thread_;
};

}  // namespace tranche::load
