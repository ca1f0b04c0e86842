// Sessions that count what passes through them.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "quota/coordination/coordination.h"
#include "tests/scale/traffic.h"

namespace tranche::testing {

// Outlived by `inner` and `traffic`, which all its sessions share.
class CountingConnector : public quota::CoordinationConnector {
 public:
  CountingConnector(quota::CoordinationConnector* inner, Traffic* traffic) : inner_(inner), traffic_(traffic) {}

  absl::StatusOr<std::unique_ptr<quota::Coordination>> Connect(quota::CoordinationObserver* observer) override;

 private:
  quota::CoordinationConnector* const inner_;
  Traffic* const traffic_;
};

// The size of a list of children in the server's reply: a length and the name for each, and the header with the stat.
int64_t ListReplyBytes(const std::vector<std::string>& names);

}  // namespace tranche::testing
