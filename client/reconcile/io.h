// The files that reconciliation uses, as interfaces: tests give it memory, and failures.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tranche::reconcile {

// Read from its beginning to its end. Not thread-safe.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // At most `size` bytes; 0 at the end.
  virtual absl::StatusOr<size_t> Read(char* buffer, size_t size) = 0;
};

// Where sorted runs go that have no room in memory. Gone with the object. Not thread-safe.
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
