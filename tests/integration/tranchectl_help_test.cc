// tranchectl helps: suggestions, help pages and the completion of shells.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/ctl/field_arguments.h"
#include "tests/integration/tranchectl_fixture.h"
#include "tests/support/scratch_dir.h"

namespace tranche::ctl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(TranchectlTest, AMistypedCommandIsMetWithASuggestion) {
  EXPECT_EQ(Ctl({"sku", "shwo", "tv"}), 1);
  EXPECT_THAT(err_, HasSubstr("did you mean \"show\"?"));
  EXPECT_EQ(Ctl({"-o", "json", "qouta", "show", "tv"}), 1);
  EXPECT_THAT(err_, HasSubstr("did you mean \"quota\"?"));
  EXPECT_EQ(Ctl({"stock", "delete", "tv", "5"}), 1);
  EXPECT_THAT(err_, HasSubstr("there are: add, reduce"));
  EXPECT_EQ(Ctl({"completion", "tcsh"}), 1);
  EXPECT_THAT(err_, HasSubstr("there are: bash, zsh, fish"));
  EXPECT_EQ(Ctl({"stock", "add", "tv"}), 1);
  EXPECT_THAT(err_, Not(HasSubstr("did you mean"))) << "what is missing is an argument";
}

TEST_F(TranchectlTest, HelpOfACommandShowsTheGlobalFlagsAndNoExamplesOfOthers) {
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"sku"}, {"sku", "list"}, {"quota", "show"}, {"outbox", "sink", "add"}}) {
    std::vector<std::string> arguments = command;
    arguments.push_back("--help");
    EXPECT_EQ(RunCtl(arguments), 0);
    EXPECT_THAT(out_, ::testing::ContainsRegex("Global options:\n +--endpoint")) << ::testing::PrintToString(command);
    EXPECT_THAT(out_, HasSubstr("--timeout"));
    EXPECT_THAT(out_, Not(HasSubstr("export TRANCHE_ENDPOINT"))) << "that is the root's";
  }
  EXPECT_EQ(RunCtl({"--help"}), 0);
  EXPECT_THAT(out_, Not(HasSubstr("Global options")));
  EXPECT_THAT(out_, HasSubstr("export TRANCHE_ENDPOINT"));
}

TEST_F(TranchectlTest, HelpTeachesAndReturnsZero) {
  EXPECT_EQ(RunCtl({"--help"}), 0);
  EXPECT_THAT(out_, HasSubstr("Examples"));
  EXPECT_EQ(RunCtl({"quota", "set", "--help"}), 0);
  EXPECT_THAT(out_, HasSubstr("tranchectl quota set tv node-3 200"));
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{{"quota", "move"},
                                                                                       {"quota", "rebalance"},
                                                                                       {"quota", "freeze"},
                                                                                       {"quota", "show"},
                                                                                       {"stock", "reduce"},
                                                                                       {"node", "drain"},
                                                                                       {"node", "undrain"},
                                                                                       {"audit"},
                                                                                       {"zk", "rebuild"}}) {
    std::vector<std::string> arguments = command;
    arguments.push_back("--help");
    EXPECT_EQ(RunCtl(arguments), 0);
    EXPECT_THAT(out_, HasSubstr("Example")) << ::testing::PrintToString(command);
  }
}

// A value that an argument of the page takes, and no command below it.
bool IsChoice(absl::string_view page, absl::string_view word) {
  const size_t begin = page.find("Positionals:");
  if (begin == absl::string_view::npos) return false;
  const absl::string_view arguments = page.substr(begin, page.find("\nOptions:", begin) - begin);
  for (const absl::string_view choices : absl::StrSplit(arguments, '{')) {
    const std::vector<absl::string_view> values = absl::StrSplit(choices.substr(0, choices.find('}')), ',');
    if (absl::c_linear_search(values, word)) return true;
  }
  return false;
}

