#include "server/trace_parent.h"

#include <gtest/gtest.h>

#include <string>

namespace tranche::server {
namespace {

constexpr char kTraceId[] = "0af7651916cd43dd8448eb211c80319c";
constexpr char kParentId[] = "b7ad6b7169203331";

std::string Header(const std::string& version, const std::string& trace, const std::string& parent,
                   const std::string& flags) {
  return version + "-" + trace + "-" + parent + "-" + flags;
}

TEST(TraceParent, TellsTheTraceId) {
  EXPECT_EQ(TraceIdOf(Header("00", kTraceId, kParentId, "01")), kTraceId);
  EXPECT_EQ(TraceIdOf(Header("cc", kTraceId, kParentId, "00")), kTraceId) << "a version to come";
}

TEST(TraceParent, TellsNothingOfWhatIsMalformed) {
  const std::string good = Header("00", kTraceId, kParentId, "01");
  const std::string bad[] = {
      "",
      "00",
      good.substr(0, 54),
      good + "0",
      good + "-more",
      Header("ff", kTraceId, kParentId, "01"),
      Header("0x", kTraceId, kParentId, "01"),
      Header("00", std::string(32, '0'), kParentId, "01"),
      Header("00", kTraceId, std::string(16, '0'), "01"),
      Header("00", "0AF7651916CD43DD8448EB211C80319C", kParentId, "01"),
      Header("00", std::string(31, 'a') + "\n", kParentId, "01"),
      Header("00", kTraceId, std::string(15, 'a') + "g", "01"),
      Header("00", kTraceId, kParentId, "0 "),
  };
  for (const std::string& header : bad) EXPECT_EQ(TraceIdOf(header), "") << header;
  for (const size_t dash : {2, 35, 52}) {
    std::string header = good;
    header[dash] = '_';
    EXPECT_EQ(TraceIdOf(header), "") << header;
  }
}

}  // namespace
}  // namespace tranche::server
