// A file to which any thread may add lines.
#pragma once

#include <fstream>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace tranche::load {

// Nothing is kept in memory. Thread-safe.
class LineFile {
 public:
  absl::Status Open(const std::string& path);
  // Writes the line and its end. Does nothing unless open.
  void Add(absl::string_view line);
  // False: not everything could be written.
  bool Close();

 private:
  absl::Mutex mutex_;
  std::ofstream file_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::load
