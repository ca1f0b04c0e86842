// The admin handlers on the fakes.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/quota_mover.h"
#include "quota/fake/fake_coordination.h"
#include "server/handlers/audit_handler.h"
#include "server/handlers/cluster_handler.h"
#include "server/handlers/coordination_handler.h"
#include "server/handlers/node_handler.h"
#include "server/handlers/quota_handler.h"
#include "server/handlers/sku_change_handler.h"
#include "server/handlers/sku_handler.h"
#include "server/handlers/stock_handler.h"
#include "server/handlers/verify_handler.h"
#include "storage/fake/fake_ledger.h"
#include "tests/support/sessions.h"
#include "tests/unit/server/error_matchers.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::server {

inline constexpr char kActor[] = "tester";

// A ledger in which somebody else is faster: the given call runs once, right before the next change reaches the ledger.
class MeddledLedger : public storage::FakeLedger {
 public:
  using FakeLedger::FakeLedger;

  absl::StatusOr<std::vector<absl::StatusOr<storage::SkuQuota>>> MoveUnitsBatch(
      absl::Span<const storage::QuotaMove> moves, const storage::Actor& actor) override {
    Meddle();
    return FakeLedger::MoveUnitsBatch(moves, actor);
  }
  absl::StatusOr<storage::Sku> AddStock(const std::string& sku_id, int64_t units, std::optional<int64_t> expected_stock,
                                        const storage::Actor& actor) override {
    Meddle();
    return FakeLedger::AddStock(sku_id, units, expected_stock, actor);
  }
  absl::StatusOr<storage::ReducedStock> ReduceStock(const std::string& sku_id, int64_t units,
                                                    std::optional<int64_t> expected_stock,
                                                    const storage::Actor& actor) override {
    Meddle();
    return FakeLedger::ReduceStock(sku_id, units, expected_stock, actor);
  }
  absl::StatusOr<storage::Sku> UpdateSku(const storage::Sku& sku, const storage::Actor& actor) override {
    Meddle();
    return FakeLedger::UpdateSku(sku, actor);
  }
  absl::StatusOr<storage::Incarnation> SetDraining(storage::IncarnationId incarnation, bool draining,
                                                   const storage::Actor& actor,
                                                   const storage::DrainTelling& telling = {}) override {
    Meddle();
    return FakeLedger::SetDraining(incarnation, draining, actor, telling);
  }

  absl::StatusOr<std::vector<storage::AuditEntry>> ListAudit(const storage::AuditFilter& filter, int64_t before,
                                                             int limit) override {
    if (audit_fails) return absl::UnavailableError("no audit log now");
    return FakeLedger::ListAudit(filter, before, limit);
  }

  std::function<void()> before_next_change;
  bool audit_fails = false;

 private:
  void Meddle() {
    if (before_next_change) std::exchange(before_next_change, nullptr)();
  }
};

