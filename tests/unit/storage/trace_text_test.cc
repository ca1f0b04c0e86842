#include "storage/ledger/trace_text.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace tranche::storage {
namespace {

constexpr char kTraceparent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TraceTag Tag(const std::string& traceparent, const std::string& request_id) {
  return std::make_shared<const LogTrace>(
      LogTrace{.trace_id = "", .request_id = request_id, .traceparent = traceparent});
}

TEST(TraceText, ComesBackAsItWas) {
  for (const std::string& traceparent : {std::string(kTraceparent), std::string()}) {
    for (const std::string& request_id : {std::string("r-17"), std::string(128, '~'), std::string()}) {
      const std::string text = TraceText(Tag(traceparent, request_id));
      EXPECT_LE(text.size(), 184u) << "the ledger takes 256 bytes";
      const TraceTag read = TraceOfText(text);
      if (traceparent.empty() && request_id.empty()) {
        EXPECT_EQ(text, "");
        EXPECT_EQ(read, nullptr);
        continue;
      }
      ASSERT_NE(read, nullptr);
      EXPECT_EQ(read->traceparent, traceparent);
      EXPECT_EQ(read->trace_id, traceparent.empty() ? "" : "0af7651916cd43dd8448eb211c80319c");
      EXPECT_EQ(read->request_id, request_id);
    }
  }
  EXPECT_EQ(TraceText(nullptr), "");
}

TEST(TraceText, WhatNoHeaderCouldHaveIsLeftOut) {
  EXPECT_EQ(TraceText(Tag(std::string(kTraceparent) + "-1", "two words")), "");
  EXPECT_EQ(TraceText(Tag(kTraceparent, std::string(129, 'r'))), kTraceparent);
  EXPECT_EQ(TraceText(Tag("short", "r-17")), " r-17");
}

// Whoever wrote it: nothing of it may become a header of its own.
TEST(TraceText, TextsOfOthersGiveOnlyWhatCanBeSentOn) {
  for (const std::string& text : {std::string("nonsense"), std::string(" "), std::string("  "), std::string(" a b"),
                                  std::string(" r\r\nEvil: 1"), std::string(55, '\n'), std::string(10'000, 'x'),
                                  " " + std::string(129, 'x'), std::string(kTraceparent) + "\n"}) {
    EXPECT_EQ(TraceOfText(text), nullptr) << text;
  }
  const TraceTag kept = TraceOfText(std::string(kTraceparent) + " r\n");
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(kept->traceparent, kTraceparent);
  EXPECT_EQ(kept->request_id, "");
}

}  // namespace
}  // namespace tranche::storage
