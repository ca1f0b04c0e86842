// Whatever somebody does to the coordination tree, it is repaired within the time that docs/quota.md promises, and the
// sale goes on meanwhile. Each kind of znode is deleted, filled with garbage, filled with a message of another kind,
// and filled with its own message with wild values.
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/read_announcement.h"
#include "quota/zookeeper/zookeeper_coordination.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/between_looks.h"
#include "tests/support/sessions.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::testing {
namespace {

using internal::v1::DemandReport;
using internal::v1::DrainRequest;
using internal::v1::LedgerMark;
using internal::v1::NodeRegistration;
using internal::v1::SkuAnnouncement;
using internal::v1::SliceAnnouncement;
using quota::Znode;
using storage::IncarnationId;

constexpr absl::Duration kPatience = absl::Seconds(60);
// Of those who only show that the sale goes on.
constexpr absl::Duration kBuyersRest = absl::Milliseconds(5);
constexpr int kNodes = 3;
constexpr int64_t kStock = 60;
constexpr int64_t kHighest = std::numeric_limits<int64_t>::max();
const char kGarbage[] = "\xff\xff\xff\xff garbage";

// The documented times, in which the machine may also be busy with other tests.
absl::Duration Within(absl::Duration documented) { return documented * 2 + absl::Seconds(5); }

using Found = absl::StatusOr<Znode>;

struct Damage {
  std::string what;
  std::string path;
  // What is written there; nullopt: it is deleted, with everything below it.
  std::optional<std::string> data;
  std::function<bool(const Found&)> repaired;
};

bool IsMissing(const Found& found) { return absl::IsNotFound(found.status()); }
bool Exists(const Found& found) { return found.ok(); }
std::function<bool(const Found&)> Says(const std::string& data) {
  return [data](const Found& found) { return found.ok() && found->data == data; };
}

class ZnodeRepairTest : public SaleTest {
 protected:
  void StartCluster(int shards = 0) {
    MiniClusterOptions options;
    options.nodes = kNodes;
    options.shards = shards;
    options.balancers = 2;
    options.zookeeper_session_timeout = absl::Seconds(2);
    SaleTest::StartCluster(options);
    quota::ZookeeperOptions zookeeper;
    zookeeper.servers = cluster_->zookeeper().connect_string();
    zookeeper.root = cluster_->zookeeper_root();
    tree_ = quota::ZookeeperConnector(zookeeper).Connect(&observer_).value();
    OpenSale("sale", 100000);
    WaitUntilShared("sale", 100000);
    buyers_ = std::make_unique<Shoppers>(client_.get(), std::vector<std::string>{"sale"}, 2, kBuyersRest);
    ASSERT_TRUE(buyers_->WaitForMore(20, kPatience));
  }

  Found Read(const std::string& path) { return tree_->Get(path, quota::Watch::kNo); }
  std::vector<std::string> ChildrenOf(const std::string& path) {
    return tree_->List(path, quota::Watch::kNo).value_or(std::vector<std::string>());
  }
  IncarnationId Incarnation(size_t number) {
    const std::vector<std::string> nodes = ChildrenOf(quota::kNodesPath);
    return number < nodes.size() ? quota::ParseIncarnation(nodes[number]) : storage::kPool;
  }
  void DeleteAll(const std::string& path) {
    for (const std::string& child : ChildrenOf(path)) DeleteAll(absl::StrCat(path, "/", child));
    tree_->Delete(path, quota::kAnyVersion).IgnoreError();  // another process may have written into it again
  }
  void Write(const std::string& path, const std::string& data) {
    absl::Status written;
    do {
      written = tree_->Set(path, data, quota::kAnyVersion);
      if (absl::IsNotFound(written)) written = tree_->Create(path, data, quota::CreateMode::kPersistent);
    } while (absl::IsAlreadyExists(written));  // its owner has made it again meanwhile
    ASSERT_TRUE(written.ok()) << written;
  }
  void Inflict(const Damage& damage) {
    damage.data.has_value() ? Write(damage.path, *damage.data) : DeleteAll(damage.path);
  }

  // All at once; each must be repaired in time, and buyers are served meanwhile.
  void ExpectRepaired(const std::vector<Damage>& damages, absl::Duration documented) {
    for (const Damage& damage : damages) Inflict(damage);
    const absl::Time give_up = absl::Now() + Within(documented);
    EXPECT_TRUE(buyers_->WaitForMore(20, Within(absl::Seconds(2)))) << "the sale does not go on";
    for (const Damage& damage : damages) {
      Found found = Read(damage.path);
      while (!damage.repaired(found) && absl::Now() < give_up) {
        RestBetweenLooks();
        found = Read(damage.path);
      }
      EXPECT_TRUE(damage.repaired(found))
          << damage.path << ", " << damage.what << ", is not repaired in " << documented;
    }
  }

