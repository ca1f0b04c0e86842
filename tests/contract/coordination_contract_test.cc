// What every Coordination does, on the fake and on a real ZooKeeper.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "quota/coordination/coordination.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/fake/fake_coordination.h"
#include "quota/zookeeper/zookeeper_coordination.h"
#include "quota/zookeeper/zookeeper_session.h"
#include "tests/support/recording_observer.h"
#include "tests/support/tcp_forwarder.h"
#include "tests/support/test_zookeeper.h"
#include "tests/support/zookeeper_expiry.h"

namespace tranche::quota {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using testing::RecordingObserver;

// One implementation under test.
class Backend {
 public:
  virtual ~Backend() = default;
  // In the tree that all sessions of a test share.
  virtual CoordinationConnector& Connector() = 0;
  // In another tree: on the real server, another root.
  virtual CoordinationConnector& OtherConnector() = 0;
  // In the shared tree: a session that Expire can end.
  virtual CoordinationConnector& ExpiringConnector() = 0;
  virtual void Expire(Coordination& session) = 0;
};

class FakeBackend : public Backend {
 public:
  CoordinationConnector& Connector() override { return connector_; }
  CoordinationConnector& OtherConnector() override { return other_connector_; }
  CoordinationConnector& ExpiringConnector() override { return connector_; }
  void Expire(Coordination& session) override { zookeeper_.ExpireSession(session.SessionId()); }

 private:
  FakeZookeeper zookeeper_;
  FakeConnector connector_{&zookeeper_};
  FakeZookeeper other_zookeeper_;
  FakeConnector other_connector_{&other_zookeeper_};
};

class ZookeeperBackend : public Backend {
 public:
  CoordinationConnector& Connector() override { return connector_; }
  CoordinationConnector& OtherConnector() override { return other_connector_; }
  CoordinationConnector& ExpiringConnector() override { return expiring_connector_; }
  void Expire(Coordination& session) override {
    forwarder_.Cut();
    testing::ExpireZookeeperSession(testing::SharedZookeeper(), dynamic_cast<ZookeeperSession&>(session));
    forwarder_.Restore();
  }

 private:
  static ZookeeperOptions Options(const std::string& servers, const std::string& root) {
    return {.servers = servers, .root = root, .reconnect_jitter = absl::ZeroDuration()};
  }

  const std::string servers_ = testing::SharedZookeeper();
  testing::TestRoot root_;
  testing::TcpForwarder forwarder_{servers_};
  // A root inside the other's, two levels down, so that Connect has to make the levels above it too.
  ZookeeperConnector connector_{Options(servers_, root_.path())};
  ZookeeperConnector expiring_connector_{Options(forwarder_.address(), root_.path())};
  ZookeeperConnector other_connector_{Options(servers_, root_.path() + "/deeper/root")};
};

struct BackendFactory {
  std::string name;
  std::function<std::unique_ptr<Backend>()> make;

  friend void PrintTo(const BackendFactory& factory, std::ostream* out) { *out << factory.name; }
};

class CoordinationContractTest : public ::testing::TestWithParam<BackendFactory> {
 protected:
  std::unique_ptr<Coordination> Connect(RecordingObserver& observer) {
    return backend_->Connector().Connect(&observer).value();
  }

  // Returns when all earlier events have reached `session`'s observer: changes of one session arrive in order, so a
  // change that is made last arrives last.
  void Flush(Coordination& session, RecordingObserver& observer) {
    const std::string path = absl::StrCat("/drain/flush-", ++flushes_);
    ASSERT_TRUE(absl::IsNotFound(session.Get(path, Watch::kYes).status()));
    ASSERT_TRUE(session.Create(path, "", CreateMode::kPersistent).ok());
    ASSERT_TRUE(observer.WaitFor(path));
  }

