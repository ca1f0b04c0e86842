// Sessions with an identity, on a private server: what they create is theirs alone, also what was there before, and
// they are who they are after a reconnect.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "quota/zookeeper/zookeeper_coordination.h"
#include "tests/support/mini_zookeeper.h"
#include "tests/support/recording_observer.h"
#include "tests/support/scratch_dir.h"

namespace tranche::quota {
namespace {

using testing::MiniZookeeper;
using testing::RecordingObserver;

class ZookeeperAuthTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = std::make_unique<MiniZookeeper>();
    const absl::Status started = server_->Start();
    ASSERT_TRUE(started.ok()) << started;
  }
  static void TearDownTestSuite() { server_.reset(); }

  std::string AuthFile(const std::string& line) {
    const std::filesystem::path path = scratch_.path() / absl::StrCat("auth-", ++files_);
    std::ofstream(path) << line << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_read);
    return path.string();
  }

  // Every test has a root of its own.
  std::string Root() { return absl::StrCat("/", ::testing::UnitTest::GetInstance()->current_test_info()->name()); }

  absl::StatusOr<std::unique_ptr<Coordination>> TryConnect(const std::string& root, const std::string& auth_file) {
    ZookeeperOptions options;
    options.servers = server_->connect_string();
    options.root = root;
    options.auth_file = auth_file;
    return ZookeeperConnector(options).Connect(&observer_);
  }

  std::unique_ptr<Coordination> Connect(const std::string& root, const std::string& auth_file) {
    return TryConnect(root, auth_file).value();
  }

  // What a stranger gets to see of a znode, whose path is whole.
  absl::Status Look(const std::string& path) {
    if (stranger_ == nullptr) stranger_ = Connect("/", "");
    return stranger_->Get(path, Watch::kNo).status();
  }

  // All parts. How many znodes were open.
  static int ProtectTree(Coordination& session) {
    absl::StatusOr<TreeProtection> part;
    do {
      part = session.ProtectTree();
      if (!part.ok()) {
        ADD_FAILURE() << part.status();
        return -1;
      }
    } while (!part->done);
    return part->znodes;
  }

  static std::unique_ptr<MiniZookeeper> server_;
  const testing::ScratchDir scratch_{"zookeeper_auth"};
  int files_ = 0;
  RecordingObserver observer_;
  std::unique_ptr<Coordination> stranger_;
};

std::unique_ptr<MiniZookeeper> ZookeeperAuthTest::server_;

TEST_F(ZookeeperAuthTest, WhatASessionCreatesIsProtected) {
  const auto session = Connect(Root(), AuthFile("tranche:one"));
  ASSERT_TRUE(session->Create("/nodes/1", "ephemeral", CreateMode::kEphemeral).ok());
  ASSERT_TRUE(session->Create("/ledger/home", "persistent", CreateMode::kPersistent).ok());
  const WriteOp op{.kind = WriteOp::Kind::kCreatePersistent, .path = "/skus/00", .data = "of many"};
  ASSERT_TRUE(session->Apply({op}).front().ok());
  for (const char* const path : {"", "/nodes", "/nodes/1", "/ledger/home", "/skus/00"}) {
    EXPECT_TRUE(absl::IsPermissionDenied(Look(Root() + path))) << path;
  }
  EXPECT_TRUE(absl::IsPermissionDenied(stranger_->Set(Root() + "/ledger/home", "", kAnyVersion)));
  EXPECT_TRUE(absl::IsPermissionDenied(stranger_->Create(Root() + "/nodes/2", "", CreateMode::kPersistent)));
  EXPECT_TRUE(absl::IsPermissionDenied(stranger_->Delete(Root() + "/skus/00", kAnyVersion)));
  EXPECT_EQ(ProtectTree(*session), 0);

  const auto colleague = Connect(Root(), AuthFile("tranche:one"));
  EXPECT_EQ(colleague->Get("/nodes/1", Watch::kNo)->data, "ephemeral");
  EXPECT_TRUE(colleague->Set("/ledger/home", "changed", kAnyVersion).ok());
}

