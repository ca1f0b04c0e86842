#include "client/ctl/hints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "client/internal/status_translation.h"

namespace tranche::ctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// What is advised when the cluster has refused a change for this reason.
std::string Hint(const std::string& reason, const std::map<std::string, std::string>& metadata = {}) {
  absl::Status status = absl::FailedPreconditionError("refused");
  internal::SetReason(status, reason);
  for (const auto& [key, value] : metadata) internal::SetMetadata(status, key, value);
  return NextStepFor(status, /*changed_nothing=*/true);
}

TEST(HintsTest, OfAShardFitWhatItIsAbout) {
  EXPECT_THAT(Hint("SHARD_STATE", {{"shard", "hot"}, {"sku_id", "tv"}}), HasSubstr("sku show"));
  EXPECT_THAT(Hint("SHARD_STATE", {{"shard", "hot"}}), HasSubstr("shard list"));
  for (const auto& metadata : {std::map<std::string, std::string>{}, {{"sku_id", "tv"}}}) {
    EXPECT_THAT(Hint("SHARD_STATE", metadata), Not(HasSubstr("--abort"))) << "it may be what was typed";
  }
}

}  // namespace
}  // namespace tranche::ctl
