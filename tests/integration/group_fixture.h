// Three nodes, a worker and groups: what buyers and operators ask, and what the ledger has then. All tests share the
// servers: each has SKUs of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/tranchectl_runner.h"

namespace tranche::testing {

// For what takes a moment on an idle machine.
inline constexpr absl::Duration kGroupPatience = absl::Seconds(60);
inline constexpr int kGroupNodes = 3;
inline constexpr int64_t kGroupPriceMinor = 39900;  // alone, a unit costs 499.00

struct OfferTerms {
  int32_t seats = 2;
  absl::Duration open_for = absl::Hours(1);
  absl::Duration pay_within = absl::Minutes(15);
  // Above 0: PARTIAL.
  int32_t min_members = 0;
};

class GroupFixture : public SaleTest, protected TranchectlRunner {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();
  void SetUp() override;
  // The books are right, by each rule and by what an operator types.
  void TearDown() override;

  // Fails the test if it does not become so.
  static void AwaitTrue(const std::string& what, const std::function<bool()>& is_so);

  void OfferGroups(const std::string& sku, const std::string& offer, const OfferTerms& terms);

  // Buyers, each at one node. What is not "Try" must succeed.
  Client& at(int node) { return *clients_.at(static_cast<size_t>(node % kGroupNodes)); }
  absl::StatusOr<JoinedGroup> TryOpen(const std::string& sku, const std::string& offer, const std::string& user);
  JoinedGroup Open(const std::string& sku, const std::string& offer, const std::string& user);
  absl::StatusOr<JoinedGroup> TryJoin(const JoinedGroup& group, const std::string& user, int node = 0);
  JoinedGroup Join(const JoinedGroup& group, const std::string& user, int node = 0);
  // A payment that the buyer has made only once, however often it is told.
  static ConfirmReservation PaymentOf(const JoinedGroup& member);
  ConfirmOutcome Pay(const JoinedGroup& member, int node = 0);
  // All at the same time, over all nodes: how many had each outcome.
  std::map<ConfirmOutcome, int> PayAtOnce(const std::vector<JoinedGroup>& members);

  Group GroupOf(const JoinedGroup& member);
  Group AwaitOver(const JoinedGroup& member, GroupState state);
  Reservation Read(const JoinedGroup& member);

  // In the ledger. Of the members' reservations, so many messages of this kind; and payments of a SKU that are to be
  // refunded.
  int64_t Messages(const JoinedGroup& group, const std::string& kind);
  int64_t RefundsOf(const std::string& sku);
  int64_t UnsoldOf(const std::string& sku);

  int Ctl(std::vector<std::string> arguments) { return RunCtlAt(cluster_->endpoint(0), std::move(arguments)); }
  void Do(const std::vector<std::string>& arguments) { TableAt(cluster_->endpoint(0), arguments); }

 private:
  int64_t CountInLedger(const std::string& query, const std::string& a, const std::string& b);

  static std::unique_ptr<MiniCluster> shared_;  // between two tests
  std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace tranche::testing
