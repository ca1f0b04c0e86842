// What tranchectl draw sends, and what it makes of the answers, at a node that is made up.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/tranchectl_runner.h"
#include "tranche/v1/admin_service.grpc.pb.h"
#include "tranche/v1/front_door_service.grpc.pb.h"

namespace tranche::ctl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kTheSeed[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
constexpr char kItsHash[] = "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd";

// A node with one draw, whose worker has done its work when it is looked at for the second time.
class DrawNode final : public v1::AdminService::Service {
 public:
  DrawNode() : front_door_(this) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    builder.RegisterService(&front_door_);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
    draw.set_sku_id("tv");
    draw.set_number(4);
    draw.set_state(v1::Draw::STATE_OPEN);
    draw.set_winners(2);
  }
  ~DrawNode() override { server_->Shutdown(std::chrono::system_clock::now()); }
  const std::string& address() const { return address_; }

  grpc::Status CreateDraw(grpc::ServerContext*, const v1::CreateDrawRequest* request,
                          v1::CreateDrawResponse* response) override {
    absl::MutexLock lock(&mutex_);
    created_.push_back(*request);
    *response->mutable_draw() = draw;
    return grpc::Status::OK;
  }
  grpc::Status ChangeDraw(grpc::ServerContext*, const v1::ChangeDrawRequest* request,
                          v1::ChangeDrawResponse* response) override {
    absl::MutexLock lock(&mutex_);
    changed_.push_back(*request);
    *response->mutable_draw() = draw;
    response->mutable_draw()->clear_entries();  // as before a list is sealed
    if (request->step() == v1::ChangeDrawRequest::STEP_CLOSE)
      response->mutable_draw()->set_state(v1::Draw::STATE_CLOSING);
    if (request->step() == v1::ChangeDrawRequest::STEP_SEED)
      response->mutable_draw()->set_state(v1::Draw::STATE_SEEDED);
    if (!request->preview()) draw = response->draw();
    return grpc::Status::OK;
  }
  grpc::Status ListDraws(grpc::ServerContext*, const v1::ListDrawsRequest*, v1::ListDrawsResponse* response) override {
    absl::MutexLock lock(&mutex_);
    if (!none) *response->add_draws() = draw;
    return grpc::Status::OK;
  }
  grpc::Status ListDrawEntries(grpc::ServerContext*, const v1::ListDrawEntriesRequest* request,
                               v1::ListDrawEntriesResponse* response) override {
    // Two pages of one entry each.
    const bool first = request->page_token().empty();
    response->set_entry_ids(std::string(16, first ? 'a' : 'b'));
    if (first) response->set_next_page_token("next");
    return grpc::Status::OK;
  }

  std::vector<v1::CreateDrawRequest> created() {
    absl::MutexLock lock(&mutex_);
    return created_;
  }
  std::vector<v1::ChangeDrawRequest> changed() {
    absl::MutexLock lock(&mutex_);
    return changed_;
  }

  // Set them before the calls.
  v1::Draw draw;
  bool none = false;

 private:
  class FrontDoor final : public v1::FrontDoorService::Service {
   public:
    explicit FrontDoor(DrawNode* node) : node_(node) {}
    grpc::Status GetDraw(grpc::ServerContext*, const v1::GetDrawRequest*, v1::GetDrawResponse* response) override {
      absl::MutexLock lock(&node_->mutex_);
      v1::Draw& draw = node_->draw;
      if (++node_->looks_ == 2) {
        draw.set_state(draw.state() == v1::Draw::STATE_CLOSING ? v1::Draw::STATE_CLOSED : v1::Draw::STATE_DRAWN);
        draw.set_merkle_root(std::string(32, 'r'));
      }
      *response->mutable_draw() = draw;
      return grpc::Status::OK;
    }

   private:
    DrawNode* const node_;
  };

  absl::Mutex mutex_;
  std::vector<v1::CreateDrawRequest> created_;
  std::vector<v1::ChangeDrawRequest> changed_;
  int looks_ = 0;
  FrontDoor front_door_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

class TranchectlDrawCallsTest : public ::testing::Test, protected testing::TranchectlRunner {
 protected:
  TranchectlDrawCallsTest() {
    std::ofstream(seed_file_) << kTheSeed << "\n";
    chmod(seed_file_.c_str(), 0600);
  }
  int Run(std::vector<std::string> arguments) { return RunCtlAt(node_.address(), std::move(arguments)); }

  DrawNode node_;
  const testing::ScratchDir scratch_{"draw-calls"};
  const std::string seed_file_ = (scratch_.path() / "tv.seed").string();
};

TEST_F(TranchectlDrawCallsTest, OfASeedInAFileOnlyItsHashIsSent) {
  ASSERT_EQ(Run({"draw", "create", "tv", "--winners", "2", "--seed-file", seed_file_}), 0) << err_;
  ASSERT_EQ(node_.created().size(), 1u);
  EXPECT_TRUE(node_.created()[0].preview());
  EXPECT_EQ(absl::BytesToHexString(node_.created()[0].seed_commitment()), kItsHash);
  EXPECT_THAT(node_.created()[0].SerializeAsString(), Not(HasSubstr(absl::HexStringToBytes(kTheSeed))));
  EXPECT_THAT(err_, HasSubstr("--yes --expect-number 4"));
}

TEST_F(TranchectlDrawCallsTest, TheDrawThatBeginsIsTheOneThatWasPreviewed) {
  ASSERT_EQ(Run({"draw", "create", "tv", "--winners", "2", "--public-source", "drand", "--yes"}), 0) << err_;
  const auto created = node_.created();
  ASSERT_EQ(created.size(), 2u);
  EXPECT_TRUE(created[0].preview());
  EXPECT_FALSE(created[0].has_expected_number());
  EXPECT_FALSE(created[1].preview());
  EXPECT_EQ(created[1].expected_number(), 4);
  EXPECT_EQ(created[1].public_source(), "drand");
  EXPECT_EQ(created[1].quantity(), 1);
}

TEST_F(TranchectlDrawCallsTest, APreviewTakesNoStepAndDoesNotWait) {
  node_.draw.set_entries(25);
  ASSERT_EQ(Run({"draw", "close", "tv"}), 0) << err_;
  ASSERT_EQ(node_.changed().size(), 1u);
  EXPECT_TRUE(node_.changed()[0].preview());
  EXPECT_THAT(out_, AllOf(HasSubstr("OPEN -> CLOSING"), Not(HasSubstr("entries"))));
  EXPECT_THAT(err_, AllOf(HasSubstr("for good"), HasSubstr("--yes --number 4")));
}

TEST_F(TranchectlDrawCallsTest, ACloseReturnsWhenTheListIsSealed) {
  ASSERT_EQ(Run({"draw", "close", "tv", "--yes"}), 0) << err_;
  ASSERT_EQ(node_.changed().size(), 1u);
  EXPECT_EQ(node_.changed()[0].draw_number(), 4) << "the newest one was meant when the command began";
  EXPECT_THAT(out_, AllOf(HasSubstr("OPEN -> CLOSED"), HasSubstr("merkle root")));
  EXPECT_THAT(err_, HasSubstr("CLOSING"));
}

TEST_F(TranchectlDrawCallsTest, ACloseReturnsAtOnceIfThatIsAskedFor) {
  ASSERT_EQ(Run({"draw", "close", "tv", "--yes", "--no-wait"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("OPEN -> CLOSING"));
}

TEST_F(TranchectlDrawCallsTest, ASeedIsToldAsItIsInTheFile) {
  node_.draw.set_state(v1::Draw::STATE_CLOSED);
  ASSERT_EQ(Run({"draw", "seed", "tv", "--seed-file", seed_file_, "--yes", "--wait"}), 0) << err_;
  ASSERT_EQ(node_.changed().size(), 1u);
  EXPECT_EQ(node_.changed()[0].seed(), absl::HexStringToBytes(kTheSeed));
  EXPECT_THAT(out_, HasSubstr("CLOSED -> DRAWN"));
}

TEST_F(TranchectlDrawCallsTest, APreviewOfASeedTellsItToNobody) {
  node_.draw.set_state(v1::Draw::STATE_CLOSED);
  node_.draw.set_seed_commitment(absl::HexStringToBytes(kItsHash));
  ASSERT_EQ(Run({"draw", "seed", "tv", "--seed-file", seed_file_}), 0) << err_;
  EXPECT_THAT(out_, AllOf(HasSubstr("CLOSED -> SEEDED"), Not(HasSubstr(kTheSeed))));
  EXPECT_THAT(err_, AllOf(HasSubstr("told to everybody"), HasSubstr("--yes --number 4"), Not(HasSubstr(kTheSeed))));
  node_.draw.clear_seed_commitment();
  node_.draw.set_public_source("drand");
  ASSERT_EQ(Run({"draw", "seed", "tv", "--seed-hex", kTheSeed}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr(kTheSeed)) << "to be compared";
  EXPECT_TRUE(node_.changed().empty());
}

TEST_F(TranchectlDrawCallsTest, ASeedIsNotToldTooEarlyNorToAnotherDraw) {
  const auto refused = [this](const std::string& why) {
    for (const bool yes : {false, true}) {
      std::vector<std::string> arguments = {"draw", "seed", "tv", "--seed-file", seed_file_};
      if (yes) arguments.push_back("--yes");
      EXPECT_EQ(Run(arguments), 1) << out_;
      EXPECT_THAT(err_, AllOf(HasSubstr(why), HasSubstr("was not sent")));
    }
  };
  node_.draw.set_seed_commitment(absl::HexStringToBytes(kItsHash));
  refused("draw 4 of tv is OPEN");
  node_.draw.set_state(v1::Draw::STATE_CLOSING);
  refused("draw 4 of tv is CLOSING");
  node_.draw.set_state(v1::Draw::STATE_CANCELLED);
  refused("CANCELLED");
  node_.draw.set_state(v1::Draw::STATE_CLOSED);
  node_.draw.set_seed_commitment(std::string(32, 'c'));
  refused("committed to another seed");
  node_.draw.clear_seed_commitment();
  node_.draw.set_public_source("drand");
  node_.draw.set_state(v1::Draw::STATE_DRAWN);
  node_.draw.set_seed(std::string(32, 's'));
  refused("another seed already");
  EXPECT_TRUE(node_.changed().empty());
}

TEST_F(TranchectlDrawCallsTest, ADrawThatIsNotThereIsNotChanged) {
  EXPECT_EQ(Run({"draw", "finish", "tv", "--number", "3", "--yes"}), 2);
  EXPECT_THAT(err_, HasSubstr("tv has no draw 3"));
  node_.none = true;
  EXPECT_EQ(Run({"draw", "cancel", "tv", "--yes"}), 2);
  EXPECT_THAT(err_, HasSubstr("tranchectl draw create tv"));
  EXPECT_TRUE(node_.changed().empty());
}

TEST_F(TranchectlDrawCallsTest, AnExportHasAllPages) {
  const std::string folder = (scratch_.path() / "published").string();
  EXPECT_EQ(Run({"draw", "export", "tv", "--dir", folder}), 1);
  EXPECT_THAT(err_, HasSubstr("not sealed"));
  node_.draw.set_state(v1::Draw::STATE_CLOSED);
  node_.draw.set_merkle_root(std::string(32, 'r'));
  node_.draw.set_entries(2);
  ASSERT_EQ(Run({"draw", "export", "tv", "--dir", folder}), 0) << err_;
  EXPECT_EQ(testing::FileContents(folder + "/entries.txt"),
            "61616161-6161-6161-6161-616161616161\n62626262-6262-6262-6262-626262626262\n");
  EXPECT_EQ(Run({"draw", "export", "tv", "--dir", folder}), 1);
  EXPECT_THAT(err_, HasSubstr("--force"));
  node_.draw.set_entries(3);
  EXPECT_EQ(Run({"draw", "export", "tv", "--dir", folder, "--force"}), 2);
  EXPECT_THAT(err_, HasSubstr("other entries than the 3"));
}

}  // namespace
}  // namespace tranche::ctl