// Every page, so also that of a command that is added.
TEST_F(TranchectlTest, EveryHelpPageHasAnExampleOfItsOwn) {
  std::vector<std::string> paths = {""};
  std::string pages;
  std::vector<std::string> pages_of;
  for (size_t i = 0; i < paths.size(); ++i) {
    std::vector<std::string> arguments = absl::StrSplit(paths[i], ' ', absl::SkipEmpty());
    std::vector<std::string> completed = arguments;
    arguments.push_back("--help");
    EXPECT_EQ(RunCtl(arguments), 0);
    pages += out_;
    pages_of.push_back(out_);
    EXPECT_THAT(out_, HasSubstr(absl::StrCat("tranchectl ", paths[i]))) << paths[i];
    EXPECT_THAT(out_, HasSubstr("Example")) << paths[i];
    completed.insert(completed.begin(), {"--endpoint", "127.0.0.1:1", "completion", "candidates", "--"});
    completed.push_back("");
    ASSERT_EQ(RunCtl(completed), 0) << err_;
    const std::string& page = pages_of.back();
    for (const absl::string_view word : absl::StrSplit(out_, '\n', absl::SkipEmpty())) {
      if (IsChoice(page, word)) continue;
      paths.push_back(absl::StrCat(paths[i], paths[i].empty() ? "" : " ", word));
    }
  }
  EXPECT_GE(paths.size(), 38u);
  for (const char* name : {"--sku", "--sink", "--shard", "NODE"}) {
    EXPECT_THAT(pages, Not(HasSubstr(absl::StrCat("  ", name, " TEXT")))) << "its names are not completed";
  }
  // The text follows, perhaps on the next line, far to the right.
  const std::vector<std::string> lines = absl::StrSplit(pages, '\n');
  for (size_t i = 0; i + 1 < lines.size(); ++i) {
    if (!absl::EndsWith(lines[i], " REQUIRED")) continue;
    EXPECT_TRUE(absl::StartsWith(lines[i + 1], "          ")) << "an argument without a text: " << lines[i];
  }
  for (const FieldArgument& known : FieldArguments()) {
    EXPECT_THAT(pages, HasSubstr(absl::StrCat("  ", std::string(known.argument)))) << "hints name it";
  }
}

TEST_F(TranchectlTest, TheHelpOfACommandIsAboutThatCommand) {
  const auto help = [&](std::vector<std::string> command) {
    command.push_back("--help");
    EXPECT_EQ(RunCtl(command), 0);
    return out_;
  };
  EXPECT_THAT(help({"stock", "add"}), AllOf(Not(HasSubstr("reduce")), Not(HasSubstr("warehouse"))));
  EXPECT_THAT(help({"stock", "reduce"}), HasSubstr("as are unsold"));
  EXPECT_THAT(help({"quota", "freeze"}), HasSubstr("dead node"));
  EXPECT_THAT(help({"quota", "thaw"}), Not(HasSubstr("dead node")));
  EXPECT_THAT(help({"outbox", "retry"}), AllOf(HasSubstr("otherwise every sink"), Not(HasSubstr("=default"))));
  EXPECT_THAT(help({"outbox", "discard"}), HasSubstr("=default"));
}

class CompletionTest : public TranchectlTest {
 protected:
  std::vector<std::string> Candidates(std::vector<std::string> typed) {
    typed.insert(typed.begin(), {"--endpoint", admin_.address(), "completion", "candidates", "--"});
    EXPECT_EQ(RunCtl(typed), 0) << err_;
    EXPECT_EQ(err_, "");
    return absl::StrSplit(out_, '\n', absl::SkipEmpty());
  }
};

TEST_F(CompletionTest, KnowsCommandsAndFlags) {
  EXPECT_THAT(Candidates({""}), ::testing::IsSupersetOf({"sku", "quota", "reservation", "completion"}));
  EXPECT_THAT(Candidates({"quota", "re"}), ::testing::ElementsAre("rebalance"));
  EXPECT_THAT(Candidates({"sku", "create", "--op"}), ::testing::ElementsAre("--opens-at"));
  EXPECT_THAT(Candidates({"sku", "create", "--end"}), ::testing::ElementsAre("--endpoint")) << "a global one";
  EXPECT_THAT(Candidates({"completion", ""}), ::testing::UnorderedElementsAre("bash", "zsh", "fish"));
}

TEST_F(CompletionTest, KnowsTheWordsThatAFlagTakes) {
  EXPECT_THAT(Candidates({"quota", "rebalance", "tv", "--policy", ""}),
              ::testing::ElementsAre("equal", "demand", "weights"));
  EXPECT_THAT(Candidates({"quota", "rebalance", "tv", "--policy=d"}), ::testing::ElementsAre("--policy=demand"));
  EXPECT_THAT(Candidates({"sku", "list", "-o", "w"}), ::testing::ElementsAre("wide"));
}

