// The files that reconciliation uses, as interfaces, so that tests can use memory and inject failures.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tranche::reconcile {

// Read from beginning to end. Not thread-safe.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // At most `size` bytes; 0 at the end.
  virtual absl::StatusOr<size_t> Read(char* buffer, size_t size) = 0;
};

// Takes the sorted runs that do not fit into memory. Deleted with the object. Not thread-safe.
class SpillFile {
 public:
  virtual ~SpillFile() = default;
  virtual absl::Status Append(absl::string_view bytes) = 0;
  // Exactly `size` bytes.
  virtual absl::Status ReadAt(uint64_t offset, char* buffer, size_t size) = 0;
};

// Called only when something has to be spilled.
using MakeSpillFile = std::function<absl::StatusOr<std::unique_ptr<SpillFile>>()>;

}  // namespace tranche::reconcile
