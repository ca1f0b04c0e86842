// What a node with an access file shows of it.
#include "server/node/node_access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "storage/fake/fake_ledger.h"
#include "tests/support/scratch_dir.h"
#include "tests/unit/server/metrics/metric_values.h"

namespace tranche::server {
namespace {

using ::testing::Optional;
using ::testing::UnorderedElementsAre;

class NodeAccessTest : public ::testing::Test, private MetricSource {
 protected:
  static constexpr char kAdmin[] = "tranche.v1.AdminService";
  static constexpr char kCatalog[] = "tranche.v1.CatalogService";

  void Deny(const char* service, const char* method, bool known) {
    access_.control()->denials().Note({.service = service,
                                       .method = method,
                                       .permission = Permission::kObserve,
                                       .known = known,
                                       .caller = known ? "till" : "ipv4:10.0.0.7"});
  }
  MetricValues Shown() { return MetricValues(*this); }
  static MetricLabels Of(const std::string& service, const std::string& method, const std::string& reason) {
    return {{"grpc_service", service}, {"grpc_method", method}, {"reason", reason}};
  }

  const tranche::testing::ScratchDir scratch_{"node-access"};
  storage::FakeClock clock_;
  storage::FakeLedger ledger_{&clock_};
  NodeAccess access_{scratch_.path() / "access.json", {}, &ledger_};

 private:
  void Collect(MetricSet* metrics) override { access_.Collect(metrics); }
};

TEST_F(NodeAccessTest, DeniedCallsAreShownAsCallsAre) {
  for (int i = 0; i < 3; ++i) Deny(kAdmin, "GetSku", /*known=*/true);
  Deny(kAdmin, "GetSku", /*known=*/false);
  Deny(kCatalog, "GetSku", /*known=*/true);
  const MetricValues shown = Shown();
  const std::string name = "tranche_denied_calls_total";
  EXPECT_THAT(shown.Of(name, Of(kAdmin, "GetSku", "ROLE_MISSING")), Optional(3));
  EXPECT_THAT(shown.Of(name, Of(kAdmin, "GetSku", "CALLER_UNKNOWN")), Optional(1));
  EXPECT_THAT(shown.Of(name, Of(kCatalog, "GetSku", "ROLE_MISSING")), Optional(1));
  EXPECT_EQ(shown.Of(name, Of(kCatalog, "GetSku", "CALLER_UNKNOWN")), std::nullopt);
}

TEST_F(NodeAccessTest, ThereIsNothingElse) {
  EXPECT_THAT(Shown().Names(),
              UnorderedElementsAre("tranche_access_file_faulty", "tranche_denied_calls_not_audited_total"));
  EXPECT_THAT(Shown().Of("tranche_access_file_faulty", {}), Optional(0));
  EXPECT_FALSE(access_.file_faulty());
}

}  // namespace
}  // namespace tranche::server
