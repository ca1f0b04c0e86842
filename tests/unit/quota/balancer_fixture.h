// A balancer on the fakes, with front nodes as it sees them.
#pragma once

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "quota/balancer/balancer.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/fake/fake_coordination.h"
#include "storage/fake/fake_ledger.h"
#include "storage/ledger/ledger_error.h"
#include "tests/unit/quota/tree_tools.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {

// A front node as the balancer sees it: a registration, and what is announced to it.
struct Node {
  std::unique_ptr<Coordination> session;
  storage::IncarnationId id = storage::kPool;
};

// A ledger in which some SKUs change so often that no announcement has their latest version, in which others are
// locked, and whose marks and new histories can be made to fail. It can also be replaced by another ledger.
class BusyLedger : public storage::FakeLedger {
 public:
  using FakeLedger::FakeLedger;
  absl::Status AckReturnedSkus(absl::Span<const std::pair<std::string, int64_t>> announced) override {
    std::vector<std::pair<std::string, int64_t>> quiet;
    for (const auto& sku : announced) {
      if (sku.first >= busy_before) quiet.push_back(sku);
    }
    return FakeLedger::AckReturnedSkus(quiet);
  }

  absl::StatusOr<storage::ClusterSettings> ReadClusterSettings() override {
    if (settings_fail) return absl::UnavailableError("not now");
    return FakeLedger::ReadClusterSettings();
  }

  absl::StatusOr<storage::LedgerMark> Mark(const std::optional<storage::LedgerMark>& earlier) override {
    if (marks_left == 0) return absl::UnavailableError("no more marks");
    --marks_left;
    auto mark = FakeLedger::Mark(earlier);
    if (mark.ok() && !line_of_another.empty()) mark->line = line_of_another;
    return mark;
  }

  absl::StatusOr<storage::IncarnationId> BeginHistory(storage::IncarnationId above,
                                                      const storage::Actor& actor) override {
    if (histories_to_fail == 0) return FakeLedger::BeginHistory(above, actor);
    --histories_to_fail;
    return absl::UnavailableError("not now");
  }

  // While some SKUs are locked, whatever needs them does nothing.
  absl::StatusOr<std::vector<absl::StatusOr<storage::SkuQuota>>> MoveUnitsBatch(
      absl::Span<const storage::QuotaMove> moves, const storage::Actor& actor) override {
    for (const storage::QuotaMove& move : moves) {
      if (locked.contains(move.sku_id)) return Waited();
    }
    return FakeLedger::MoveUnitsBatch(moves, actor);
  }
  absl::StatusOr<std::vector<std::string>> ReclaimIncarnation(storage::IncarnationId incarnation) override {
    const auto slices = FakeLedger::ListSlices(incarnation);
    for (const auto& [sku_id, slice] : *slices) {
      if (locked.contains(sku_id)) return Waited();
    }
    return FakeLedger::ReclaimIncarnation(incarnation);
  }

  absl::StatusOr<std::vector<std::pair<std::string, storage::HeldSlice>>> ListSlices(
      storage::IncarnationId incarnation) override {
    ++slice_reads;
    return FakeLedger::ListSlices(incarnation);
  }

  std::set<std::string> locked;
  int slice_reads = 0;
  int waited_in_vain = 0;
  std::string busy_before;      // these ids
  std::string line_of_another;  // if not empty, it is that one
  int marks_left = 1000000;
  int histories_to_fail = 0;
  bool settings_fail = false;

 private:
  absl::Status Waited() {
    ++waited_in_vain;
    return storage::BusyError("lock timeout");
  }
};

// Every round is run by hand, on one thread; time moves by hand.
class BalancerTest : public ::testing::Test {
 protected:
  BalancerTest() { EXPECT_TRUE(balancer_.Connect().ok()); }

  void CreateSku(int64_t stock, const std::string& sku_id = "tv", bool presplit = true) {
    ASSERT_TRUE(ledger_
                    .CreateSku({.sku_id = sku_id,
                                .title = "",
                                .price_minor = 100,
                                .currency = "EUR",
                                .stock = stock,
                                .per_user_limit = 1000,
                                .presplit = presplit},
                               "test")
                    .ok());
  }

  Node AddNode(bool consumer = false) {
    Node node{*connector_.Connect(&operator_), *ledger_.RegisterIncarnation("node", "host:1")};
    Register(node, consumer);
    return node;
  }
  // It sells what is queued.
  Node AddConsumer() { return AddNode(/*consumer=*/true); }
  void Register(const Node& node, bool consumer = false) {
    internal::v1::NodeRegistration registration;
    registration.set_name("node");
    registration.set_address("host:1");
    registration.set_consumer(consumer);
    EXPECT_TRUE(node.session->Create(SlicesPath(node.id), "", CreateMode::kPersistent).ok());
    EXPECT_TRUE(node.session->Create(NodePath(node.id), registration.SerializeAsString(), CreateMode::kEphemeral).ok());
  }

