#include "server/admission/front_keys.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "absl/strings/escaping.h"
#include "tests/unit/server/admission/test_keys.h"

namespace tranche::server {
namespace {

using TestKeyUse = storage::FrontKey::Use;

// Computed with Python: hashlib.blake2b(b"tranche-purchase-token-v1", key=bytes(range(32)), digest_size=32).
TEST(FrontKeysTest, EachUseHasAKeyOfItsOwn) {
  const FrontKeys keys = CurrentTestKey();
  ASSERT_NE(keys.current(), nullptr);
  EXPECT_EQ(absl::BytesToHexString(keys.current()->token_key),
            "561fdf41acafa8ba734d5b11f7552a6a60ac12cd76bc5c0a5f8a7851f546ba8e");
  EXPECT_EQ(absl::BytesToHexString(keys.current()->challenge_key),
            "6adf88321307988f64233b3761bcd1cfd1a7b3fc129ee877e3f80ae823c7d9f5");
  EXPECT_EQ(absl::BytesToHexString(keys.current()->ticket_key),
            "ce0b9dc0efb1ea414c7c30b561520d96dc554af4dfd7fc3245c08dba59973ab0");
  EXPECT_EQ(absl::BytesToHexString(keys.current()->delay_key),
            "3f1404dcbd11c3062d28d07aa3aa4f68869761f945bdf79111f5a863f684d259");
}

TEST(FrontKeysTest, AllThreeAreFoundAndOneIsCurrent) {
  const FrontKeys keys = RotatedTestKeys(kTestKeyId);
  for (const int64_t id : {kTestKeyId - 1, kTestKeyId, kTestKeyId + 1}) {
    ASSERT_NE(keys.Find(id), nullptr);
    EXPECT_EQ(keys.Find(id)->id, id);
  }
  EXPECT_EQ(keys.current(), keys.Find(kTestKeyId));
  EXPECT_NE(keys.Find(kTestKeyId)->token_key, keys.Find(kTestKeyId + 1)->token_key);
  EXPECT_EQ(keys.Find(kTestKeyId + 2), nullptr);
  EXPECT_EQ(keys.Find(0), nullptr);
}

TEST(FrontKeysTest, AKeyOfAnotherSizeIsLeftOut) {
  for (const size_t size : {size_t{0}, storage::kFrontKeyBytes - 1, storage::kFrontKeyBytes + 1}) {
    storage::FrontKey odd = TestKey(kTestKeyId, TestKeyUse::kCurrent);
    odd.secret.resize(size);
    const FrontKeys keys(std::vector<storage::FrontKey>{odd, TestKey(kTestKeyId + 1, TestKeyUse::kNext)});
    EXPECT_EQ(keys.Find(kTestKeyId), nullptr);
    EXPECT_EQ(keys.current(), nullptr);
    EXPECT_NE(keys.Find(kTestKeyId + 1), nullptr);
  }
}

TEST(FrontKeysTest, WithoutAKeyThereIsNoCurrentOne) {
  EXPECT_EQ(FrontKeys().current(), nullptr);
  EXPECT_EQ(FrontKeys(std::vector<storage::FrontKey>{TestKey(kTestKeyId, TestKeyUse::kNext)}).current(), nullptr);
}

}  // namespace
}  // namespace tranche::server
