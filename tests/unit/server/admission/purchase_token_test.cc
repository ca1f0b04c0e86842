#include "server/admission/purchase_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/admission/keyed_hash.h"
#include "server/admission/paseto.h"
#include "tests/unit/server/admission/test_keys.h"

namespace tranche::server {
namespace {

const absl::Time kTokenMade = absl::FromUnixMillis(1'700'000'000'123);
constexpr absl::Duration kTokenLifetime = absl::Minutes(2);

class PurchaseTokenTest : public ::testing::Test {
 protected:
  std::string Make(const std::string& sku_id = "tv", const std::string& user_id = "alice") const {
    return MakePurchaseToken(keys_, sku_id, user_id, kTokenLifetime, kTokenMade).text;
  }
  TokenProblem Problem(const std::string& text, const std::string& sku_id = "tv", const std::string& user_id = "alice",
                       absl::Time now = kTokenMade) const {
    const TokenReading reading = ReadPurchaseToken(keys_, text, sku_id, user_id, now);
    EXPECT_EQ(reading.id.empty(), reading.problem != TokenProblem::kNone);
    return reading.problem;
  }
  // With the key that is current, whatever is written.
  std::string Seal(const std::string& message, const std::string& footer) const {
    return SealPaseto(keys_.current()->token_key, message, footer,
                      LengthDelimited({"tranche-purchase-token-v1", "tv", "alice"}));
  }
  static std::string Message(absl::string_view purpose = "tranche-purchase-token-v1") {
    const int64_t expires_at_ms = absl::ToUnixMillis(kTokenMade + kTokenLifetime);
    return LengthDelimited({purpose, BigEndian64(static_cast<uint64_t>(expires_at_ms)), "0123456789abcdef"});
  }

