// The main function of the crowds of scripts/chaos.
#pragma once

#include <CLI/CLI.hpp>
#include <iostream>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace tranche::load {

// Reads the flags that `add_flags` declares, and runs the crowd. Returns the program's exit status: 0, or 1 for wrong
// usage and after an error of `run`, which it prints.
template <typename Options>
int CrowdMain(int argc, char** argv, const char* description, const char* name,
              void (*add_flags)(CLI::App& app, Options& options), absl::Status (*run)(const Options& options)) {
  // Debian builds Abseil with its deadlock detector on, which would cost gRPC time at every lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  CLI::App app(description, name);
  Options options;
  add_flags(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 1;
  }
  const absl::Status done = run(options);
  if (!done.ok()) std::cerr << name << ": " << done.message() << "\n";
  return done.ok() ? 0 : 1;
}

}  // namespace tranche::load
