// What `tranchectl draw` reads, shows and writes into files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "client/ctl/draw_export.h"
#include "client/ctl/draw_seed.h"
#include "client/ctl/draw_view.h"
#include "client/ctl/hints.h"
#include "client/internal/status_translation.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/tranchectl_runner.h"

namespace tranche::ctl {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using tranche::testing::FileContents;
using tranche::testing::ScratchDir;
using tranche::v1::Draw;
using tranche::v1::GetDrawEntryResponse;

// Of the bytes 0 to 31, as docs and scripts have it.
constexpr char kSeedHex[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
constexpr char kCommitmentHex[] = "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd";

TEST(DrawSeedTest, IsReadFromHexAndCommittedToByItsHash) {
  const auto seed = ParseSeed(kSeedHex);
  ASSERT_TRUE(seed.ok()) << seed.status();
  EXPECT_EQ(seed->size(), 32u);
  EXPECT_EQ(absl::BytesToHexString(CommitmentOf(*seed)), kCommitmentHex);
  EXPECT_EQ(ParseCommitment(kCommitmentHex).value(), CommitmentOf(*seed));
  EXPECT_TRUE(ParseSeed(std::string(32, 'a')).ok());
  EXPECT_TRUE(ParseSeed(std::string(128, 'A')).ok());
  for (const std::string& text : {std::string(), std::string(30, 'a'), std::string(33, 'a'), std::string(130, 'a'),
                                  std::string(31, 'a') + "g", "0x" + std::string(32, 'a')}) {
    EXPECT_THAT(ParseSeed(text).status().message(), HasSubstr("16 to 64 bytes in hex")) << text;
  }
  for (const std::string& text : {std::string(62, 'a'), std::string(66, 'a'), std::string(63, 'a') + "z"}) {
    EXPECT_THAT(ParseCommitment(text).status().message(), HasSubstr("is not the SHA-256")) << text;
  }
}

TEST(DrawSeedTest, AFileThatOthersReadIsRefusedAndNeverQuoted) {
  const ScratchDir scratch("draw-seed");
  const std::string path = scratch.path() / "seed";
  std::ofstream(path) << kSeedHex << "\n";
  chmod(path.c_str(), 0600);
  EXPECT_EQ(ReadSeedFile(path).value(), ParseSeed(kSeedHex).value());
  chmod(path.c_str(), 0644);
  EXPECT_THAT(ReadSeedFile(path).status().message(), HasSubstr("other users"));
  std::ofstream(path) << "secret words\n";
  chmod(path.c_str(), 0600);
  EXPECT_THAT(std::string(ReadSeedFile(path).status().message()),
              AllOf(HasSubstr(path), HasSubstr("in hex"), Not(HasSubstr("secret words"))));
}

class CtlDrawTest : public ::testing::Test, protected tranche::testing::TranchectlRunner {
 protected:
  const ScratchDir scratch_{"ctl-draw"};
};

TEST_F(CtlDrawTest, ANewSeedIsForItsOwnerAloneAndOnlyItsHashIsShown) {
  const std::string path = scratch_.path() / "seed";
  ASSERT_EQ(RunCtl({"draw", "new-seed", path}), 0) << err_;
  const std::string contents = FileContents(path);
  const std::string hex(absl::StripSuffix(contents, "\n"));
  const auto seed = ParseSeed(hex);
  ASSERT_TRUE(seed.ok()) << seed.status();
  EXPECT_EQ(seed->size(), 32u);
  EXPECT_EQ(out_, absl::StrCat("commitment: ", absl::BytesToHexString(CommitmentOf(*seed)), "\n"));
  EXPECT_THAT(err_, Not(HasSubstr(hex)));
  struct stat info = {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_EQ(RunCtl({"draw", "new-seed", path}), 1);
  EXPECT_EQ(FileContents(path), contents) << "a seed that is promised is not lost";
}

TEST_F(CtlDrawTest, TheSeedComesFromOnePlace) {
  const std::vector<std::string> create = {"draw", "create", "tv", "--winners", "5"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), create.begin(), create.end());
    return RunCtl(more);
  };
  EXPECT_EQ(with({}), 1);
  EXPECT_THAT(err_, HasSubstr("--public-source, --seed-file or --seed-commitment"));
  EXPECT_EQ(with({"--public-source", "drand", "--seed-commitment", kCommitmentHex}), 1);
  EXPECT_EQ(with({"--seed-commitment", "ab"}), 1);
  EXPECT_THAT(err_, HasSubstr("--seed-commitment: "));
  EXPECT_EQ(with({"--seed-file", scratch_.path() / "none"}), 1);
  EXPECT_THAT(err_, HasSubstr("--seed-file: "));
  EXPECT_EQ(RunCtl({"draw", "seed", "tv"}), 1);
  EXPECT_THAT(err_, HasSubstr("--seed-hex"));
  EXPECT_EQ(RunCtl({"draw", "seed", "tv", "--seed-hex", kSeedHex, "--wait"}), 1);
  EXPECT_THAT(err_, HasSubstr("--wait goes with --yes"));
}

Draw DrawIn(Draw::State state) {
  Draw draw;
  draw.set_sku_id("tv-55-oled");
  draw.set_number(12);
  draw.set_state(state);
  draw.set_winners(3);
  draw.set_quantity(1);
  draw.set_seed_commitment(ParseCommitment(kCommitmentHex).value());
  draw.mutable_create_time()->set_seconds(1'800'000'000);
  return draw;
}

struct DrawOutput {
  std::string out;
  std::string err;
  size_t width = 0;
};
template <typename PrintIt>
DrawOutput DrawPrints(const std::string& format, PrintIt print) {
  std::ostringstream out, err;
  Session session(out, err);
  session.output = format;
  print(session);
  DrawOutput printed{out.str(), err.str()};
  std::istringstream lines(printed.out);
  for (std::string line; std::getline(lines, line);) printed.width = std::max(printed.width, line.size());
  return printed;
}

TEST(DrawViewTest, DrawsFitATerminalAndWideTellsAll) {
  tranche::v1::ListDrawsResponse draws;
  Draw& draw = *draws.add_draws() = DrawIn(Draw::STATE_FINISHED);
  draw.set_entries(1'000'000);
  draw.set_winners(100'000);
  draw.set_confirmed(99'000);
  draw.set_lapsed(12'000);
  const auto print = [&](Session& session) { PrintDraws(session, draws); };
  const DrawOutput narrow = DrawPrints("table", print);
  EXPECT_LE(narrow.width, 80u) << narrow.out;
  EXPECT_THAT(narrow.out, ContainsRegex("tv-55-oled +12 +FINISHED +1000000 +100000 +0 +99000 +12000"));
  EXPECT_THAT(DrawPrints("wide", print).out, HasSubstr(absl::StrCat("committed: ", kCommitmentHex)));
}

TEST(DrawViewTest, DrawsThatWereOverLongAgoAreToBeRemoved) {
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  tranche::v1::ListDrawsResponse draws;
  *draws.add_draws() = DrawIn(Draw::STATE_OPEN);
  const auto finish = [&](int64_t number, absl::Duration ago) {
    Draw& draw = *draws.add_draws() = DrawIn(Draw::STATE_FINISHED);
    draw.set_number(number);
    draw.mutable_finish_time()->set_seconds(absl::ToUnixSeconds(now - ago));
  };
  const auto remind = [&](Session& session) { RemindToRemoveDraws(session, draws, now); };
  finish(4, kRemindToRemoveAfter - absl::Seconds(1));
  EXPECT_EQ(DrawPrints("table", remind).err, "");
  finish(3, kRemindToRemoveAfter);
  EXPECT_THAT(DrawPrints("table", remind).err, AllOf(HasSubstr("1 draw has been over for more than 30 days"),
                                                     HasSubstr("tranchectl draw remove tv-55-oled --number 3\n")));
  finish(1, 3 * kRemindToRemoveAfter);
  finish(2, 2 * kRemindToRemoveAfter);
  const DrawOutput reminded = DrawPrints("json", remind);
  EXPECT_THAT(reminded.err, AllOf(HasSubstr("3 draws have"), HasSubstr("--number 1\n"))) << "the oldest first";
  EXPECT_EQ(reminded.out, "") << "only data are on stdout";
}

TEST(DrawViewTest, AChangeShowsOnlyWhatDiffersAndWhatItMeans) {
  DrawChange change = {.before = DrawIn(Draw::STATE_OPEN), .after = DrawIn(Draw::STATE_CLOSING)};
  change.preview = true;
  change.warning = "Entries end for good.";
  const auto print = [&](Session& session) { PrintDrawChange(session, change); };
  const DrawOutput preview = DrawPrints("table", print);
  EXPECT_THAT(preview.out, AllOf(ContainsRegex("state +OPEN -> CLOSING"), Not(HasSubstr("winners"))));
  EXPECT_THAT(preview.err, AllOf(HasSubstr("--yes --number 12"), HasSubstr("for good")));

  change.after = change.before;
  const DrawOutput nothing = DrawPrints("table", print);
  EXPECT_THAT(nothing.err, AllOf(HasSubstr("nothing would change"), Not(HasSubstr("for good"))));

  change.removes = true;
  EXPECT_THAT(DrawPrints("table", print).out, ContainsRegex("draw +12 -> gone"));
  EXPECT_THAT(DrawPrints("table", print).err, HasSubstr("--yes --number 12"));
  EXPECT_TRUE(nlohmann::json::parse(DrawPrints("json", print).out)["after"].is_null());
  change.preview = false;
  EXPECT_EQ(DrawPrints("table", print).err, "");
}

TEST(DrawViewTest, ANewDrawIsExpectedByItsNumber) {
  tranche::v1::CreateDrawResponse created;
  *created.mutable_draw() = DrawIn(Draw::STATE_OPEN);
  created.add_warnings("its pool has no units");
  const DrawOutput preview = DrawPrints("table", [&](Session& s) { PrintNewDraw(s, created, /*preview=*/true); });
  EXPECT_THAT(preview.err, AllOf(HasSubstr("--yes --expect-number 12"), HasSubstr("its pool has no units")));
  const auto json =
      nlohmann::json::parse(DrawPrints("json", [&](Session& s) { PrintNewDraw(s, created, /*preview=*/false); }).out);
  EXPECT_EQ(json["after"]["number"], "12");
  EXPECT_EQ(json["preview"], false);
}

TEST(DrawViewTest, AnEntryIsShownWithItsProofOnlyWhereThereIsOne) {
  GetDrawEntryResponse entry;
  *entry.mutable_draw() = DrawIn(Draw::STATE_OPEN);
  entry.set_entry_id("6f1c2f0e-9a4b-4c57-8d3e-0123456789ab");
  entry.set_outcome(GetDrawEntryResponse::OUTCOME_WAITING);
  const auto print = [&](Session& session) { PrintDrawEntry(session, entry); };
  EXPECT_THAT(DrawPrints("table", print).out, AllOf(ContainsRegex("outcome +WAITING"), ContainsRegex("leaf +none")));
  entry.mutable_draw()->set_merkle_root(std::string(32, 'r'));
  entry.add_audit_path(std::string(32, '\xab'));
  EXPECT_THAT(DrawPrints("table", print).out,
              AllOf(ContainsRegex("leaf +0"), ContainsRegex("audit path +(ab)+"), ContainsRegex("reservation +none")));
}

// Pages of at most `page` as a node would answer them.
class MadeUpDraw {
 public:
  MadeUpDraw(int64_t entries, int64_t awards, int64_t page) : draw(DrawIn(Draw::STATE_DRAWN)), page_(page) {
    for (int64_t i = 0; i < entries; ++i) ids.push_back(std::string(15, '\0') + static_cast<char>(i));
    for (int64_t i = 0; i < awards; ++i) {
      outcomes.push_back(i % 2 == 0 ? GetDrawEntryResponse::OUTCOME_PENDING : GetDrawEntryResponse::OUTCOME_LAPSED);
    }
    draw.set_entries(entries);
    draw.set_merkle_root(std::string(32, 'r'));
    draw.set_pending(static_cast<int32_t>((awards + 1) / 2));
    draw.set_lapsed(static_cast<int32_t>(awards / 2));
  }

  // As a node does that does not look further than a page: behind a full last one comes an empty one.
  void EndWithAnEmptyPage() { ends_empty_ = true; }

  DrawPages Pages() {
    return {.entries = [this](const auto& request) { return Entries(request); },
            .awards = [this](const auto& request) { return Awards(request); }};
  }

  Draw draw;
  std::vector<std::string> ids;
  std::vector<GetDrawEntryResponse::Outcome> outcomes;

 private:
  size_t BeginOf(const std::string& token) const { return token.empty() ? 0 : std::stoul(token); }
  template <typename Response>
  size_t EndOf(size_t begin, size_t all, Response& response) const {
    const size_t end = std::min<size_t>(begin + static_cast<size_t>(page_), all);
    const bool full = end - begin == static_cast<size_t>(page_);
    if (end < all || (ends_empty_ && full)) response.set_next_page_token(absl::StrCat(end));
    return end;
  }
  absl::StatusOr<tranche::v1::ListDrawEntriesResponse> Entries(const tranche::v1::ListDrawEntriesRequest& request) {
    tranche::v1::ListDrawEntriesResponse response;
    const size_t begin = BeginOf(request.page_token());
    const size_t end = EndOf(begin, ids.size(), response);
    for (size_t i = begin; i < end; ++i) response.mutable_entry_ids()->append(ids[i]);
    return response;
  }
  absl::StatusOr<tranche::v1::ListDrawAwardsResponse> Awards(const tranche::v1::ListDrawAwardsRequest& request) {
    tranche::v1::ListDrawAwardsResponse response;
    const size_t begin = BeginOf(request.page_token());
    const size_t end = EndOf(begin, outcomes.size(), response);
    for (size_t i = begin; i < end; ++i) {
      tranche::v1::DrawAward& award = *response.add_awards();
      award.set_place(static_cast<int64_t>(i) + 1);
      award.set_entry_id(absl::StrCat("00000000-0000-0000-0000-0000000000", absl::Hex(i, absl::kZeroPad2)));
      award.set_outcome(outcomes[i]);
      award.set_user_id("alice");
      award.set_reservation_id("11111111-1111-1111-1111-111111111111");
    }
    return response;
  }

  const int64_t page_;
  bool ends_empty_ = false;
};

class DrawExportTest : public ::testing::Test {
 protected:
  absl::Status Export(MadeUpDraw& made) {
    return ExportDraw(made.draw, folder_, made.Pages(), [this](const DrawExported& now) { last_ = now; });
  }
  std::string Read(const char* name) { return FileContents(scratch_.path() / name); }
  size_t Files() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(scratch_.path()), {}));
  }

  const ScratchDir scratch_{"draw-export"};
  const std::string folder_ = scratch_.path();
  DrawExported last_;
};

TEST_F(DrawExportTest, WritesAllPagesAndNobodysName) {
  MadeUpDraw made(/*entries=*/25, /*awards=*/5, /*page=*/4);
  ASSERT_TRUE(Export(made).ok());
  EXPECT_EQ(last_.entries, 25);
  EXPECT_EQ(last_.awards, 5);
  const std::string entries = Read("entries.txt");
  EXPECT_EQ(std::count(entries.begin(), entries.end(), '\n'), 25);
  EXPECT_THAT(entries, AllOf(::testing::StartsWith("00000000-0000-0000-0000-000000000000\n"),
                             ::testing::EndsWith("00000000-0000-0000-0000-000000000018\n")));
  EXPECT_EQ(Read("awards.csv"),
            "place,entry_id,outcome\n"
            "1,00000000-0000-0000-0000-000000000000,PENDING\n"
            "2,00000000-0000-0000-0000-000000000001,LAPSED\n"
            "3,00000000-0000-0000-0000-000000000002,PENDING\n"
            "4,00000000-0000-0000-0000-000000000003,LAPSED\n"
            "5,00000000-0000-0000-0000-000000000004,PENDING\n");
  const auto json = nlohmann::json::parse(Read("draw.json"));
  EXPECT_EQ(json["format"], "tranche-draw-v1");
  EXPECT_EQ(json["sku_id"], "tv-55-oled");
  EXPECT_EQ(json["number"], 12);
  EXPECT_EQ(json["state"], "DRAWN");
  EXPECT_EQ(json["entries"], 25);
  EXPECT_EQ(json["seed_commitment"], kCommitmentHex);
  EXPECT_EQ(json["pending"], 3);
  EXPECT_EQ(Files(), 3u) << "nothing else is left";
}

TEST_F(DrawExportTest, AnEmptyPageMayBeTheLast) {
  for (const int64_t entries : {4, 8, 9}) {
    MadeUpDraw made(entries, /*awards=*/4, /*page=*/4);
    made.EndWithAnEmptyPage();
    const absl::Status exported = Export(made);
    EXPECT_TRUE(exported.ok()) << exported;
    EXPECT_EQ(last_.entries, entries);
  }
  MadeUpDraw longer(/*entries=*/8, /*awards=*/0, /*page=*/4);
  longer.EndWithAnEmptyPage();
  longer.ids.push_back(std::string(16, 'z'));
  EXPECT_THAT(std::string(Export(longer).message()), HasSubstr("other entries than the 8"));
}

TEST_F(DrawExportTest, AwardsThatComeMeanwhileAreLeftOutAndCountsAreThoseOfTheFile) {
  MadeUpDraw made(/*entries=*/25, /*awards=*/5, /*page=*/4);
  made.outcomes.push_back(GetDrawEntryResponse::OUTCOME_PENDING);
  made.outcomes[0] = GetDrawEntryResponse::OUTCOME_CONFIRMED;  // paid since the draw was read
  ASSERT_TRUE(Export(made).ok());
  const std::string awards = Read("awards.csv");
  EXPECT_EQ(std::count(awards.begin(), awards.end(), '\n'), 6) << awards;
  const auto json = nlohmann::json::parse(Read("draw.json"));
  EXPECT_EQ(json["pending"], 2);
  EXPECT_EQ(json["confirmed"], 1);
  EXPECT_EQ(json["lapsed"], 2);
}

TEST_F(DrawExportTest, AListThatIsNotTheSealedOneIsNotPublished) {
  std::ofstream(scratch_.path() / "entries.txt") << "of before\n";
  const auto message = [this](auto change) {
    MadeUpDraw made(/*entries=*/25, /*awards=*/5, /*page=*/4);
    change(made);
    return std::string(Export(made).message());
  };
  EXPECT_THAT(message([](MadeUpDraw& made) { made.ids.pop_back(); }), HasSubstr("other entries than the 25"));
  EXPECT_THAT(message([](MadeUpDraw& made) { made.ids.push_back(std::string(16, 'z')); }), HasSubstr("other entries"));
  EXPECT_THAT(message([](MadeUpDraw& made) { std::swap(made.ids[3], made.ids[4]); }), HasSubstr("in their order"));
  EXPECT_THAT(message([](MadeUpDraw& made) { made.ids[9] = made.ids[8]; }), HasSubstr("in their order"));
  EXPECT_THAT(message([](MadeUpDraw& made) { made.ids[9] = "short"; }), HasSubstr("cut off"));
  EXPECT_THAT(message([](MadeUpDraw& made) { made.outcomes.pop_back(); }), HasSubstr("fewer awards than 5"));
  EXPECT_THAT(message([](MadeUpDraw& made) { made.outcomes[2] = GetDrawEntryResponse::OUTCOME_UNSPECIFIED; }),
              HasSubstr("place 3"));
  EXPECT_EQ(Read("entries.txt"), "of before\n");
  EXPECT_EQ(Files(), 1u) << "no part is left";
}

TEST_F(DrawExportTest, ADrawOfNobodyHasEmptyFiles) {
  MadeUpDraw made(/*entries=*/0, /*awards=*/0, /*page=*/4);
  ASSERT_TRUE(Export(made).ok());
  EXPECT_EQ(Read("entries.txt"), "");
  EXPECT_EQ(Read("awards.csv"), "place,entry_id,outcome\n");
}

TEST_F(DrawExportTest, WritesOverNothingUnlessItIsForcedTo) {
  const MadeUpDraw made(/*entries=*/1, /*awards=*/0, /*page=*/4);
  const std::string below = scratch_.path() / "a" / "b";
  EXPECT_TRUE(PrepareDrawExport(made.draw, below, /*force=*/false).ok());
  EXPECT_TRUE(std::filesystem::is_directory(below));
  std::ofstream(scratch_.path() / "awards.csv") << "of before\n";
  EXPECT_THAT(PrepareDrawExport(made.draw, folder_, /*force=*/false).message(), HasSubstr("--force"));
  EXPECT_TRUE(PrepareDrawExport(made.draw, folder_, /*force=*/true).ok());
  EXPECT_THAT(PrepareDrawExport(DrawIn(Draw::STATE_CLOSING), below, /*force=*/true).message(),
              HasSubstr("CLOSING: its list of entries is not sealed yet"));
}

TEST(DrawHintsTest, SayWhatToDo) {
  const auto hint = [](const std::string& reason) {
    absl::Status status = absl::FailedPreconditionError("refused");
    internal::SetReason(status, reason);
    return NextStepFor(status, /*changed_nothing=*/true);
  };
  EXPECT_THAT(hint("DRAW_STATE"), AllOf(HasSubstr("draw list"), HasSubstr("door show")));
  EXPECT_THAT(hint("DRAW_SEED_MISMATCH"), HasSubstr("committed"));
  EXPECT_THAT(hint("DRAW_ENTRY_NOT_FOUND"), HasSubstr("--number"));
  for (const char* reason : {"DRAW_NOT_FOUND", "DRAW_DECIDES", "DRAW_NOT_OPEN", "DRAW_FULL"}) {
    EXPECT_THAT(hint(reason), HasSubstr("draw list")) << reason;
  }
}

}  // namespace
}  // namespace tranche::ctl