  // Every unit of the SKU finds a buyer.
  void SellOut(const std::string& sku) {
    Shoppers shoppers(client_.get(), {sku}, 4);
    EXPECT_TRUE(shoppers.WaitForReason(Reason::kSoldOut, 10, kPatience)) << QuotaOf(sku).ShortDebugString();
    shoppers.Stop();
    EXPECT_EQ(static_cast<int64_t>(RowsOf(sku).size()), kStock) << "units of " << sku << " are stranded, or sold twice";
  }
  void EndSale() {
    buyers_->Stop();
    CheckBooks(*buyers_, {"sale"});
  }

  // Until a leading balancer looks at the ledger from now on.
  void AwaitLook() {
    const Found before = Read(quota::LedgerMarkPath());
    const absl::Time give_up = absl::Now() + kPatience;
    while (absl::Now() < give_up) {
      const Found now = Read(quota::LedgerMarkPath());
      if (now.ok() && before.ok() && now->version > before->version) return;
      RestBetweenLooks();
    }
    FAIL() << "nobody leads";
  }

  DeafObserver observer_;
  std::unique_ptr<quota::Coordination> tree_;
  std::unique_ptr<Shoppers> buyers_;
};

TEST_F(ZnodeRepairTest, AnnouncementsOfSlicesAndSkusAreRepairedInTenSeconds) {
  StartCluster();
  NodeRegistration registration;
  registration.set_name("a registration");
  registration.set_started_at_us(1);
  SliceAnnouncement wild_slice;
  SkuAnnouncement wild_sku;
  wild_sku.set_sku_id("another");
  wild_sku.set_state(SkuAnnouncement::STATE_CLOSED);
  wild_sku.set_per_user_limit(-1);
  wild_sku.set_opens_at_us(kHighest);
  wild_sku.set_unsold(-5);
  wild_sku.set_shard("nowhere");
  const std::map<std::string, std::optional<std::string>> kinds = {
      {"deleted", std::nullopt}, {"garbage", kGarbage},    {"other", registration.SerializeAsString()}, {"empty", ""},
      {"wild", std::nullopt},    {"wildest", std::nullopt}};
  std::vector<Damage> damages;
  std::vector<std::string> skus;
  for (const auto& [kind, data] : kinds) {
    const std::string of_slice = "slice-" + kind, of_sku = "sku-" + kind;
    for (const std::string& sku : {of_slice, of_sku}) {
      OpenSale(sku, kStock);
      WaitUntilShared(sku, kStock);
      skus.push_back(sku);
    }
    const bool wild = kind == "wild" || kind == "wildest";
    wild_slice.set_allotted(kind == "wild" ? 0 : kHighest);
    wild_slice.set_version(kind == "wild" ? 1000000 : kHighest - 1);
    wild_sku.set_version(wild_slice.version());
    // A readable announcement, whatever version it has by then; what follows shows that nodes obey it.
    const auto slice_again = [wild_slice](const Found& found) {
      const auto slice = found.ok() ? quota::ReadSliceAnnouncement(found->data) : std::nullopt;
      return slice.has_value() && slice->version() != wild_slice.version();
    };
    const auto sku_again = [](const Found& found) {
      const auto sku = found.ok() ? quota::ReadSkuAnnouncement(found->data) : std::nullopt;
      return sku.has_value() && sku->state() == SkuAnnouncement::STATE_OPEN && sku->per_user_limit() == 1 &&
             sku->opens_at_us() == 0 && sku->shard().empty();
    };
    for (size_t node = 0; node < kNodes; ++node) {
      damages.push_back({kind, quota::SlicePath(Incarnation(node), of_slice),
                         wild ? wild_slice.SerializeAsString() : data, slice_again});
    }
    damages.push_back({kind, quota::SkuPath(of_sku), wild ? wild_sku.SerializeAsString() : data, sku_again});
  }
  ExpectRepaired(damages, absl::Seconds(10));
  for (const std::string& sku : skus) SellOut(sku);
  EndSale();
}

TEST_F(ZnodeRepairTest, FoldersAreMadeAgainInTwoSecondsAndFilledInTen) {
  StartCluster();
  OpenSale("tv", kStock);
  WaitUntilShared("tv", kStock);
  std::vector<Damage> folders = {{"deleted", quota::SlicesPath(Incarnation(0)), std::nullopt, Exists}};
  for (const char* folder : quota::kFixedPaths) {
    if (std::string(folder) != quota::kSkusPath) folders.push_back({"deleted", folder, std::nullopt, Exists});
  }
  for (const Damage& folder : folders) ExpectRepaired({folder}, absl::Seconds(2));
  // Their contents are read by nobody, and may stay as they are.
  for (const char* folder : quota::kFixedPaths) Write(folder, kGarbage);
  Write(quota::SkuBucketPath("tv"), kGarbage);
  ExpectRepaired({{"deleted", quota::SkuBucketPath("sale"), std::nullopt, Exists},
                  {"its bucket deleted", quota::SkuPath("sale"), std::nullopt, Exists}},
                 absl::Seconds(10));
  // Nobody lists this one: it comes back with its contents.
  ExpectRepaired({{"deleted", quota::kSkusPath, std::nullopt, Exists},
                  {"its folder deleted", quota::SkuPath("tv"), std::nullopt, Exists},
                  {"its folder deleted", quota::SkuPath("sale"), std::nullopt, Exists}},
                 absl::Seconds(10));
  SellOut("tv");
  EndSale();
}

TEST_F(ZnodeRepairTest, RegistrationsAreMadeAgainInTwoSeconds) {
  StartCluster();
  OpenSale("tv", kStock);
  WaitUntilShared("tv", kStock);
  const IncarnationId first = Incarnation(0), second = Incarnation(1), third = Incarnation(2);
  NodeRegistration elsewhere;
  elsewhere.set_name("mallory");
  elsewhere.set_address("192.0.2.1:1");
  elsewhere.set_started_at_us(-kHighest);
  SliceAnnouncement slice;
  slice.set_allotted(5);
  slice.set_version(5);
  const auto unharmed = [this](IncarnationId id) { return Says(Read(quota::NodePath(id))->data); };
  ExpectRepaired({{"garbage", quota::NodePath(first), kGarbage, unharmed(first)},
                  {"another kind", quota::NodePath(second), slice.SerializeAsString(), unharmed(second)},
                  {"wild", quota::NodePath(third), elsewhere.SerializeAsString(), unharmed(third)}},
                 absl::Seconds(2));
  EXPECT_EQ(Incarnation(0), first) << "nobody took it for dead";
  // Deleted, the node looks dead for a moment; it may begin a new incarnation.
  const auto all_there = [this](const Found&) {
    for (size_t node = 0; node < kNodes; ++node) {
      NodeRegistration registration;
      const Found found = Read(quota::NodePath(Incarnation(node)));
      if (!found.ok() || !found->owned_by_session() || !registration.ParseFromString(found->data)) return false;
      if (registration.name().empty()) return false;
    }
    return true;
  };
  ExpectRepaired({{"deleted", quota::NodePath(first), std::nullopt, all_there}}, absl::Seconds(2));
  // A persistent one in its place belongs to nobody.
  ExpectRepaired({{"deleted", quota::NodePath(second), std::nullopt, all_there},
                  {"persistent", quota::NodePath(third + 5000), kGarbage, IsMissing}},
                 absl::Seconds(10));
  SellOut("tv");
  EndSale();
}

TEST_F(ZnodeRepairTest, ReportsOfDemandAreWrittenAgainInASecondOrTen) {
  StartCluster();
  OpenSale("tv", kStock);
  WaitUntilShared("tv", kStock);
  DemandReport wild;
  wild.set_sequence(kHighest);
  wild.set_reported_at_us(kHighest);
  wild.set_cannot_commit(true);
  for (const double rate : {1e300, -1e300, std::numeric_limits<double>::quiet_NaN()}) {
    DemandReport::SkuDemand* const demand = wild.add_skus();
    demand->set_sku_id(rate > 0 ? "tv" : rate < 0 ? "sale" : "unknown");
    demand->set_free(-kHighest);
    demand->set_wanted(kHighest);
    demand->set_slice_version(kHighest);
    demand->set_grants_per_s(rate);
    demand->set_denials_per_s(rate);
  }
  SkuAnnouncement sku;
  sku.set_sku_id("a SKU");
  sku.set_version(7);
  const auto again = [](const Found& found) {
    DemandReport report;
    return found.ok() && found->owned_by_session() && report.ParseFromString(found->data) && report.sequence() > 0 &&
           report.sequence() < 1000000 && !report.cannot_commit();
  };
  ExpectRepaired({{"garbage", quota::DemandPath(Incarnation(0)), kGarbage, again},
                  {"another kind", quota::DemandPath(Incarnation(1)), sku.SerializeAsString(), again},
                  // The incarnation may be ended: it seems to go by versions that the ledger cannot reach.
                  {"wild", quota::DemandPath(Incarnation(2)), wild.SerializeAsString(),
                   [again](const Found& found) { return again(found) || IsMissing(found); }},
                  // Of nodes that do not exist: a majority that cannot reach the ledger.
                  {"invented", quota::DemandPath(Incarnation(2) + 5000), wild.SerializeAsString(), IsMissing},
                  {"invented", quota::DemandPath(Incarnation(2) + 5001), wild.SerializeAsString(), IsMissing}},
                 absl::Seconds(10));
  std::vector<Damage> deleted;
  for (size_t node = 0; node < kNodes; ++node) {
    deleted.push_back({"deleted", quota::DemandPath(Incarnation(node)), std::nullopt, again});
  }
  ExpectRepaired(deleted, absl::Seconds(10));
  SellOut("tv");
  EndSale();
}

TEST_F(ZnodeRepairTest, RequestsToDrainAreRepairedInTenSeconds) {
  StartCluster();
  const IncarnationId first = Incarnation(0), drained = Incarnation(1), third = Incarnation(2);
  v1::DrainNodeRequest drain;
  drain.set_node(absl::StrCat(drained));
  drain.set_stay(true);
  v1::DrainNodeResponse response;
  const grpc::Status asked = Admin()->DrainNode(Context().get(), drain, &response);
  ASSERT_TRUE(asked.ok()) << asked.error_message();
  DrainRequest exit;
  exit.set_requested_at_us(-1);
  exit.set_exit(true);
  SkuAnnouncement sku;
  sku.set_sku_id("a SKU");
  ExpectRepaired({{"invented, to end", quota::DrainPath(first), exit.SerializeAsString(), IsMissing},
                  {"garbage", quota::DrainPath(third), kGarbage, IsMissing},
                  {"of no node", quota::DrainPath(first + 5000), sku.SerializeAsString(), IsMissing},
                  {"deleted", quota::DrainPath(drained), std::nullopt, Exists}},
                 absl::Seconds(10));
  EXPECT_EQ(Incarnation(0), first) << "it serves on";
  EXPECT_EQ(Incarnation(1), drained) << "it is still drained, and there";
  EXPECT_EQ(Incarnation(2), third) << "it serves on";
  // What it says is asked for by nobody but the node; unreadable, it is a request to stay.
  Write(quota::DrainPath(drained), kGarbage);
  AwaitLook();
  for (int node = 0; node < kNodes; ++node) EXPECT_TRUE(cluster_->node(node).Running());
  EndSale();
}

TEST_F(ZnodeRepairTest, TheLeadersZnodesAreMadeAgainAtOnce) {
  StartCluster(/*shards=*/1);
  const auto led = [](const Found& found) { return found.ok() && found->owned_by_session(); };
  for (const std::string& path : {quota::LeaderPath(), quota::LeaderPath("s1")}) {
    ExpectRepaired({{"deleted", path, std::nullopt, led}}, absl::Seconds(1));
    // Nobody reads what it says: its owner leads.
    Write(path, kGarbage);
    AwaitLook();
    // Persistent: nobody would ever lead again. It is recognised, reported and removed, with what is below it.
    DeleteAll(path);
    tree_->Create(path, "mallory", quota::CreateMode::kPersistent).IgnoreError();  // a balancer may have been quicker
    tree_->Create(path + "/below", "", quota::CreateMode::kPersistent).IgnoreError();
    ExpectRepaired({{"deleted, or persistent", path, kGarbage, led}}, absl::Seconds(1));
    AwaitLook();
  }
  OpenSale("tv", kStock);
  SellOut("tv");
  EndSale();
}

TEST_F(ZnodeRepairTest, ALostMarkIsWrittenAgainAndAFalseOneBeginsANewHistory) {
  StartCluster(/*shards=*/1);
  OpenSale("tv", kStock);
  const auto marked = [](const Found& found) {
    LedgerMark mark;
    return found.ok() && mark.ParseFromString(found->data) && !mark.line().empty() && mark.count() > 0 &&
           mark.count() < kHighest;
  };
  NodeRegistration registration;
  registration.set_name("a registration");
  for (const std::string& path : {quota::LedgerMarkPath(), quota::LedgerMarkPath("s1")}) {
    LedgerMark wild;  // of this shard: that of another one is not repaired
    ASSERT_TRUE(wild.ParseFromString(Read(path)->data));
    wild.set_count(kHighest);
    const IncarnationId before = Incarnation(0);
    ExpectRepaired({{"deleted", path, std::nullopt, marked}}, absl::Seconds(1));
    EXPECT_EQ(Incarnation(0), before) << "the leader remembers it";
    for (const std::string& data :
         {std::string(kGarbage), registration.SerializeAsString(), wild.SerializeAsString()}) {
      ExpectRepaired({{"false", path, data, marked}}, absl::Seconds(2));
    }
  }
  SellOut("tv");
  EndSale();
}

}  // namespace
}  // namespace tranche::testing