  std::unique_ptr<Backend> backend_ = GetParam().make();
  int flushes_ = 0;
  // Declared before the sessions, which must not outlive them.
  RecordingObserver observer_;
  RecordingObserver other_observer_;
  std::unique_ptr<Coordination> session_ = Connect(observer_);
};

TEST_P(CoordinationContractTest, FixedFirstLevelExists) {
  EXPECT_TRUE(observer_.WaitFor("connected"));
  for (const char* const path : kFixedPaths) {
    const auto node = session_->Get(path, Watch::kNo);
    ASSERT_TRUE(node.ok()) << node.status();
    EXPECT_EQ(node->data, "");
    EXPECT_EQ(node->ephemeral_owner, 0);
    EXPECT_THAT(*session_->List(path, Watch::kNo), IsEmpty()) << path;
  }
  // A second session finds the tree and accepts it.
  EXPECT_TRUE(Connect(other_observer_)->Get(kSkusPath, Watch::kNo).ok());
}

TEST_P(CoordinationContractTest, CreatesReadsListsAndDeletes) {
  const std::string data("\0binary\xff", 8);
  ASSERT_TRUE(session_->Create("/skus/b", data, CreateMode::kPersistent).ok());
  ASSERT_TRUE(session_->Create("/skus/a", "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(session_->Create("/skus/a/inner", "deep", CreateMode::kPersistent).ok());
  const auto node = session_->Get("/skus/b", Watch::kNo);
  ASSERT_TRUE(node.ok()) << node.status();
  EXPECT_EQ(node->data, data);
  EXPECT_EQ(node->version, 0);
  EXPECT_EQ(session_->Get("/skus/a", Watch::kNo)->data, "");
  EXPECT_THAT(*session_->List("/skus", Watch::kNo), ElementsAre("a", "b"));
  EXPECT_THAT(*session_->List("/skus/a", Watch::kNo), ElementsAre("inner"));
  EXPECT_THAT(*session_->List("/", Watch::kNo), IsSupersetOf({"skus", "slices", "nodes"}));
  ASSERT_TRUE(session_->Delete("/skus/b", kAnyVersion).ok());
  EXPECT_THAT(*session_->List("/skus", Watch::kNo), ElementsAre("a"));
  EXPECT_TRUE(absl::IsNotFound(session_->Get("/skus/b", Watch::kNo).status()));
}

TEST_P(CoordinationContractTest, EachErrorHasItsCode) {
  ASSERT_TRUE(session_->Create("/skus/a", "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(session_->Create("/skus/a/b", "", CreateMode::kPersistent).ok());
  EXPECT_TRUE(absl::IsNotFound(session_->Get("/skus/x", Watch::kNo).status()));
  EXPECT_TRUE(absl::IsNotFound(session_->List("/skus/x", Watch::kNo).status()));
  EXPECT_TRUE(absl::IsNotFound(session_->Set("/skus/x", "", kAnyVersion)));
  EXPECT_TRUE(absl::IsNotFound(session_->Delete("/skus/x", kAnyVersion)));
  EXPECT_TRUE(absl::IsNotFound(session_->Create("/skus/x/y", "", CreateMode::kPersistent)));
  EXPECT_TRUE(absl::IsAlreadyExists(session_->Create("/skus/a", "", CreateMode::kPersistent)));
  EXPECT_TRUE(absl::IsFailedPrecondition(session_->Delete("/skus/a", kAnyVersion)));
  ASSERT_TRUE(session_->Create("/nodes/1", "", CreateMode::kEphemeral).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(session_->Create("/nodes/1/child", "", CreateMode::kPersistent)));
}

TEST_P(CoordinationContractTest, WritesAreConditionalOnTheVersion) {
  ASSERT_TRUE(session_->Create("/skus/a", "0", CreateMode::kPersistent).ok());
  EXPECT_TRUE(session_->Set("/skus/a", "1", 0).ok());
  EXPECT_TRUE(absl::IsAborted(session_->Set("/skus/a", "stale", 0)));
  EXPECT_TRUE(session_->Set("/skus/a", "2", kAnyVersion).ok());
  EXPECT_TRUE(absl::IsAborted(session_->Delete("/skus/a", 1)));
  const auto node = session_->Get("/skus/a", Watch::kNo);
  ASSERT_TRUE(node.ok()) << node.status();
  EXPECT_EQ(node->data, "2");
  EXPECT_EQ(node->version, 2);
  EXPECT_TRUE(session_->Delete("/skus/a", 2).ok());
  // A node that is created again counts from the beginning.
  ASSERT_TRUE(session_->Create("/skus/a", "", CreateMode::kPersistent).ok());
  EXPECT_EQ(session_->Get("/skus/a", Watch::kNo)->version, 0);
}

TEST_P(CoordinationContractTest, RefusesBadPaths) {
  for (const char* const path : {"", "nodes/1", "-evil", "/nodes/", "//nodes", "/nodes//1", "/nodes/..", "/./nodes"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(session_->Get(path, Watch::kNo).status())) << path;
    EXPECT_TRUE(absl::IsInvalidArgument(session_->List(path, Watch::kNo).status())) << path;
    EXPECT_TRUE(absl::IsInvalidArgument(session_->Create(path, "", CreateMode::kPersistent))) << path;
    EXPECT_TRUE(absl::IsInvalidArgument(session_->Set(path, "", kAnyVersion))) << path;
    EXPECT_TRUE(absl::IsInvalidArgument(session_->Delete(path, kAnyVersion))) << path;
  }
}

TEST_P(CoordinationContractTest, LimitsTheSizeOfANode) {
  const std::string largest(kMaxZnodeBytes, 'x');
  ASSERT_TRUE(session_->Create("/skus/a", largest, CreateMode::kPersistent).ok());
  EXPECT_EQ(session_->Get("/skus/a", Watch::kNo)->data, largest);
  EXPECT_TRUE(absl::IsInvalidArgument(session_->Set("/skus/a", largest + "x", kAnyVersion)));
  EXPECT_TRUE(absl::IsInvalidArgument(session_->Create("/skus/b", largest + "x", CreateMode::kPersistent)));
  const WriteOp op{.kind = WriteOp::Kind::kSet, .path = "/skus/a", .data = largest + "x", .version = kAnyVersion};
  EXPECT_TRUE(absl::IsInvalidArgument(session_->Apply({op})[0]));
  EXPECT_EQ(session_->Get("/skus/a", Watch::kNo)->version, 0);
}

TEST_P(CoordinationContractTest, EphemeralNodeGoesWithItsSession) {
  auto owner = Connect(other_observer_);
  ASSERT_NE(owner->SessionId(), session_->SessionId());
  ASSERT_TRUE(owner->Create("/nodes/1", "", CreateMode::kEphemeral).ok());
  ASSERT_TRUE(owner->Create("/nodes/2", "", CreateMode::kPersistent).ok());
  const auto node = session_->Get("/nodes/1", Watch::kYes);
  ASSERT_TRUE(node.ok()) << node.status();
  EXPECT_EQ(node->ephemeral_owner, owner->SessionId());
  ASSERT_TRUE(session_->List("/nodes", Watch::kYes).ok());
  owner.reset();
  EXPECT_TRUE(observer_.WaitFor("/nodes/1"));
  EXPECT_TRUE(observer_.WaitFor("/nodes"));
  EXPECT_THAT(*session_->List("/nodes", Watch::kNo), ElementsAre("2"));
}

TEST_P(CoordinationContractTest, DataWatchFiresOnceAndAgainAfterARead) {
  const auto writer = Connect(other_observer_);
  ASSERT_TRUE(writer->Create("/skus/a", "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(session_->Get("/skus/a", Watch::kYes).ok());
  ASSERT_TRUE(writer->Set("/skus/a", "1", kAnyVersion).ok());
  ASSERT_TRUE(observer_.WaitFor("/skus/a"));
  ASSERT_TRUE(writer->Set("/skus/a", "2", kAnyVersion).ok());
  Flush(*session_, observer_);
  EXPECT_EQ(observer_.Count("/skus/a"), 1);

  EXPECT_EQ(session_->Get("/skus/a", Watch::kYes)->data, "2");
  observer_.Forget();
  ASSERT_TRUE(writer->Delete("/skus/a", kAnyVersion).ok());
  EXPECT_TRUE(observer_.WaitFor("/skus/a"));
  EXPECT_THAT(other_observer_.Events(), ElementsAre("connected"));
}

TEST_P(CoordinationContractTest, ReadWithoutWatchSetsNone) {
  ASSERT_TRUE(session_->Create("/skus/a", "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(session_->Get("/skus/a", Watch::kNo).ok());
  ASSERT_TRUE(session_->List("/skus", Watch::kNo).ok());
  ASSERT_TRUE(session_->Set("/skus/a", "1", kAnyVersion).ok());
  ASSERT_TRUE(session_->Create("/skus/b", "", CreateMode::kPersistent).ok());
  Flush(*session_, observer_);
  EXPECT_THAT(observer_.Events(), ElementsAre("connected", "/drain/flush-1"));
}

TEST_P(CoordinationContractTest, ChildrenWatchHearsOfComingAndGoingButNotOfData) {
  ASSERT_TRUE(session_->Create("/skus/a", "", CreateMode::kPersistent).ok());
  EXPECT_THAT(*session_->List("/skus", Watch::kYes), ElementsAre("a"));
  ASSERT_TRUE(session_->Set("/skus/a", "1", kAnyVersion).ok());
  Flush(*session_, observer_);
  EXPECT_EQ(observer_.Count("/skus"), 0);

  ASSERT_TRUE(session_->Create("/skus/b", "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(observer_.WaitFor("/skus"));
  ASSERT_TRUE(session_->Create("/skus/c", "", CreateMode::kPersistent).ok());
  Flush(*session_, observer_);
  EXPECT_EQ(observer_.Count("/skus"), 1);

  EXPECT_THAT(*session_->List("/skus", Watch::kYes), ElementsAre("a", "b", "c"));
  observer_.Forget();
  ASSERT_TRUE(session_->Delete("/skus/b", kAnyVersion).ok());
  EXPECT_TRUE(observer_.WaitFor("/skus"));
}

TEST_P(CoordinationContractTest, ChildrenWatchHearsOfItsNodesEnd) {
  ASSERT_TRUE(session_->Create("/slices/1", "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(session_->List("/slices/1", Watch::kYes).ok());
  ASSERT_TRUE(session_->Delete("/slices/1", kAnyVersion).ok());
  EXPECT_TRUE(observer_.WaitFor("/slices/1"));
}

TEST_P(CoordinationContractTest, WatchOnAMissingNodeHearsOfItsCreation) {
  EXPECT_TRUE(absl::IsNotFound(session_->Get("/skus/a", Watch::kYes).status()));
  EXPECT_TRUE(absl::IsNotFound(session_->List("/skus/l", Watch::kYes).status()));
  ASSERT_TRUE(session_->Create("/skus/l", "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(session_->Create("/skus/a", "", CreateMode::kPersistent).ok());
  EXPECT_TRUE(observer_.WaitFor("/skus/a"));
  EXPECT_EQ(observer_.Count("/skus/l"), 0);
  // It fired once: setting the data now triggers nothing.
  observer_.Forget();
  ASSERT_TRUE(session_->Set("/skus/a", "1", kAnyVersion).ok());
  Flush(*session_, observer_);
  EXPECT_EQ(observer_.Count("/skus/a"), 0);
}

TEST_P(CoordinationContractTest, GetManyAnswersInOrderAndEachForItself) {
  ASSERT_TRUE(session_->Create("/skus/a", "A", CreateMode::kPersistent).ok());
  ASSERT_TRUE(session_->Create("/skus/b", "B", CreateMode::kPersistent).ok());
  const auto nodes = session_->GetMany({"/skus/b", "/skus/x", "bad", "/skus/a", "/skus/b"}, Watch::kYes);
  ASSERT_EQ(nodes.size(), 5u);
  EXPECT_EQ(nodes[0]->data, "B");
  EXPECT_TRUE(absl::IsNotFound(nodes[1].status()));
  EXPECT_TRUE(absl::IsInvalidArgument(nodes[2].status()));
  EXPECT_EQ(nodes[3]->data, "A");
  EXPECT_EQ(nodes[4]->data, "B");
  ASSERT_TRUE(session_->Set("/skus/a", "1", kAnyVersion).ok());
  ASSERT_TRUE(session_->Create("/skus/x", "", CreateMode::kPersistent).ok());
  EXPECT_TRUE(observer_.WaitFor("/skus/a"));
  EXPECT_TRUE(observer_.WaitFor("/skus/x"));
  EXPECT_EQ(observer_.Count("/skus/b"), 0);
  EXPECT_THAT(session_->GetMany({}, Watch::kYes), IsEmpty());
}

TEST_P(CoordinationContractTest, ApplyDoesInOrderAndEachForItself) {
  using Kind = WriteOp::Kind;
  const auto results = session_->Apply({
      {.kind = Kind::kCreatePersistent, .path = "/skus/a", .data = "0", .version = kAnyVersion},
      {.kind = Kind::kCreatePersistent, .path = "/skus/a", .data = "again", .version = kAnyVersion},
      {.kind = Kind::kSet, .path = "/skus/a", .data = "1", .version = 0},
      {.kind = Kind::kSet, .path = "/skus/a", .data = "stale", .version = 0},
      {.kind = Kind::kSet, .path = "bad", .data = "", .version = kAnyVersion},
      {.kind = Kind::kDelete, .path = "/skus/x", .data = "", .version = kAnyVersion},
      {.kind = Kind::kCreatePersistent, .path = "/skus/b", .data = "", .version = kAnyVersion},
      {.kind = Kind::kDelete, .path = "/skus/b", .data = "", .version = 0},
  });
  ASSERT_EQ(results.size(), 8u);
  EXPECT_TRUE(results[0].ok()) << results[0];
  EXPECT_TRUE(absl::IsAlreadyExists(results[1]));
  EXPECT_TRUE(results[2].ok()) << results[2];
  EXPECT_TRUE(absl::IsAborted(results[3]));
  EXPECT_TRUE(absl::IsInvalidArgument(results[4]));
  EXPECT_TRUE(absl::IsNotFound(results[5]));
  EXPECT_TRUE(results[6].ok()) << results[6];
  EXPECT_TRUE(results[7].ok()) << results[7];
  EXPECT_EQ(session_->Get("/skus/a", Watch::kNo)->data, "1");
  EXPECT_THAT(*session_->List("/skus", Watch::kNo), ElementsAre("a"));
  EXPECT_THAT(session_->Apply({}), IsEmpty());
}

TEST_P(CoordinationContractTest, ManyAtOnceAreMoreThanOneBatch) {
  constexpr int kNodes = 2500;
  std::vector<WriteOp> ops;
  std::vector<std::string> paths;
  for (int i = 0; i < kNodes; ++i) {
    paths.push_back(absl::StrCat("/slices/n", i));
    ops.push_back({.kind = WriteOp::Kind::kCreatePersistent,
                   .path = paths.back(),
                   .data = absl::StrCat(i),
                   .version = kAnyVersion});
  }
  for (const absl::Status& status : session_->Apply(ops)) ASSERT_TRUE(status.ok()) << status;
  const auto nodes = session_->GetMany(paths, Watch::kYes);
  ASSERT_EQ(nodes.size(), paths.size());
  for (int i = 0; i < kNodes; ++i) {
    ASSERT_TRUE(nodes[i].ok()) << nodes[i].status();
    EXPECT_EQ(nodes[i]->data, absl::StrCat(i));
  }
  EXPECT_EQ(session_->List("/slices", Watch::kNo)->size(), paths.size());
}

TEST_P(CoordinationContractTest, RootsAreApart) {
  const auto other = backend_->OtherConnector().Connect(&other_observer_);
  ASSERT_TRUE(other.ok()) << other.status();
  ASSERT_TRUE(session_->Create("/skus/a", "mine", CreateMode::kPersistent).ok());
  EXPECT_TRUE(absl::IsNotFound((*other)->Get("/skus/a", Watch::kYes).status()));
  EXPECT_TRUE((*other)->Create("/skus/a", "yours", CreateMode::kPersistent).ok());
  // An event names the path below the root.
  EXPECT_TRUE(other_observer_.WaitFor("/skus/a"));
  EXPECT_EQ(session_->Get("/skus/a", Watch::kNo)->data, "mine");
}

TEST_P(CoordinationContractTest, ExpiredSessionSaysSoAndLosesItsEphemerals) {
  auto connected = backend_->ExpiringConnector().Connect(&other_observer_);
  ASSERT_TRUE(connected.ok()) << connected.status();
  std::unique_ptr<Coordination> expiring = *std::move(connected);
  ASSERT_TRUE(expiring->Create("/nodes/1", "", CreateMode::kEphemeral).ok());
  ASSERT_TRUE(session_->List("/nodes", Watch::kYes).ok());
  backend_->Expire(*expiring);
  ASSERT_TRUE(other_observer_.WaitFor("expired"));
  ASSERT_TRUE(observer_.WaitFor("/nodes"));
  EXPECT_THAT(*session_->List("/nodes", Watch::kNo), IsEmpty());

  EXPECT_TRUE(absl::IsUnauthenticated(expiring->Get("/nodes", Watch::kYes).status()));
  EXPECT_TRUE(absl::IsUnauthenticated(expiring->List("/nodes", Watch::kYes).status()));
  EXPECT_TRUE(absl::IsUnauthenticated(expiring->Create("/nodes/2", "", CreateMode::kEphemeral)));
  EXPECT_TRUE(absl::IsUnauthenticated(expiring->Set("/nodes", "", kAnyVersion)));
  EXPECT_TRUE(absl::IsUnauthenticated(expiring->Delete("/nodes", kAnyVersion)));
  EXPECT_TRUE(absl::IsUnauthenticated(expiring->GetMany({"/nodes"}, Watch::kNo)[0].status()));
  const WriteOp op{.kind = WriteOp::Kind::kDelete, .path = "/nodes", .data = "", .version = kAnyVersion};
  EXPECT_TRUE(absl::IsUnauthenticated(expiring->Apply({op})[0]));
  EXPECT_EQ(other_observer_.Count("expired"), 1);

  // A new session takes over.
  expiring.reset();
  const auto successor = Connect(other_observer_);
  EXPECT_TRUE(successor->Create("/nodes/2", "", CreateMode::kEphemeral).ok());
}

// Its observer takes a lock that its user holds meanwhile: the end of the session must not wait for that observer while
// an event is on its way.
TEST_P(CoordinationContractTest, EndsWhileEventsArrive) {
  for (int round = 0; round < 20; ++round) {
    RecordingObserver observer;
    auto session = Connect(observer);
    const std::string path = absl::StrCat("/skus/", round);
    EXPECT_TRUE(absl::IsNotFound(session->Get(path, Watch::kYes).status()));
    ASSERT_TRUE(session_->Create(path, "", CreateMode::kPersistent).ok());
    session.reset();
    // No call may come now: the observer is destroyed here.
  }
  EXPECT_EQ(session_->List("/skus", Watch::kNo)->size(), 20u);
}

TEST_P(CoordinationContractTest, CallersInParallelDoNotDisturbEachOther) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 50;
  ASSERT_TRUE(session_->Create("/skus/counter", "0", CreateMode::kPersistent).ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this] {
      // Each adds one to the counter: a lost or doubled conditional write would be visible in the sum.
      for (int added = 0; added < kRounds;) {
        const auto node = session_->Get("/skus/counter", Watch::kYes);
        ASSERT_TRUE(node.ok()) << node.status();
        const absl::Status set = session_->Set("/skus/counter", absl::StrCat(std::stoi(node->data) + 1), node->version);
        ASSERT_TRUE(set.ok() || absl::IsAborted(set)) << set;
        if (set.ok()) ++added;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(session_->Get("/skus/counter", Watch::kNo)->data, absl::StrCat(kThreads * kRounds));
  EXPECT_TRUE(observer_.WaitFor("/skus/counter"));
}

TEST_P(CoordinationContractTest, ConnectInParallelCreatesTheTreeOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([this] {
      RecordingObserver observer;
      const auto session = backend_->OtherConnector().Connect(&observer);
      ASSERT_TRUE(session.ok()) << session.status();
      EXPECT_TRUE((*session)->Get(kSlicesPath, Watch::kNo).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
}

INSTANTIATE_TEST_SUITE_P(All, CoordinationContractTest,
                         ::testing::Values(BackendFactory{"Fake", [] { return std::make_unique<FakeBackend>(); }},
                                           BackendFactory{"Zookeeper",
                                                          [] { return std::make_unique<ZookeeperBackend>(); }}),
                         [](const ::testing::TestParamInfo<BackendFactory>& info) { return info.param.name; });

}  // namespace
}  // namespace tranche::quota
