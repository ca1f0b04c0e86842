#include "storage/base/log_event.h"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/base/log_identity.h"
#include "storage/base/log_trace.h"
#include "storage/bounded_executor.h"
#include "tests/support/logged_lines.h"

namespace tranche {
namespace {

using ::testing::ElementsAre;

TEST(LogEventTest, ReadsAsText) {
  const testing::LoggedLines log;
  LogEvent("sale.sold_out", {{"sku", "tv"}, {"units", 1000}, {"seconds", 2.4}, {"held", false}});
  EXPECT_THAT(log.lines(), ElementsAre("event sale.sold_out sku=tv units=1000 seconds=2.4 held=false"));
}

TEST(LogEventTest, NoValueLooksLikeAnotherField) {
  const testing::LoggedLines log;
  LogEvent("node.gone", {{"node", "a units=9"}, {"b", "x=1"}, {"c", "line\nbreak"}, {"d", ""}, {"e", "q\"\\"}});
  EXPECT_THAT(log.lines(),
              ElementsAre("event node.gone node=\"a units=9\" b=\"x=1\" c=\"line\\nbreak\" d=\"\" e=\"q\\\"\\\\\""));
}

TEST(LogEventTest, LongValuesAndManyFieldsAreCut) {
  EXPECT_EQ(LogWord(std::string(1000, 'x')), "\"" + std::string(kMaxLogValueBytes, 'x') + "...\"");
  LoggedEvent event{"many", {}};
  for (size_t i = 0; i < 2 * kMaxLogFields; ++i) event.fields.push_back({"k", 1});
  const std::string text = LogEventText(event);
  EXPECT_EQ(std::count(text.begin(), text.end(), '='), static_cast<std::ptrdiff_t>(kMaxLogFields));
}

// What glog hands on while a line is written.
class SeenEvents : public google::LogSink {
 public:
  SeenEvents() { google::AddLogSink(this); }
  ~SeenEvents() override { google::RemoveLogSink(this); }
  using google::LogSink::send;
  void send(google::LogSeverity, const char*, const char*, int, const google::LogMessageTime&, const char*,
            size_t) override {
    seen.push_back(EventBeingLogged() == nullptr ? "" : EventBeingLogged()->name);
  }
  std::vector<std::string> seen;
};

TEST(LogEventTest, TheFieldsAreThereWhileTheLineIsWrittenAndOnlyThen) {
  const SeenEvents log;
  LogEvent("first", {});
  LOG(INFO) << "no event";
  EXPECT_THAT(log.seen, ElementsAre("first", ""));
}

TEST(LogTraceTest, HoldsForThisThreadUntilTheScopeEnds) {
  const auto outer = std::make_shared<const LogTrace>(LogTrace{"outer", ""});
  const auto inner = std::make_shared<const LogTrace>(LogTrace{"inner", ""});
  EXPECT_EQ(CurrentTrace(), nullptr);
  {
    const ScopedTrace of_outer(outer);
    {
      const ScopedTrace of_inner(inner);
      EXPECT_EQ(CurrentTrace(), inner);
      std::thread([] { EXPECT_EQ(CurrentTrace(), nullptr); }).join();
    }
    EXPECT_EQ(CurrentTrace(), outer);
    const ScopedTrace none(nullptr);
    EXPECT_EQ(CurrentTrace(), nullptr) << "a call without a trace";
  }
  EXPECT_EQ(CurrentTrace(), nullptr);
}

TEST(LogTraceTest, GoesWithATaskToTheThreadThatRunsIt) {
  const auto tag = std::make_shared<const LogTrace>(LogTrace{"outer", ""});
  TraceTag traced = nullptr, plain = tag;
  {
    storage::BoundedExecutor executor(1, 2);
    absl::AnyInvocable<void()> first = [&] { traced = CurrentTrace(); };
    absl::AnyInvocable<void()> second = [&] { plain = CurrentTrace(); };
    const auto hand_over_first = [&] {
      const ScopedTrace scope(tag);
      return executor.TryRun(first);
    };
    ASSERT_TRUE(hand_over_first());
    ASSERT_TRUE(executor.TryRun(second));
  }
  EXPECT_EQ(traced, tag);
  EXPECT_EQ(plain, nullptr) << "the next task on the same thread";
}

TEST(LogIdentityTest, TheNodeIsSetOnceAndTheIncarnationAnew) {
  SetLogNode("node-1");
  SetLogNode("node-2");
  EXPECT_EQ(LogNode(), "node-1");
  SetLogIncarnation(7);
  SetLogIncarnation(8);
  EXPECT_EQ(LogIncarnation(), 8);
  SetLogIncarnation(0);
}

}  // namespace
}  // namespace tranche
