// What tranchectl door sends, and what it makes of the answers, at a node that is made up.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "tests/integration/fake_front_node.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/tranchectl_runner.h"
#include "tranche/v1/admin_service.grpc.pb.h"

namespace tranche::ctl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// As a node does by default (--max-message-bytes).
constexpr int kMaxMessageBytes = 64 * 1024;

// Keeps the calls that change the access list.
class DoorNode final : public v1::AdminService::Service {
 public:
  struct Part {
    int entries = 0;
    bool preview = false;
  };

  DoorNode() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  ~DoorNode() override { server_->Shutdown(std::chrono::system_clock::now()); }
  const std::string& address() const { return address_; }

  grpc::Status AddAccessEntries(grpc::ServerContext*, const v1::AddAccessEntriesRequest* request,
                                v1::AddAccessEntriesResponse* response) override {
    const grpc::Status answer = Take({request->entries_size(), request->preview()});
    response->set_added(request->entries_size());
    response->set_entries(entries_before + request->entries_size());
    return answer;
  }
  grpc::Status RemoveAccessEntries(grpc::ServerContext*, const v1::RemoveAccessEntriesRequest* request,
                                   v1::RemoveAccessEntriesResponse* response) override {
    const grpc::Status answer = Take({request->entries_size(), request->preview()});
    response->set_removed(request->entries_size());
    return answer;
  }
  grpc::Status ListAccessEntries(grpc::ServerContext*, const v1::ListAccessEntriesRequest* request,
                                 v1::ListAccessEntriesResponse* response) override {
    // The page token is the number of the page's first entry.
    const int begin = request->page_token().empty() ? 0 : std::stoi(request->page_token());
    const int end = std::min(begin + request->page_size(), entries_before);
    for (int i = begin; i < end; ++i) {
      v1::AccessEntry* const entry = response->add_entries();
      entry->set_verdict(v1::AccessEntry::VERDICT_DENY);
      entry->set_user_id(absl::StrCat("bot-", i));
    }
    if (end < entries_before) response->set_next_page_token(absl::StrCat(end));
    return grpc::Status::OK;
  }
  grpc::Status ListFrontPolicies(grpc::ServerContext*, const v1::ListFrontPoliciesRequest*,
                                 v1::ListFrontPoliciesResponse* response) override {
    *response = policies;
    return grpc::Status::OK;
  }

  grpc::Status ListRooms(grpc::ServerContext*, const v1::ListRoomsRequest* request,
                         v1::ListRoomsResponse* response) override {
    for (const v1::Room& room : rooms.rooms()) {
      if (request->sku_id().empty() || request->sku_id() == room.sku_id()) *response->add_rooms() = room;
    }
    return grpc::Status::OK;
  }

  std::vector<Part> parts() {
    absl::MutexLock lock(&mutex_);
    return parts_;
  }
  int Entries(bool preview) {
    int entries = 0;
    for (const Part& part : parts()) entries += part.preview == preview ? part.entries : 0;
    return entries;
  }

  // Set them before the calls. What it answers to the part of this number, from 0.
  std::function<grpc::Status(size_t number)> judge = [](size_t) { return grpc::Status::OK; };
  int entries_before = 0;
  v1::ListFrontPoliciesResponse policies;
  v1::ListRoomsResponse rooms;

 private:
  grpc::Status Take(const Part& part) {
    absl::MutexLock lock(&mutex_);
    parts_.push_back(part);
    return judge(parts_.size() - 1);
  }

  absl::Mutex mutex_;
  std::vector<Part> parts_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

// As a node names what is wrong with the entry of this index.
grpc::Status EntryIsWrong(int index) {
  google::rpc::Status details = ErrorDetails(grpc::StatusCode::INVALID_ARGUMENT, "FIELD_INVALID");
  google::rpc::ErrorInfo info;
  info.set_reason("FIELD_INVALID");
  info.set_domain("tranche");
  (*info.mutable_metadata())["field"] = absl::StrCat("entries[", index, "].user_id");
  details.mutable_details(0)->PackFrom(info);
  return ToGrpc(details);
}

class TranchectlDoorCallsTest : public ::testing::Test, protected testing::TranchectlRunner {
 protected:
  int Run(std::vector<std::string> arguments) { return RunCtlAt(node_.address(), std::move(arguments)); }

  // A file with so many entries, one a line; large ones: about 140 bytes each.
  std::string FileOf(int entries, bool large) {
    const std::string path = (scratch_.path() / "entries.csv").string();
    std::ofstream file(path);
    for (int i = 0; i < entries; ++i) {
      file << "deny,user,6f1c2f0e-9a4b-4c57-8d3e-" << 100'000'000'000 + i;
      if (large) file << ",," << std::string(100, 'r');
      file << "\n";
    }
    return path;
  }

