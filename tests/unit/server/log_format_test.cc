#include "server/process/log_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"

namespace tranche::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

LogLine LineOf(absl::string_view message) {
  return {.time = absl::FromUnixMicros(1'700'000'000'123'456),
          .level = "WARNING",
          .program = "tranched",
          .node = "node-1",
          .incarnation = 42,
          .file = "front_node.cc",
          .line = 7,
          .message = message};
}

// The line as a program reads it; fails the test if it is no JSON object.
google::protobuf::Struct Parsed(const std::string& line) {
  google::protobuf::Struct parsed;
  const auto status = google::protobuf::util::JsonStringToMessage(line, &parsed);
  EXPECT_TRUE(status.ok()) << status.ToString() << ": " << line;
  return parsed;
}

std::string Message(const google::protobuf::Struct& line) { return line.fields().at("message").string_value(); }

std::string AllBytes() {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
  return bytes;
}

TEST(LogFormat, TextNamesTimeLevelProgramNodeAndSource) {
  EXPECT_EQ(FormatLogLine(LogFormat::kText, LineOf("hello")),
            "2023-11-14T22:13:20.123456Z WARNING tranched node-1/42 front_node.cc:7] hello\n");
}

TEST(LogFormat, WhatIsNotKnownIsLeftOut) {
  LogLine line = LineOf("hello");
  line.node = "";
  line.incarnation = 0;
  EXPECT_THAT(FormatLogLine(LogFormat::kText, line), HasSubstr(" tranched - front_node.cc:7] hello"));
  const google::protobuf::Struct json = Parsed(FormatLogLine(LogFormat::kJson, line));
  for (const char* const field : {"node", "incarnation", "trace", "request", "event", "fields"}) {
    EXPECT_FALSE(json.fields().contains(field)) << field;
  }
}

TEST(LogFormat, JsonHasOneFieldForEachPart) {
  const LogTrace trace{.trace_id = "0af7651916cd43dd8448eb211c80319c", .request_id = "r\"17"};
  const LoggedEvent event{"sale.sold_out", {{"sku", "tv"}, {"units", 1000}, {"seconds", 2.5}, {"held", true}}};
  LogLine line = LineOf("hello");
  line.trace = &trace;
  line.event = &event;
  const auto fields = Parsed(FormatLogLine(LogFormat::kJson, line)).fields();
  EXPECT_EQ(fields.at("time").string_value(), "2023-11-14T22:13:20.123456Z");
  EXPECT_EQ(fields.at("level").string_value(), "WARNING");
  EXPECT_EQ(fields.at("program").string_value(), "tranched");
  EXPECT_EQ(fields.at("node").string_value(), "node-1");
  EXPECT_EQ(fields.at("incarnation").number_value(), 42);
  EXPECT_EQ(fields.at("source").string_value(), "front_node.cc:7");
  EXPECT_EQ(fields.at("trace").string_value(), trace.trace_id);
  EXPECT_EQ(fields.at("request").string_value(), trace.request_id);
  EXPECT_EQ(fields.at("event").string_value(), "sale.sold_out");
  const auto values = fields.at("fields").struct_value().fields();
  EXPECT_EQ(values.at("sku").string_value(), "tv");
  EXPECT_EQ(values.at("units").number_value(), 1000);
  EXPECT_EQ(values.at("seconds").number_value(), 2.5);
  EXPECT_TRUE(values.at("held").bool_value());
  EXPECT_EQ(fields.at("message").string_value(), "hello");
}

TEST(LogFormat, NoBytesBreakALine) {
  for (const std::string& hostile :
       {AllBytes(), std::string("a\nI2026 forged"), std::string("\x1b[2J"), std::string("\xc2\x9b") + "31m",
        std::string("\xed\xa0\x80 \xc0\xaf \xf4\x90\x80\x80 \xe2\x82"), std::string("\xff\xfe")}) {
    for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
      LogLine line = LineOf(hostile);
      const LogTrace trace{.trace_id = hostile, .request_id = hostile};
      const LoggedEvent event{"call", {{"value", hostile}}};
      line.node = hostile;
      line.trace = &trace;
      line.event = &event;
      const std::string text = FormatLogLine(format, line);
      EXPECT_EQ(text.find('\n'), text.size() - 1) << text;
      for (const char c : text.substr(0, text.size() - 1)) {
        EXPECT_FALSE(static_cast<unsigned char>(c) < 0x20 || c == 0x7f) << text;
      }
      EXPECT_THAT(text, Not(HasSubstr("\xc2\x9b")));
      if (format == LogFormat::kJson) Parsed(text);
    }
  }
}

TEST(LogFormat, JsonKeepsWhatIsText) {
  const std::string text = "J\xc3\xb6rg \"quotes\" \\ \xe2\x82\xac \xf0\x9f\x8e\x89 \n\t\x01 \xc2\x85";
  EXPECT_EQ(Message(Parsed(FormatLogLine(LogFormat::kJson, LineOf(text)))), text);
  EXPECT_EQ(Message(Parsed(FormatLogLine(LogFormat::kJson, LineOf("a\xff"
                                                                  "b")))),
            "a\xef\xbf\xbd"
            "b");
}

TEST(LogFormat, LongLinesAreCutAndSaySo) {
  for (const std::string& piece :
       {std::string("x"), std::string("\x01"), std::string("\xff"), std::string("\xe2\x82\xac"), std::string("\"")}) {
    std::string message;
    while (message.size() < 3 * kMaxLogLineBytes) message += piece;
    for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
      const std::string line = FormatLogLine(format, LineOf(message));
      EXPECT_LE(line.size(), kMaxLogLineBytes);
      EXPECT_GT(line.size(), kMaxLogLineBytes - 64);
      EXPECT_THAT(line, HasSubstr("...[cut]"));
      if (format == LogFormat::kJson) Parsed(line);
    }
  }
}

TEST(LogFormat, ManyLongFieldsLeaveRoomForTheRest) {
  LoggedEvent event{"call", {}};
  std::vector<std::string> keys;
  for (int i = 0; i < 100; ++i) keys.push_back(absl::StrCat("key", i));
  for (const std::string& key : keys) event.fields.push_back({key.c_str(), std::string(10'000, '\x01')});
  const LogTrace trace{.trace_id = std::string(10'000, '\x01'), .request_id = std::string(10'000, '\x01')};
  const std::string message(10'000, '\x01');
  LogLine line = LineOf(message);
  const std::string node(10'000, '\x01');
  line.node = node;
  line.event = &event;
  line.trace = &trace;
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    const std::string text = FormatLogLine(format, line);
    EXPECT_LE(text.size(), kMaxLogLineBytes);
    if (format == LogFormat::kJson) Parsed(text);
  }
}

}  // namespace
}  // namespace tranche::server