TEST_F(ZookeeperAuthTest, NoSessionBeginsInATreeThatIsAnothers) {
  const auto owner = Connect(Root(), AuthFile("tranche:one"));
  for (const std::string& auth_file : {std::string(), AuthFile("tranche:two"), AuthFile("other:one")}) {
    const auto other = TryConnect(Root(), auth_file);
    ASSERT_TRUE(absl::IsPermissionDenied(other.status())) << other.status();
    EXPECT_THAT(std::string(other.status().message()), ::testing::HasSubstr("--zookeeper-auth-file"));
    EXPECT_THAT(std::string(other.status().message()), ::testing::Not(::testing::HasSubstr("two")));
  }
}

TEST_F(ZookeeperAuthTest, TheTreeMayBeInAFolderInWhichNothingCanBeCreated) {
  { const auto open = Connect(Root() + "/tree", ""); }
  const auto administrator = Connect(Root(), AuthFile("administrator:one"));
  EXPECT_GT(ProtectTree(*administrator), 0);
  ASSERT_TRUE(Look(Root() + "/tree/drain").ok());
  ASSERT_TRUE(stranger_->Delete(Root() + "/tree/drain", kAnyVersion).ok());
  const auto session = Connect(Root() + "/tree", AuthFile("tranche:one"));
  EXPECT_TRUE(session->Get("/drain", Watch::kNo).ok());
  const absl::Status refused = TryConnect(Root() + "/other", AuthFile("tranche:one")).status();
  EXPECT_TRUE(absl::IsPermissionDenied(refused)) << refused;
}

TEST_F(ZookeeperAuthTest, AnOlderTreeIsProtected) {
  const auto old = Connect(Root(), "");
  ASSERT_TRUE(old->Create("/nodes/7", "", CreateMode::kEphemeral).ok());
  ASSERT_TRUE(old->Create("/slices/7", "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(old->Create("/slices/7/tv", "units", CreateMode::kPersistent).ok());
  ASSERT_TRUE(Look(Root() + "/slices/7/tv").ok());
  EXPECT_EQ(ProtectTree(*old), 0) << "it has no identity";

  const auto session = Connect(Root(), AuthFile("tranche:one"));
  ASSERT_TRUE(session->Create("/skus/00", "", CreateMode::kPersistent).ok());
  EXPECT_EQ(ProtectTree(*session), 1 + 9 + 3) << "the root, the first level and what is below";
  EXPECT_EQ(ProtectTree(*session), 0);
  for (const char* const path : {"", "/slices", "/slices/7", "/slices/7/tv", "/nodes/7", "/skus/00"}) {
    EXPECT_TRUE(absl::IsPermissionDenied(Look(Root() + path))) << path;
  }
  EXPECT_EQ(session->Get("/nodes/7", Watch::kNo)->ephemeral_owner, old->SessionId()) << "it is still the old session's";
  EXPECT_TRUE(absl::IsPermissionDenied(old->Get("/slices/7/tv", Watch::kNo).status()));
  EXPECT_TRUE(absl::IsPermissionDenied(old->Create("/slices/7/radio", "", CreateMode::kPersistent)));
}

TEST_F(ZookeeperAuthTest, ASessionIsWhoItIsAfterAReconnect) {
  const auto session = Connect(Root(), AuthFile("tranche:one"));
  ASSERT_TRUE(session->Create("/nodes/1", "before", CreateMode::kEphemeral).ok());
  observer_.Forget();
  ASSERT_TRUE(server_->Kill().ok());
  ASSERT_TRUE(observer_.WaitFor("disconnected"));
  observer_.Forget();
  ASSERT_TRUE(server_->Start().ok());
  ASSERT_TRUE(observer_.WaitFor("connected"));
  const auto node = session->Get("/nodes/1", Watch::kNo);
  ASSERT_TRUE(node.ok()) << node.status();
  EXPECT_EQ(node->data, "before");
  ASSERT_TRUE(session->Create("/nodes/2", "", CreateMode::kEphemeral).ok());
  EXPECT_TRUE(absl::IsPermissionDenied(Look(Root() + "/nodes/2")));
}

TEST_F(ZookeeperAuthTest, AFileThatCannotBeUsedIsNamed) {
  const auto session = TryConnect(Root(), (scratch_.path() / "missing").string());
  EXPECT_FALSE(session.ok());
  EXPECT_THAT(std::string(session.status().message()), ::testing::HasSubstr("missing"));
}

}  // namespace
}  // namespace tranche::quota