TEST_F(CompletionTest, AsksTheClusterForNames) {
  EXPECT_THAT(Candidates({"sku", "show", ""}), ::testing::ElementsAre("tv"));
  EXPECT_THAT(Candidates({"reservation", "list", "--sku", "t"}), ::testing::ElementsAre("tv"));
  EXPECT_THAT(Candidates({"node", "drain", "--yes", "no"}), ::testing::ElementsAre("node-1"));
  admin_.node_looks = 0;
  EXPECT_THAT(Candidates({"quota", "move", "tv", "--from", ""}), ::testing::ElementsAre("node-1", "pool"));
  EXPECT_THAT(Candidates({"stock", "add", "tv", ""}), ::testing::IsEmpty()) << "a number";
  ASSERT_EQ(RunCtl({"completion", "candidates", "--", "--endpoint", admin_.address(), "sku", "show", ""}), 0);
  EXPECT_EQ(out_, "tv\n") << "at the endpoint that was typed";
  ASSERT_EQ(RunCtl({"completion", "candidates", "--", "--endpoint", "127.0.0.1:1", "sku", "show", ""}), 0);
  EXPECT_EQ(out_ + err_, "") << "silent without a cluster";
}

TEST_F(CompletionTest, CompletesWhereverAnExistingNameIsWanted) {
  using ::testing::ElementsAre;
  using ::testing::IsEmpty;
  EXPECT_THAT(Candidates({"reservation", "create", "--user", "alice", ""}), ElementsAre("tv"));
  EXPECT_THAT(Candidates({"audit", "--sku", ""}), ElementsAre("tv"));
  EXPECT_THAT(Candidates({"verify", "--sku="}), ElementsAre("--sku=tv"));
  EXPECT_THAT(Candidates({"sku", "move", "tv", "--to", ""}), ElementsAre("home", "hot"));
  EXPECT_THAT(Candidates({"sku", "create", "radio", "--shard", "ho"}), ElementsAre("home", "hot"));
  EXPECT_THAT(Candidates({"outbox", "list", "--sink", ""}), ElementsAre("books"));
  EXPECT_THAT(Candidates({"outbox", "retry", "--sink", ""}), ElementsAre("books"));
  EXPECT_THAT(Candidates({"outbox", "sink", "remove", ""}), ElementsAre("books"));
  admin_.node_looks = 0;
  EXPECT_THAT(Candidates({"quota", "set", "tv", ""}), ElementsAre("node-1")) << "not the pool";
  EXPECT_THAT(Candidates({"sku", "create", ""}), IsEmpty()) << "that is a new one";
  EXPECT_THAT(Candidates({"outbox", "sink", "add", ""}), IsEmpty());
  EXPECT_THAT(Candidates({"shard", "add", ""}), IsEmpty());
}

TEST_F(CompletionTest, OffersEachFlagOnce) {
  for (const std::vector<std::string>& typed :
       std::vector<std::vector<std::string>>{{"--"}, {"sku", "--"}, {"outbox", "sink", "list", "--"}}) {
    const std::vector<std::string> flags = Candidates(typed);
    for (const std::string& flag : flags) EXPECT_EQ(std::count(flags.begin(), flags.end(), flag), 1) << flag;
    EXPECT_EQ(std::count(flags.begin(), flags.end(), "--help"), 1);
    EXPECT_EQ(std::count(flags.begin(), flags.end(), "--version"), typed.size() == 1 ? 1 : 0);
    EXPECT_EQ(std::count(flags.begin(), flags.end(), "--endpoint"), 1);
  }
}

TEST_F(CompletionTest, BashPassesOnWhatWasTypedAndKeepsWhatItKeeps) {
  ASSERT_EQ(RunCtl({"completion", "bash"}), 0);
  testing::ScratchDir dir("tranchectl");
  const std::string script = absl::StrCat(dir.path().string(), "/completion.bash");
  // A tranchectl that knows one candidate, and writes down what it was asked.
  std::ofstream(script) << out_ << "asked=" << dir.path().string() << "/asked\n"
                        << "tranchectl() { printf '<%s>' \"$@\" > $asked; echo 10.0.0.1:7400; }\n"
                        << "COMP_LINE='tranchectl node drain 10.0.0.1:'\nCOMP_POINT=${#COMP_LINE}\n"
                        << "_tranchectl\ncat $asked; echo \" ${COMPREPLY[*]}\"\n";
  const std::string result = absl::StrCat(dir.path().string(), "/result");
  ASSERT_EQ(std::system(absl::StrCat("bash ", script, " > ", result).c_str()), 0);
  std::stringstream text;
  text << std::ifstream(result).rdbuf();
  EXPECT_EQ(text.str(), "<completion><candidates><--><node><drain><10.0.0.1:> 7400\n");
}

TEST_F(CompletionTest, EveryShellAsksForCandidates) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    ASSERT_EQ(RunCtl({"completion", shell}), 0);
    EXPECT_THAT(out_, HasSubstr("tranchectl completion candidates --")) << shell;
    EXPECT_THAT(out_, Not(HasSubstr("\x1b")));
  }
}

}  // namespace
}  // namespace tranche::ctl
