// A draw as an operator makes it with tranchectl, and as anybody checks what is published of it.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/integration/draw_fixture.h"
#include "tests/support/child_process.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/tranchectl_runner.h"

namespace tranche::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kEntries = 40, kWinners = 3;

std::vector<std::string> ReadLines(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

void WriteLines(const std::filesystem::path& path, const std::vector<std::string>& lines) {
  std::ofstream(path) << absl::StrJoin(lines, "\n") << "\n";
}

class DrawByHandTest : public DrawFixture, protected TranchectlRunner {
 protected:
  int Ctl(std::vector<std::string> arguments) { return RunCtlAt(cluster_->endpoint(0), std::move(arguments)); }
  void Do(const std::vector<std::string>& arguments) { TableAt(cluster_->endpoint(0), arguments); }

  // Its exit status; what it prints is in said_.
  int Verify(const std::vector<std::string>& more = {}) {
    const std::filesystem::path log = scratch_.path() / "verify.log";
    std::filesystem::remove(log);
    ChildProcessOptions options;
    options.args = {"python3", TRANCHE_VERIFY_DRAW, published_.string()};
    options.args.insert(options.args.end(), more.begin(), more.end());
    options.log_file = log.string();
    auto process = ChildProcess::Start(options);
    EXPECT_TRUE(process.ok()) << process.status();
    if (!process.ok()) return -1;
    const auto status = (*process)->Wait(kDrawPatience);
    said_ = absl::StrJoin(ReadLines(log), "\n");
    return status.value_or(-1);
  }
  // That a file which differs in these lines is not taken, and the true one is again.
  void CheckIsFound(const std::string& what, const std::filesystem::path& path, std::vector<std::string> altered) {
    const std::vector<std::string> published = ReadLines(path);
    ASSERT_NE(published, altered) << what;
    WriteLines(path, altered);
    EXPECT_EQ(Verify(), 1) << what << ": " << said_;
    WriteLines(path, published);
    EXPECT_EQ(Verify(), 0) << said_;
  }

  const ScratchDir scratch_{"draw-by-hand"};
  const std::filesystem::path published_ = scratch_.path() / "published";
  const std::string seed_file_ = scratch_.path() / "seed";
  std::string said_;
};

TEST_F(DrawByHandTest, WhatAnOperatorDrawsAnybodyCanCheck) {
  Do({"sku", "create", "tv", "--stock", "5", "--price", "499.00", "--currency", "EUR", "--no-presplit"});
  EXPECT_EQ(Ctl({"draw", "create", "tv", "--winners", "3", "--public-source", "a lottery of tomorrow", "--yes"}), 2)
      << "claims would take the units";
  EXPECT_THAT(err_, HasSubstr("DRAW_STATE"));
  Do({"door", "set", "tv", "--draw", "--yes"});
  Do({"draw", "new-seed", seed_file_});
  EXPECT_NE(Ctl({"draw", "new-seed", seed_file_}), 0) << "a seed is not overwritten";
  Do({"draw", "create", "tv", "--winners", "3", "--seed-file", seed_file_});
  EXPECT_TRUE(ListDraws("tv").empty()) << "a preview changes nothing";
  Do({"draw", "create", "tv", "--winners", "3", "--seed-file", seed_file_, "--yes"});
  EXPECT_EQ(DrawOf("tv").state(), v1::Draw::STATE_OPEN);
  AwaitTrue("both nodes know the draw", [&] {
    return at(0).EnterDraw({.sku = "tv", .user = "buyer-0"}).ok() &&
           at(1).EnterDraw({.sku = "tv", .user = "buyer-0"}).ok();
  });
  EnterMany("tv", "buyer-", kEntries);
  EXPECT_NE(Ctl({"draw", "export", "tv", "--dir", published_}), 0) << "it is open";

  Do({"draw", "close", "tv"});
  EXPECT_EQ(DrawOf("tv").state(), v1::Draw::STATE_OPEN) << "a preview changes nothing";
  Do({"draw", "close", "tv", "--yes"});
  EXPECT_EQ(DrawOf("tv").state(), v1::Draw::STATE_CLOSED) << "it waits for that";
  const std::string wrong_file = scratch_.path() / "wrong-seed";
  Do({"draw", "new-seed", wrong_file});
  EXPECT_EQ(Ctl({"draw", "seed", "tv", "--seed-file", wrong_file, "--yes"}), 1);
  EXPECT_THAT(err_, HasSubstr("committed to another seed"));
  Do({"draw", "seed", "tv", "--seed-file", seed_file_, "--yes"});
  AwaitDraw("tv", "all have won", [](const v1::Draw& draw) { return draw.pending() == kWinners; });
  const std::vector<v1::DrawAward> winners = AwardsOf("tv");
  Pay("tv", winners.at(0));
  Cancel("tv", winners.at(1));
  AwaitDraw("tv", "the next has won", [](const v1::Draw& draw) {
    return draw.pending() == kWinners - 1 && draw.confirmed() == 1 && draw.lapsed() == 1;
  });
  Do({"draw", "finish", "tv", "--yes"});
  Do({"draw", "show", "tv", "-o", "json"});
  EXPECT_THAT(out_, HasSubstr("STATE_FINISHED"));

  Do({"draw", "export", "tv", "--dir", published_});
  EXPECT_EQ(ReadLines(published_ / "entries.txt").size(), static_cast<size_t>(kEntries));
  for (const char* name : {"draw.json", "entries.txt", "awards.csv"}) {
    EXPECT_THAT(absl::StrJoin(ReadLines(published_ / name), "\n"), Not(HasSubstr("buyer-"))) << name;
  }
  EXPECT_EQ(Verify({"--entry", winners.at(0).entry_id()}), 0) << said_;
  EXPECT_THAT(said_, HasSubstr("OK"));
  std::vector<std::string> entries = ReadLines(published_ / "entries.txt");
  entries.pop_back();
  CheckIsFound("an entry is missing", published_ / "entries.txt", entries);
  std::vector<std::string> awards = ReadLines(published_ / "awards.csv");
  ASSERT_EQ(awards.size(), static_cast<size_t>(kWinners) + 2) << "a heading, and four awards";
  const std::string last = AwardsOf("tv").back().entry_id();
  const std::string loser = *std::find_if(entries.begin(), entries.end(), [&](const std::string& id) {
    return absl::StrJoin(awards, "\n").find(id) == std::string::npos;
  });
  awards.back().replace(awards.back().find(last), last.size(), loser);
  CheckIsFound("a friend has won", published_ / "awards.csv", awards);

  Do({"draw", "remove", "tv", "--yes"});
  EXPECT_TRUE(ListDraws("tv").empty());
  Do({"audit", "--sku", "tv", "--limit", "20"});
  EXPECT_THAT(out_, AllOf(HasSubstr("create_draw"), HasSubstr("close_draw"), HasSubstr("seed_draw"),
                          HasSubstr("finish_draw"), HasSubstr("remove_draw")));
}

}  // namespace
}  // namespace tranche::testing