  // Writes the node's latest report. Without a version it is that of a node that has heard of nothing.
  void ReportDemand(const Node& node, int64_t wanted, double grants_per_s = 0, int64_t free = 0,
                    int64_t slice_version = 0, const std::string& sku_id = "tv") {
    internal::v1::DemandReport report;
    report.set_sequence(1);
    internal::v1::DemandReport::SkuDemand* demand = report.add_skus();
    demand->set_sku_id(sku_id);
    demand->set_wanted(wanted);
    demand->set_grants_per_s(grants_per_s);
    demand->set_free(free);
    demand->set_slice_version(slice_version);
    Report(node, report);
  }
  void Report(const Node& node, const internal::v1::DemandReport& report) {
    const std::string path = DemandPath(node.id), data = report.SerializeAsString();
    absl::Status written = node.session->Set(path, data, kAnyVersion);
    if (absl::IsNotFound(written)) written = node.session->Create(path, data, CreateMode::kEphemeral);
    ASSERT_TRUE(written.ok()) << written;
  }

  storage::Uuid Buy(const Node& node, int32_t units) {
    const uint32_t number = next_id_++;
    storage::ReservationClaim claim{
        .reservation_id = {}, .sku_id = "tv", .user_id = std::to_string(number), .quantity = units};
    claim.reservation_id.bytes[14] = static_cast<uint8_t>(number >> 8);
    claim.reservation_id.bytes[15] = static_cast<uint8_t>(number);
    const auto results = ledger_.CommitReservations(node.id, storage::LockMode::kWait, {claim});
    EXPECT_TRUE(results.ok() && results->front().outcome == storage::CommitOutcome::kCreated);
    return claim.reservation_id;
  }

  // Sells the only unit in the pool of a SKU, and cancels.
  void ReturnUnit(const Node& node, const std::string& sku_id) {
    ASSERT_TRUE(ledger_.MoveUnits(sku_id, {{node.id, 1}}, std::nullopt, "test").ok());
    storage::ReservationClaim claim{.reservation_id = {}, .sku_id = sku_id, .user_id = "buyer", .quantity = 1};
    claim.reservation_id.bytes[0] = 1;
    claim.reservation_id.bytes[15] = static_cast<uint8_t>(next_id_++);
    ASSERT_TRUE(ledger_.CommitReservations(node.id, storage::LockMode::kWait, {claim}).ok());
    ASSERT_TRUE(ledger_.CancelReservations({{claim.reservation_id, ""}}).ok());
  }

  // One round, in which all steps must succeed.
  void Round() {
    const absl::Status status = balancer_.RunOnce();
    ASSERT_TRUE(status.ok()) << status;
  }
  // Rounds until there is nothing to do at once.
  void Rounds() {
    int rounds = 0;
    do {
      Round();
    } while (balancer_.HasWork() && ++rounds < 100);
    EXPECT_FALSE(balancer_.HasWork()) << "it would go round forever";
  }

  storage::HeldSlice Held(storage::IncarnationId holder) {
    const storage::QuotaSnapshot quota = *ledger_.ReadQuota("tv");
    for (const storage::HeldSlice& slice : quota.slices) {
      if (slice.holder == holder) return slice;
    }
    return {};
  }
  int64_t Left(storage::IncarnationId holder) { return Held(holder).remaining; }
  int64_t QuotaVersion() { return ledger_.ReadQuota("tv")->quota_version; }
  int64_t Unsold() { return ledger_.GetSku("tv")->unsold; }
  bool IsLive(storage::IncarnationId id) {
    const auto live = *ledger_.ListLiveIncarnations();
    return std::any_of(live.begin(), live.end(), [&](const auto& incarnation) { return incarnation.id == id; });
  }
  bool Exists(const std::string& path) { return operator_.Exists(path); }

  // The node is told what the ledger says, with the ledger's version.
  void ExpectAnnounced(const Node& node) {
    const auto znode = operator_.tree().Get(SlicePath(node.id, "tv"), Watch::kNo);
    ASSERT_TRUE(znode.ok()) << znode.status();
    internal::v1::SliceAnnouncement announcement;
    ASSERT_TRUE(announcement.ParseFromString(znode->data));
    EXPECT_EQ(announcement.allotted(), Held(node.id).allotted);
    EXPECT_EQ(announcement.version(), Held(node.id).version);
  }
  internal::v1::SkuAnnouncement AnnouncedSku() {
    internal::v1::SkuAnnouncement announcement;
    const auto znode = operator_.tree().Get(SkuPath("tv"), Watch::kNo);
    EXPECT_TRUE(znode.ok() && announcement.ParseFromString(znode->data));
    return announcement;
  }

  storage::FakeClock clock_;
  BusyLedger ledger_{&clock_};
  FakeZookeeper zookeeper_;
  FakeConnector connector_{&zookeeper_};
  Bystander operator_{&connector_};
  const BalancerOptions options_;
  Balancer balancer_{&connector_, &ledger_, &clock_, options_};
  uint32_t next_id_ = 1;
};

}  // namespace tranche::quota