  DoorNode node_;
  const testing::ScratchDir scratch_{"door-calls"};
};

TEST_F(TranchectlDoorCallsTest, AThousandLargeEntriesAreNoTooLargeMessage) {
  const std::string path = FileOf(1'000, /*large=*/true);
  ASSERT_EQ(Run({"door", "list", "import", path, "--yes"}), 0) << err_;
  EXPECT_GT(node_.parts().size(), 2u);
  EXPECT_EQ(node_.Entries(/*preview=*/false), 1'000);
  EXPECT_THAT(out_, HasSubstr("1000")) << "added";
  ASSERT_EQ(Run({"door", "list", "import", path, "--remove", "--yes"}), 0) << err_;
  EXPECT_EQ(node_.Entries(/*preview=*/false), 2'000);
}

TEST_F(TranchectlDoorCallsTest, AllPartsArePreviewedBeforeTheFirstIsDone) {
  ASSERT_EQ(Run({"door", "list", "import", FileOf(2'500, /*large=*/false), "--yes"}), 0) << err_;
  const auto parts = node_.parts();
  ASSERT_EQ(parts.size() % 2, 0u);
  for (size_t i = 0; i < parts.size(); ++i) {
    EXPECT_EQ(parts[i].preview, i < parts.size() / 2) << i;
    EXPECT_LE(parts[i].entries, 1'000);
  }
  EXPECT_EQ(node_.Entries(/*preview=*/false), 2'500);
}

TEST_F(TranchectlDoorCallsTest, APreviewThatIsRefusedLeavesAllUndone) {
  node_.judge = [](size_t number) { return number == 1 ? EntryIsWrong(3) : grpc::Status::OK; };
  EXPECT_EQ(Run({"door", "list", "import", FileOf(2'500, /*large=*/false), "--yes"}), 1);
  const auto parts = node_.parts();
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(node_.Entries(/*preview=*/false), 0);
  EXPECT_THAT(err_,
              AllOf(HasSubstr(absl::StrCat("line ", parts[0].entries + 4, ":")), HasSubstr("Nothing has changed")));
}

TEST_F(TranchectlDoorCallsTest, APartThatIsRefusedTellsHowFarItCame) {
  const std::string path = FileOf(1'000, /*large=*/true);
  ASSERT_EQ(Run({"door", "list", "import", path}), 0) << err_;
  const std::vector<DoorNode::Part> previewed = node_.parts();
  EXPECT_EQ(node_.Entries(/*preview=*/false), 0);
  const size_t second = 2 * previewed.size() + 1;  // after those of both previews
  node_.judge = [second](size_t number) {
    return number == second ? grpc::Status(grpc::StatusCode::INTERNAL, "no") : grpc::Status::OK;
  };
  EXPECT_EQ(Run({"door", "list", "import", path, "--yes"}), 2);
  const int done = previewed[0].entries;
  EXPECT_THAT(err_, HasSubstr(absl::StrCat("The first ", done, " of 1000 entries are done, up to line ", done)));
}

TEST_F(TranchectlDoorCallsTest, ALongListIsNotBegunThatWouldGetTooLong) {
  node_.entries_before = 199'000;
  EXPECT_EQ(Run({"door", "list", "import", FileOf(2'500, /*large=*/false), "--yes"}), 1);
  EXPECT_THAT(err_, HasSubstr("201500"));
  EXPECT_EQ(node_.Entries(/*preview=*/false), 0);
}

TEST_F(TranchectlDoorCallsTest, AListIsPrintedWhollyAsAFile) {
  node_.entries_before = 2'500;
  ASSERT_EQ(Run({"door", "list", "-o", "csv"}), 0) << err_;
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 2'501) << "the names of the columns, and all entries";
  EXPECT_THAT(out_, AllOf(HasSubstr("verdict,kind,value,expires,reason\n"), HasSubstr("deny,user,bot-2499,,\n")));
  EXPECT_EQ(err_, "");
  ASSERT_EQ(Run({"door", "list", "-o", "csv", "--max", "3"}), 0) << err_;
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 4);
  EXPECT_THAT(err_, HasSubstr("There are more"));
  ASSERT_EQ(Run({"door", "list", "-o", "json"}), 0) << err_;
  EXPECT_THAT(out_, AllOf(HasSubstr("\"bot-99\""), Not(HasSubstr("\"bot-100\""))));
}

TEST_F(TranchectlDoorCallsTest, NoOtherCommandPrintsAFile) {
  using Command = std::vector<std::string>;
  for (const Command& command :
       {Command{"door", "show"}, Command{"door", "list", "add", "deny", "--user", "bob", "--yes"}}) {
    Command arguments = command;
    arguments.insert(arguments.end(), {"-o", "csv"});
    EXPECT_EQ(Run(arguments), 1) << command[1];
    EXPECT_THAT(err_, HasSubstr("csv is a format of `tranchectl door list` alone"));
  }
  EXPECT_TRUE(node_.parts().empty());
}

TEST_F(TranchectlDoorCallsTest, AFewEntriesAreOneCall) {
  ASSERT_EQ(Run({"door", "list", "add", "deny", "--user", "bob", "--yes"}), 0) << err_;
  ASSERT_EQ(node_.parts().size(), 1u);
  EXPECT_FALSE(node_.parts()[0].preview);
}

TEST_F(TranchectlDoorCallsTest, AllPoliciesAreShownHoweverManyThereAre) {
  for (int i = 0; i < 10'000; ++i) {
    v1::StoredFrontPolicy* const policy = node_.policies.add_policies();
    policy->set_sku_id(absl::StrCat("sku-", i));
    policy->set_changed_by(std::string(600, 'a'));
  }
  ASSERT_GT(node_.policies.ByteSizeLong(), size_t{5} << 20);
  EXPECT_EQ(Run({"door", "show"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("sku-9999"));
}

TEST_F(TranchectlDoorCallsTest, WhatIsNoPolicyFileIsAnError) {
  EXPECT_EQ(Run({"door", "set", "tv", "--policy", scratch_.path().string()}), 1);
  EXPECT_THAT(err_, HasSubstr("cannot be read")) << "a folder";
  EXPECT_EQ(Run({"door", "set", "tv", "--policy", (scratch_.path() / "none").string()}), 1);
  EXPECT_THAT(err_, HasSubstr("cannot be read"));
  const std::string large = (scratch_.path() / "large.json").string();
  std::ofstream(large) << std::string(64 * 1024 + 1, ' ');
  EXPECT_EQ(Run({"door", "set", "tv", "--policy", large}), 1);
  EXPECT_THAT(err_, HasSubstr("more than 65536 bytes"));
}

TEST_F(TranchectlDoorCallsTest, AnUnreadablePolicyIsNotOneWithoutALottery) {
  v1::StoredFrontPolicy* const policy = node_.policies.add_policies();
  policy->set_sku_id("tv");
  policy->set_unreadable("it has a field \"room\"");
  EXPECT_EQ(Run({"door", "round", "tv"}), 1);
  EXPECT_THAT(err_, AllOf(HasSubstr("it has a field \"room\""), HasSubstr("ask a newer node"),
                          Not(HasSubstr("no policy of its own"))));
  EXPECT_EQ(Run({"door", "set", "tv", "--no-lottery"}), 1);
  EXPECT_THAT(err_, HasSubstr("or replace it with --policy"));
}

TEST_F(TranchectlDoorCallsTest, RoomsAreShownOfOneSkuOrOfAll) {
  for (const char* sku : {"radio", "tv"}) {
    v1::Room* const room = node_.rooms.add_rooms();
    room->set_sku_id(sku);
    room->mutable_rule()->set_buyers_per_second(200);
    room->set_held(v1::Room::HELD_NO_BALANCER);
  }
  EXPECT_EQ(Run({"door", "rooms"}), 0) << err_;
  EXPECT_THAT(out_, AllOf(HasSubstr("tv: held: no balancer"), HasSubstr("radio: held: no balancer")));
  EXPECT_EQ(Run({"door", "rooms", "tv"}), 0) << err_;
  EXPECT_THAT(out_, AllOf(HasSubstr("tv: held: no balancer"), Not(HasSubstr("radio"))));
  EXPECT_EQ(Run({"door", "rooms", "tv", "-o", "json"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("\"HELD_NO_BALANCER\""));
  EXPECT_EQ(Run({"door", "rooms", "sofa"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("sofa has no waiting room: `tranchectl door set sofa --room 200/s"));
  EXPECT_EQ(Run({"door", "rooms", "--watch", "--interval", "soon"}), 1);
  EXPECT_THAT(err_, HasSubstr("--interval"));
}

TEST_F(TranchectlDoorCallsTest, ARoomIsOfOneSku) {
  EXPECT_EQ(Run({"door", "set", "*", "--room", "200/s", "--token", "--limit", "user=5/1s"}), 1);
  EXPECT_THAT(err_, HasSubstr("each room is of one SKU"));
  EXPECT_EQ(Run({"door", "set", "tv", "--room", "200/s"}), 1);
  EXPECT_THAT(err_, HasSubstr("add --token"));
  EXPECT_EQ(Run({"door", "set", "tv", "--room", "200/s", "--hold-room"}), 1);
  EXPECT_THAT(err_, HasSubstr("--hold-room"));
}

}  // namespace
}  // namespace tranche::ctl
