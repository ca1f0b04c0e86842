// Expected values come from Python's hmac and hashlib.
#include "server/admission/draw_rank.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/admission/keyed_hash.h"
#include "tests/unit/server/admission/draw_ids.h"

namespace tranche::server {
namespace {

std::string BytesOf(const storage::Uuid& id) { return {id.bytes.begin(), id.bytes.end()}; }

storage::Draw SeededDraw() {
  storage::Draw draw;
  draw.key = {.sku_id = "tv", .number = 2};
  draw.entries = 3;
  draw.merkle_root = absl::HexStringToBytes("41331dd30f238bc1e8964cc9cc919810d24315d2cad188a4745897592320452b");
  for (char byte = 0; byte < 32; ++byte) draw.seed.push_back(byte);
  return draw;
}

std::string Sha256Of(const std::string& text) {
  UseSodium();
  std::string hash(crypto_hash_sha256_BYTES, '\0');
  crypto_hash_sha256(reinterpret_cast<unsigned char*>(hash.data()), SodiumBytes(text), text.size());
  return hash;
}

TEST(DrawRankTest, KeyAndRanksAreThoseOfAPlainComputation) {
  const std::string key = DrawRankKey(SeededDraw());
  EXPECT_EQ(absl::BytesToHexString(key), "e121fd10721c11378590d82f14b26e47aa13787d9209a41337749acd6f4bfc09");
  EXPECT_EQ(absl::BytesToHexString(DrawRank(key, DrawId(0))),
            "feb0a75cbcb5a4ea9a298c323bbb3bff0204beca605d9d3345d39fe64f27a0f7");
  EXPECT_EQ(absl::BytesToHexString(DrawRank(key, DrawId(1))),
            "87456b15580dac0b355d0643c26a745a657a34b05ac9ad7e258fd1fdf43796b5");
  EXPECT_EQ(absl::BytesToHexString(DrawRank(key, DrawId(2))),
            "797a0197e2b96c1e1e331626ebb9b40c20c0dc55c40557e9ca6208f16b27cd0f");
}

TEST(DrawRankTest, ShortSeedsAndLargeNumbersAreTakenAsTheyAre) {
  storage::Draw draw;
  draw.key = {.sku_id = "J\u00fcrgen", .number = 1};
  draw.entries = storage::kMaxDrawEntries;
  draw.merkle_root = Sha256Of("");
  draw.seed = "0123456789abcdef";
  EXPECT_EQ(absl::BytesToHexString(DrawRankKey(draw)),
            "273def54f141004c830e13d732dffa73279eb1e3ef05346163a8d9ea9fceeae1");
}

TEST(DrawRankTest, EachPartOfADrawGivesAnotherKey) {
  const storage::Draw draw = SeededDraw();
  std::set<std::string> keys = {DrawRankKey(draw)};
  storage::Draw other = draw;
  other.key.sku_id = "tx";
  keys.insert(DrawRankKey(other));
  other = draw;
  other.key.number = 3;
  keys.insert(DrawRankKey(other));
  other = draw;
  other.entries = 4;
  keys.insert(DrawRankKey(other));
  other = draw;
  other.merkle_root[0] ^= 1;
  keys.insert(DrawRankKey(other));
  other = draw;
  other.seed[31] ^= 1;
  keys.insert(DrawRankKey(other));
  EXPECT_EQ(keys.size(), 6u);
}

TEST(DrawRankTest, TheLedgersBlocksGiveTheSameRanks) {
  const std::string key = DrawRankKey(SeededDraw());
  const storage::HmacBlocks blocks = DrawHmacBlocks(key);
  ASSERT_EQ(blocks.inner.size(), 64u);
  ASSERT_EQ(blocks.outer.size(), 64u);
  for (uint64_t i = 0; i < 100; ++i) {
    const std::string inner = Sha256Of(absl::StrCat(blocks.inner, BytesOf(DrawId(i))));
    EXPECT_EQ(Sha256Of(absl::StrCat(blocks.outer, inner)), DrawRank(key, DrawId(i))) << i;
  }
}

}  // namespace
}  // namespace tranche::server