  FrontKeys keys_ = CurrentTestKey();
};

TEST_F(PurchaseTokenTest, IsGoodForItsBuyerAndSkuUntilItExpires) {
  const PurchaseToken token = MakePurchaseToken(keys_, "tv", "alice", kTokenLifetime, kTokenMade);
  EXPECT_EQ(token.expires_at, kTokenMade + kTokenLifetime);
  EXPECT_LT(token.text.size(), 200u);
  EXPECT_EQ(Problem(token.text), TokenProblem::kNone);
  EXPECT_EQ(Problem(token.text, "tv", "alice", token.expires_at - absl::Milliseconds(1)), TokenProblem::kNone);
  EXPECT_EQ(Problem(token.text, "tv", "alice", token.expires_at), TokenProblem::kExpired);
  EXPECT_EQ(Problem(token.text, "tv", "alice", absl::InfiniteFuture()), TokenProblem::kExpired);
}

TEST_F(PurchaseTokenTest, OfOneIsNoneForAnother) {
  EXPECT_EQ(Problem(Make(), "tv", "bob"), TokenProblem::kNotForThis);
  EXPECT_EQ(Problem(Make(), "radio", "alice"), TokenProblem::kNotForThis);
  EXPECT_EQ(Problem(Make(), "alice", "tv"), TokenProblem::kNotForThis);
  EXPECT_EQ(Problem(Make("tv", ""), "", "tv"), TokenProblem::kNotForThis);
}

// Otherwise the buyer "1alice" of "tv" could buy as "alice" of "tv1".
TEST_F(PurchaseTokenTest, ACharacterCannotMoveFromSkuToBuyer) {
  EXPECT_EQ(Problem(Make("tv1", "alice"), "tv", "1alice"), TokenProblem::kNotForThis);
  EXPECT_EQ(Problem(Make("tv1", "alice"), "tv1", "alice"), TokenProblem::kNone);
}

TEST_F(PurchaseTokenTest, AChangedCharacterAnywhereMakesItNone) {
  keys_ = RotatedTestKeys(kTestKeyId);
  const std::string token = Make();
  for (size_t at = 0; at < token.size(); ++at) {
    for (const char other : std::string("AQgw-_+/=. 9OY")) {
      if (token[at] == other) continue;
      std::string altered = token;
      altered[at] = other;
      EXPECT_NE(Problem(altered), TokenProblem::kNone) << at << " " << other;
    }
    EXPECT_NE(Problem(token.substr(0, at)), TokenProblem::kNone) << at;
    EXPECT_NE(Problem(absl::StrCat(token.substr(0, at), "A", token.substr(at))), TokenProblem::kNone) << at;
  }
}

TEST_F(PurchaseTokenTest, APartOfAnotherTokenDoesNotFit) {
  const std::vector<std::string> one = absl::StrSplit(Make(), '.');
  keys_ = CurrentTestKey(kTestKeyId + 1);
  const std::vector<std::string> other = absl::StrSplit(Make(), '.');
  ASSERT_EQ(one.size(), 4u);
  ASSERT_EQ(other.size(), 4u);
  keys_ = RotatedTestKeys(kTestKeyId);
  EXPECT_EQ(Problem(absl::StrCat("v4.local.", one[2], ".", one[3])), TokenProblem::kNone);
  EXPECT_EQ(Problem(absl::StrCat("v4.local.", one[2], ".", other[3])), TokenProblem::kNotForThis);
}

TEST_F(PurchaseTokenTest, TheKeysBeforeAndAfterAreGoodAndOthersAreNot) {
  const std::string token = Make();
  keys_ = RotatedTestKeys(kTestKeyId + 1);
  EXPECT_EQ(Problem(token), TokenProblem::kNone) << "the previous key";
  keys_ = RotatedTestKeys(kTestKeyId - 1);
  EXPECT_EQ(Problem(token), TokenProblem::kNone) << "the next key, which another node already uses";
  keys_ = RotatedTestKeys(kTestKeyId + 2);
  EXPECT_EQ(Problem(token), TokenProblem::kUnreadable) << "a key that was dropped";
}

TEST_F(PurchaseTokenTest, IsMadeWithTheCurrentKeyOnly) {
  keys_ = RotatedTestKeys(kTestKeyId);
  EXPECT_THAT(PasetoFooter(Make()), ::testing::Optional(absl::StrCat(kTestKeyId)));
  keys_ = FrontKeys(std::vector<storage::FrontKey>{TestKey(kTestKeyId, storage::FrontKey::Use::kNext)});
  EXPECT_EQ(Make(), "");
}

// A new key with the id of an old one, as after a restore of the ledger.
TEST_F(PurchaseTokenTest, AnotherKeyOfTheSameNumberOpensNothing) {
  const std::string token = Make();
  storage::FrontKey other = TestKey(kTestKeyId, storage::FrontKey::Use::kCurrent);
  other.secret[0] = 'x';
  keys_ = FrontKeys(std::vector<storage::FrontKey>{other});
  EXPECT_EQ(Problem(token), TokenProblem::kNotForThis);
}

TEST_F(PurchaseTokenTest, HasANumberOfItsOwn) {
  const TokenReading one = ReadPurchaseToken(keys_, Make(), "tv", "alice", kTokenMade);
  const TokenReading other = ReadPurchaseToken(keys_, Make(), "tv", "alice", kTokenMade);
  EXPECT_EQ(one.id.size(), 16u);
  EXPECT_NE(one.id, other.id);
  const std::string again = Make();
  EXPECT_EQ(ReadPurchaseToken(keys_, again, "tv", "alice", kTokenMade).id,
            ReadPurchaseToken(keys_, again, "tv", "alice", kTokenMade).id);
}

TEST_F(PurchaseTokenTest, AFooterThatNamesNoKeyIsUnreadable) {
  ASSERT_EQ(Problem(Seal(Message(), "7")), TokenProblem::kNone);
  for (const char* footer : {"", "8", "0", "-7", "seven", "7.0", "7;8", "99999999999999999999", "\xff\xfe"}) {
    EXPECT_EQ(Problem(Seal(Message(), footer)), TokenProblem::kUnreadable) << footer;
  }
}

TEST_F(PurchaseTokenTest, AMessageOfAnotherPurposeOrFormIsUnreadable) {
  ASSERT_EQ(Problem(Seal(Message(), "7")), TokenProblem::kNone);
  for (const std::string& message : {std::string(), Message("tranche-purchase-token-v2"), absl::StrCat(Message(), "x"),
                                     Message().substr(1), std::string(Message().size(), '\0')}) {
    EXPECT_EQ(Problem(Seal(message, "7")), TokenProblem::kUnreadable) << message;
  }
}

// Good in all else: spaces around a number do not count.
TEST_F(PurchaseTokenTest, LongerThan512BytesIsUnreadable) {
  const std::string longest = Seal(Message(), absl::StrCat("7", std::string(250, ' ')));
  ASSERT_EQ(longest.size(), kMaxPurchaseTokenBytes);
  EXPECT_EQ(Problem(longest), TokenProblem::kNone);
  const std::string longer = Seal(Message(), absl::StrCat("7", std::string(251, ' ')));
  ASSERT_EQ(longer.size(), kMaxPurchaseTokenBytes + 1);
  EXPECT_EQ(Problem(longer), TokenProblem::kUnreadable);
}

TEST_F(PurchaseTokenTest, GarbageIsUnreadable) {
  for (const std::string& text : {std::string(), std::string("x"), std::string("v4.local."), std::string(512, 'A'),
                                  std::string("v4.local.") + std::string(200, '\0')}) {
    EXPECT_EQ(Problem(text), TokenProblem::kUnreadable) << text;
  }
}

}  // namespace
}  // namespace tranche::server
