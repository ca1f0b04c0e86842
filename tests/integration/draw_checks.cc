// What a draw must have come to. The hashes are computed as docs/draws.md has them, and not by the servers' code,
// except for the inner nodes of the tree.
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/admission/merkle_tree.h"
#include "tests/integration/draw_fixture.h"

namespace tranche::testing {
namespace {

std::string Hmac(const std::string& key, const std::string& message) {
  std::string hash(SHA256_DIGEST_LENGTH, '\0');
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(message.data()),
       message.size(), reinterpret_cast<unsigned char*>(hash.data()), &size);
  return hash;
}

std::string BigEndian(uint64_t number, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text.push_back(static_cast<char>(number >> (8 * i) & 0xff));
  return text;
}

std::string BehindItsLength(const std::string& part) { return absl::StrCat(BigEndian(part.size(), 4), part); }

std::string BytesOf(const storage::Uuid& id) { return {id.bytes.begin(), id.bytes.end()}; }

std::string RankOf(const std::string& sku, int64_t number, int64_t entries, const std::string& root,
                   const std::string& seed, const storage::Uuid& id) {
  std::string message;
  for (const std::string& part : {std::string("tranche-draw-v1"), sku, BigEndian(static_cast<uint64_t>(number), 8),
                                  BigEndian(static_cast<uint64_t>(entries), 8), root}) {
    message += BehindItsLength(part);
  }
  return Hmac(Hmac(seed, message), BytesOf(id));
}

}  // namespace

std::string Sha256(const std::string& text) {
  std::string hash(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(hash.data()));
  return hash;
}

std::string DrawFixture::SeedOf(const std::string& sku) { return Sha256(absl::StrCat("the seed of ", sku)); }

void DrawFixture::CheckSealed(const std::string& sku) {
  const v1::Draw draw = DrawOf(sku);
  const std::vector<storage::Uuid> list = SealedList(sku);
  EXPECT_TRUE(std::is_sorted(list.begin(), list.end()));
  std::set<std::string> told;
  for (const auto& [user, id] : entries_[sku]) told.insert(id);
  std::set<std::string> sealed;
  for (const storage::Uuid& id : list) sealed.insert(id.ToString());
  EXPECT_EQ(sealed.size(), list.size()) << "one is there twice";
  EXPECT_EQ(sealed, told);
  EXPECT_EQ(draw.entries(), static_cast<int64_t>(list.size()));
  std::vector<std::string> leaves;
  for (const storage::Uuid& id : list) leaves.push_back(Sha256(std::string(1, '\0') + BytesOf(id)));
  EXPECT_EQ(server::MerkleRoot(leaves), draw.merkle_root());
}

void DrawFixture::CheckAwards(const std::string& sku, size_t count) {
  const v1::Draw draw = DrawOf(sku);
  EXPECT_EQ(draw.seed(), SeedOf(sku));
  std::map<std::string, std::string> by_rank;  // ids
  for (const storage::Uuid& id : SealedList(sku)) {
    by_rank[RankOf(sku, draw.number(), draw.entries(), draw.merkle_root(), draw.seed(), id)] = id.ToString();
  }
  const std::vector<v1::DrawAward> awards = AwardsOf(sku);
  ASSERT_EQ(awards.size(), count) << draw.DebugString();
  ASSERT_LE(awards.size(), by_rank.size());
  auto next = by_rank.begin();
  for (size_t i = 0; i < count; ++i, ++next) {
    EXPECT_EQ(awards[i].place(), static_cast<int64_t>(i) + 1);
    EXPECT_EQ(awards[i].entry_id(), next->second) << "at place " << i + 1;
    EXPECT_EQ(entries_[sku][awards[i].user_id()], awards[i].entry_id());
    EXPECT_EQ(awards[i].reservation_id().empty(), awards[i].outcome() == v1::GetDrawEntryResponse::OUTCOME_PASSED_OVER);
    if (i + 1 == count) {
      EXPECT_EQ(draw.cutoff(), next->first);
    }
  }
}

void DrawFixture::CheckProof(const DrawEntry& entry) {
  const auto id = storage::Uuid::Parse(entry.entry_id);
  ASSERT_TRUE(id.has_value()) << entry.entry_id;
  const Draw& draw = entry.draw;
  const auto leads = [&](const storage::Uuid& leaf, int64_t index) {
    return server::PathLeadsTo(leaf, static_cast<size_t>(index), static_cast<size_t>(draw.entries), entry.audit_path,
                               draw.merkle_root);
  };
  EXPECT_TRUE(leads(*id, entry.leaf_index)) << entry.entry_id;
  storage::Uuid other = *id;
  other.bytes[15] ^= 1;
  EXPECT_FALSE(leads(other, entry.leaf_index));
  if (draw.seed.empty()) {
    EXPECT_EQ(entry.rank, "");
  } else {
    EXPECT_EQ(entry.rank, RankOf(draw.sku_id, draw.number, draw.entries, draw.merkle_root, draw.seed, *id));
  }
}

}  // namespace tranche::testing
