#include "server/admission/waiting_ticket.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/admission/keyed_hash.h"
#include "server/admission/paseto.h"
#include "server/admission/purchase_token.h"
#include "tests/unit/server/admission/test_keys.h"

namespace tranche::server {
namespace {

const absl::Time kTicketJoined = absl::FromUnixMicros(1'700'000'000'123'456);

class WaitingTicketTest : public ::testing::Test {
 protected:
  static WaitingTicket Ticket() {
    return {.round = 3, .joined_at = kTicketJoined, .shuffled = true, .counted_at = kTicketJoined + absl::Seconds(40)};
  }
  std::string Make(const std::string& sku_id = "tv", const std::string& user_id = "alice") const {
    return MakeWaitingTicket(keys_, sku_id, user_id, Ticket());
  }
  bool IsGood(const std::string& text, const std::string& sku_id = "tv", const std::string& user_id = "alice") const {
    return ReadWaitingTicket(keys_, text, sku_id, user_id).has_value();
  }
  // With the key that is current, whatever is written.
  std::string Seal(const std::string& message, const std::string& footer = "7") const {
    return SealPaseto(keys_.current()->ticket_key, message, footer,
                      LengthDelimited({"tranche-waiting-ticket-v1", "tv", "alice"}));
  }
  static std::string Message(absl::string_view purpose = "tranche-waiting-ticket-v1",
                             absl::string_view shuffled = absl::string_view("\1", 1)) {
    const std::string time = BigEndian64(1'700'000'000'123'456);
    return LengthDelimited({purpose, BigEndian64(3), time, time, shuffled});
  }

  FrontKeys keys_ = CurrentTestKey();
};

TEST_F(WaitingTicketTest, SaysWhatWasWritten) {
  for (const bool shuffled : {false, true}) {
    WaitingTicket written = Ticket();
    written.shuffled = shuffled;
    const std::string text = MakeWaitingTicket(keys_, "tv", "alice", written);
    EXPECT_LT(text.size(), 250u);
    const std::optional<WaitingTicket> read = ReadWaitingTicket(keys_, text, "tv", "alice");
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->round, written.round);
    EXPECT_EQ(read->joined_at, written.joined_at);
    EXPECT_EQ(read->counted_at, written.counted_at);
    EXPECT_EQ(read->shuffled, shuffled);
  }
}

// As the header has it: another version reads it so.
TEST_F(WaitingTicketTest, HasTheFormThatIsPromised) {
  const std::optional<WaitingTicket> read = ReadWaitingTicket(keys_, Seal(Message()), "tv", "alice");
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->round, 3);
  EXPECT_EQ(read->joined_at, kTicketJoined);
  EXPECT_EQ(read->counted_at, kTicketJoined);
  EXPECT_TRUE(read->shuffled);
}

TEST_F(WaitingTicketTest, KeepsWholeMicroseconds) {
  WaitingTicket written = Ticket();
  written.joined_at += absl::Nanoseconds(999);
  const std::string text = MakeWaitingTicket(keys_, "tv", "alice", written);
  EXPECT_EQ(ReadWaitingTicket(keys_, text, "tv", "alice")->joined_at, kTicketJoined);
}

TEST_F(WaitingTicketTest, TakesTimesAndRoundsOfAnyValue) {
  for (const absl::Time time : {absl::InfinitePast(), absl::UnixEpoch(), absl::InfiniteFuture()}) {
    for (const int64_t round : {INT64_MIN, int64_t{-1}, int64_t{0}, INT64_MAX}) {
      const WaitingTicket odd = {.round = round, .joined_at = time, .shuffled = false, .counted_at = time};
      const std::optional<WaitingTicket> read =
          ReadWaitingTicket(keys_, MakeWaitingTicket(keys_, "tv", "alice", odd), "tv", "alice");
      ASSERT_TRUE(read.has_value());
      EXPECT_EQ(read->round, round);
      EXPECT_EQ(absl::ToUnixMicros(read->joined_at), absl::ToUnixMicros(time));
    }
  }
}

TEST_F(WaitingTicketTest, OfOneIsNoneForAnother) {
  EXPECT_TRUE(IsGood(Make()));
  EXPECT_FALSE(IsGood(Make(), "tv", "bob"));
  EXPECT_FALSE(IsGood(Make(), "radio", "alice"));
  EXPECT_FALSE(IsGood(Make(), "alice", "tv"));
  EXPECT_FALSE(IsGood(Make("tv1", "alice"), "tv", "1alice"));
}

TEST_F(WaitingTicketTest, AChangedCharacterAnywhereMakesItNone) {
  keys_ = RotatedTestKeys(kTestKeyId);
  const std::string ticket = Make();
  for (size_t at = 0; at < ticket.size(); ++at) {
    for (const char other : std::string("AQgw-_+/=. 9OY")) {
      if (ticket[at] == other) continue;
      std::string altered = ticket;
      altered[at] = other;
      EXPECT_FALSE(IsGood(altered)) << at << " " << other;
    }
    EXPECT_FALSE(IsGood(ticket.substr(0, at))) << at;
    EXPECT_FALSE(IsGood(absl::StrCat(ticket.substr(0, at), "A", ticket.substr(at)))) << at;
  }
}

TEST_F(WaitingTicketTest, OneRotationLeavesItGoodAndTwoDoNot) {
  const std::string ticket = Make();
  keys_ = RotatedTestKeys(kTestKeyId + 1);
  EXPECT_TRUE(IsGood(ticket)) << "the previous key";
  keys_ = RotatedTestKeys(kTestKeyId - 1);
  EXPECT_TRUE(IsGood(ticket)) << "the next key, which another node already uses";
  keys_ = RotatedTestKeys(kTestKeyId + 2);
  EXPECT_FALSE(IsGood(ticket)) << "a key that was dropped";
}

TEST_F(WaitingTicketTest, AnotherKeyOfTheSameNumberOpensNothing) {
  const std::string ticket = Make();
  storage::FrontKey other = TestKey(kTestKeyId, storage::FrontKey::Use::kCurrent);
  other.secret[0] = 'x';
  keys_ = FrontKeys(std::vector<storage::FrontKey>{other});
  EXPECT_FALSE(IsGood(ticket));
}

TEST_F(WaitingTicketTest, IsNotMadeWithoutACurrentKey) {
  keys_ = FrontKeys(std::vector<storage::FrontKey>{TestKey(kTestKeyId, storage::FrontKey::Use::kNext)});
  EXPECT_EQ(Make(), "");
}

// Neither lets somebody in nor keeps a place.
TEST_F(WaitingTicketTest, IsNoPurchaseTokenAndNoneIsATicket) {
  const PurchaseToken token = MakePurchaseToken(keys_, "tv", "alice", absl::Minutes(2), kTicketJoined);
  EXPECT_FALSE(IsGood(token.text));
  EXPECT_NE(ReadPurchaseToken(keys_, Make(), "tv", "alice", kTicketJoined).problem, TokenProblem::kNone);
}

TEST_F(WaitingTicketTest, AMessageOfAnotherPurposeOrFormIsNone) {
  ASSERT_TRUE(IsGood(Seal(Message())));
  for (const std::string& message :
       {std::string(), Message("tranche-waiting-ticket-v2"), Message().substr(1), std::string(Message().size(), '\0'),
        Message("tranche-waiting-ticket-v1", "\2"), Message("tranche-waiting-ticket-v1", "")}) {
    EXPECT_FALSE(IsGood(Seal(message))) << message;
  }
}

// It may say what changes the meaning of the rest.
TEST_F(WaitingTicketTest, OfALaterVersionThatSaysMoreIsNone) {
  EXPECT_FALSE(IsGood(Seal(absl::StrCat(Message(), "x"))));
  EXPECT_FALSE(IsGood(Seal(absl::StrCat(Message(), LengthDelimited({"more"})))));
}

// Good in all else: spaces around a number do not count.
TEST_F(WaitingTicketTest, LongerThan512BytesIsNone) {
  size_t spaces = 0;
  std::string text = Seal(Message());
  std::string longest;
  while (text.size() <= kMaxWaitingTicketBytes) {
    EXPECT_TRUE(IsGood(text)) << text.size();
    longest = text;
    text = Seal(Message(), absl::StrCat("7", std::string(++spaces, ' ')));
  }
  EXPECT_GE(longest.size(), kMaxWaitingTicketBytes - 1);
  EXPECT_FALSE(IsGood(text)) << text.size();
}

TEST_F(WaitingTicketTest, GarbageIsNone) {
  for (const std::string& text : {std::string(), std::string("x"), std::string("v4.local."), std::string(512, 'A'),
                                  std::string("v4.local.") + std::string(200, '\0')}) {
    EXPECT_FALSE(IsGood(text)) << text;
  }
}

}  // namespace
}  // namespace tranche::server