// Two registered nodes, "a" and "b", and the SKU "tv" with 100 units.
class AdminHandlersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto session = connector_.Connect(&observer_);
    ASSERT_TRUE(session.ok());
    sessions_.session = *std::move(session);
    a_ = Register("a");
    b_ = Register("b");
    v1::CreateSkuRequest request;
    *request.mutable_sku() = Tv();
    ASSERT_TRUE(sku_.Create(request, kActor).ok());
  }

  static v1::Sku Tv() {
    v1::Sku sku;
    sku.set_sku_id("tv");
    sku.set_title("A television");
    sku.set_price_minor(19900);
    sku.set_currency("EUR");
    sku.set_stock(100);
    return sku;
  }

  storage::IncarnationId Register(const std::string& name) { return Register(name, name + ":1"); }
  storage::IncarnationId Register(const std::string& name, const std::string& address, bool consumer = false) {
    const auto incarnation = ledger_.RegisterIncarnation(name, address);
    EXPECT_TRUE(incarnation.ok());
    internal::v1::NodeRegistration registration;
    registration.set_name(name);
    registration.set_address(address);
    registration.set_consumer(consumer);
    quota::Coordination& session = *sessions_.session;
    EXPECT_TRUE(session.Create(quota::SlicesPath(*incarnation), "", quota::CreateMode::kPersistent).ok());
    EXPECT_TRUE(
        session.Create(quota::NodePath(*incarnation), registration.SerializeAsString(), quota::CreateMode::kEphemeral)
            .ok());
    return *incarnation;
  }

  v1::SetQuotaRequest SetRequest(const std::string& node, int64_t remaining, bool preview) {
    v1::SetQuotaRequest request;
    request.set_sku_id("tv");
    request.set_node(node);
    request.set_remaining(remaining);
    request.set_preview(preview);
    return request;
  }

  v1::Quota Quota() {
    v1::GetQuotaRequest request;
    request.set_sku_id("tv");
    const auto response = quota_.Get(request);
    EXPECT_TRUE(response.ok());
    return response->quota();
  }

  static v1::Slice SliceIn(const v1::Quota& quota, storage::IncarnationId holder) {
    for (const v1::Slice& slice : quota.slices()) {
      if (slice.incarnation() == holder) return slice;
    }
    return v1::Slice();
  }

  // The quota as text, without the announcements, so that a preview can be compared with the result.
  static std::string WithoutAnnouncements(v1::Quota quota) {
    for (v1::Slice& slice : *quota.mutable_slices()) slice.clear_announced_version();
    return quota.DebugString();
  }

  // Writes a node's report about "tv".
  void Report(storage::IncarnationId incarnation, double grants_per_s, double denials_per_s) {
    internal::v1::DemandReport report;
    report.set_reported_at_us(absl::ToUnixMicros(clock_.Now()));
    auto* demand = report.add_skus();
    demand->set_sku_id("tv");
    demand->set_free(3);
    demand->set_in_flight(2);
    demand->set_waiting(1);
    demand->set_slice_version(4);
    demand->set_grants_per_s(grants_per_s);
    demand->set_denials_per_s(denials_per_s);
    demand->set_refused_per_s(7.5);
    Write(quota::DemandPath(incarnation), report.SerializeAsString());
  }

  void Write(const std::string& path, const std::string& data) {
    quota::Coordination& session = *sessions_.session;
    if (session.Set(path, data, quota::kAnyVersion).ok()) return;
    EXPECT_TRUE(session.Create(path, data, quota::CreateMode::kPersistent).ok()) << path;
  }

  // Sells one unit each, like the node of this incarnation.
  void Sell(storage::IncarnationId incarnation, int units) {
    std::vector<storage::ReservationClaim> claims;
    for (int i = 0; i < units; ++i) {
      const auto id = storage::Uuid::Parse(absl::StrFormat("00000000-0000-4000-8000-%012d", ++buyers_));
      claims.push_back({.reservation_id = *id, .sku_id = "tv", .user_id = absl::StrCat("u", buyers_), .quantity = 1});
    }
    const auto sold = ledger_.CommitReservations(incarnation, storage::LockMode::kWait, claims);
    ASSERT_TRUE(sold.ok());
    for (const auto& result : *sold) EXPECT_EQ(result.outcome, storage::CommitOutcome::kCreated);
  }

  static int64_t Remaining(const v1::Quota& quota, storage::IncarnationId holder) {
    return SliceIn(quota, holder).remaining();
  }

  storage::FakeClock clock_;
  MeddledLedger ledger_{&clock_};
  quota::FakeZookeeper zookeeper_;
  quota::FakeConnector connector_{&zookeeper_};
  testing::DeafObserver observer_;
  testing::FixedSession sessions_;
  quota::Announcer announcer_{&sessions_};
  quota::QuotaMover mover_{&ledger_, &announcer_};
  SkuHandler sku_{&ledger_, &announcer_, &clock_};
  SkuChangeHandler change_{&ledger_, &announcer_, &clock_};
  StockHandler stock_{&ledger_, &announcer_, &clock_};
  QuotaHandler quota_{&ledger_, &mover_, &sessions_, &clock_};
  NodeHandler node_{&ledger_, &sessions_, &clock_};
  VerifyHandler verify_{&ledger_};
  CoordinationHandler coordination_{&sessions_, &ledger_, &clock_};
  AuditHandler audit_{&ledger_};
  storage::IncarnationId a_ = 0;
  storage::IncarnationId b_ = 0;
  int buyers_ = 0;
};

}  // namespace tranche::server
