// The real files.
#pragma once

#include <memory>
#include <string>

#include "client/reconcile/io.h"

namespace tranche::reconcile {

// "-" is the standard input. Errors name the path.
absl::StatusOr<std::unique_ptr<ByteSource>> OpenSource(const std::string& path);

// An unnamed file in `folder`: its space is freed however the process ends.
absl::StatusOr<std::unique_ptr<SpillFile>> MakeTemporaryFile(const std::string& folder);

}  // namespace tranche::reconcile
