#include "server/admission/delay_ticket.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/admission/keyed_hash.h"
#include "server/admission/paseto.h"
#include "server/admission/waiting_ticket.h"
#include "tests/unit/server/admission/test_keys.h"

namespace tranche::server {
namespace {

constexpr int64_t kDelayReadyMs = 1'700'000'060'123;
const absl::Time kDelayReady = absl::FromUnixMillis(kDelayReadyMs);
const absl::Time kDelayExpires = kDelayReady + absl::Minutes(5);

class DelayTicketTest : public ::testing::Test {
 protected:
  using State = DelayReading::State;

  std::string Make(const std::string& sku_id = "tv", const std::string& user_id = "alice") const {
    return MakeDelayTicket(keys_, sku_id, user_id, {.ready_at = kDelayReady, .expires_at = kDelayExpires});
  }
  State Read(const std::string& text, const std::string& sku_id = "tv", const std::string& user_id = "alice",
             absl::Time now = kDelayReady) const {
    return ReadDelayTicket(keys_, text, sku_id, user_id, now).state;
  }
  State ReadAt(absl::Time now) const { return Read(Make(), "tv", "alice", now); }
  // With the key that is current, whatever is written.
  std::string Seal(const std::string& message, const std::string& footer = "7") const {
    return SealPaseto(keys_.current()->delay_key, message, footer,
                      LengthDelimited({"tranche-delay-ticket-v1", "tv", "alice"}));
  }
  static std::string Message(absl::string_view purpose = "tranche-delay-ticket-v1") {
    return LengthDelimited({purpose, BigEndian64(kDelayReadyMs), BigEndian64(kDelayReadyMs + 300'000)});
  }

  FrontKeys keys_ = CurrentTestKey();
};

TEST_F(DelayTicketTest, IsReadyFromItsTimeUntilItExpires) {
  EXPECT_EQ(ReadAt(absl::InfinitePast()), State::kEarly);
  EXPECT_EQ(ReadAt(kDelayReady - absl::Nanoseconds(1)), State::kEarly);
  EXPECT_EQ(ReadAt(kDelayReady), State::kReady);
  EXPECT_EQ(ReadAt(kDelayExpires - absl::Nanoseconds(1)), State::kReady);
  EXPECT_EQ(ReadAt(kDelayExpires), State::kNone);
  EXPECT_EQ(ReadAt(absl::InfiniteFuture()), State::kNone);
}

TEST_F(DelayTicketTest, SaysWhatWasWritten) {
  for (const absl::Time now : {kDelayReady - absl::Seconds(30), kDelayReady}) {
    const DelayReading read = ReadDelayTicket(keys_, Make(), "tv", "alice", now);
    EXPECT_EQ(read.ticket.ready_at, kDelayReady);
    EXPECT_EQ(read.ticket.expires_at, kDelayExpires);
  }
  EXPECT_LT(Make().size(), 200u);
}

TEST_F(DelayTicketTest, KeepsWholeMilliseconds) {
  const std::string text =
      MakeDelayTicket(keys_, "tv", "alice", {kDelayReady + absl::Microseconds(999), kDelayExpires});
  EXPECT_EQ(ReadDelayTicket(keys_, text, "tv", "alice", kDelayReady).ticket.ready_at, kDelayReady);
}

// As the header has it: another version reads it so.
TEST_F(DelayTicketTest, HasTheFormThatIsPromised) {
  const DelayReading read = ReadDelayTicket(keys_, Seal(Message()), "tv", "alice", kDelayReady);
  EXPECT_EQ(read.state, State::kReady);
  EXPECT_EQ(read.ticket.ready_at, kDelayReady);
  EXPECT_EQ(read.ticket.expires_at, kDelayExpires);
}

TEST_F(DelayTicketTest, OfOneIsNoneForAnother) {
  EXPECT_EQ(Read(Make()), State::kReady);
  EXPECT_EQ(Read(Make(), "tv", "bob"), State::kNone);
  EXPECT_EQ(Read(Make(), "radio", "alice"), State::kNone);
  EXPECT_EQ(Read(Make(), "alice", "tv"), State::kNone);
  EXPECT_EQ(Read(Make("tv1", "alice"), "tv", "1alice"), State::kNone);
}

TEST_F(DelayTicketTest, AChangedCharacterAnywhereMakesItNone) {
  keys_ = RotatedTestKeys(kTestKeyId);
  const std::string ticket = Make();
  for (size_t at = 0; at < ticket.size(); ++at) {
    for (const char other : std::string("AQgw-_+/=. 9OY")) {
      if (ticket[at] == other) continue;
      std::string altered = ticket;
      altered[at] = other;
      EXPECT_EQ(Read(altered), State::kNone) << at << " " << other;
    }
    EXPECT_EQ(Read(ticket.substr(0, at)), State::kNone) << at;
    EXPECT_EQ(Read(absl::StrCat(ticket.substr(0, at), "A", ticket.substr(at))), State::kNone) << at;
  }
}

TEST_F(DelayTicketTest, OneRotationLeavesItGoodAndTwoDoNot) {
  const std::string ticket = Make();
  keys_ = RotatedTestKeys(kTestKeyId + 1);
  EXPECT_EQ(Read(ticket), State::kReady) << "the previous key";
  keys_ = RotatedTestKeys(kTestKeyId - 1);
  EXPECT_EQ(Read(ticket), State::kReady) << "the next key, which another node already uses";
  keys_ = RotatedTestKeys(kTestKeyId + 2);
  EXPECT_EQ(Read(ticket), State::kNone) << "a key that was dropped";
}

TEST_F(DelayTicketTest, AnotherKeyOfTheSameNumberOpensNothing) {
  const std::string ticket = Make();
  storage::FrontKey other = TestKey(kTestKeyId, storage::FrontKey::Use::kCurrent);
  other.secret[0] = 'x';
  keys_ = FrontKeys(std::vector<storage::FrontKey>{other});
  EXPECT_EQ(Read(ticket), State::kNone);
}

TEST_F(DelayTicketTest, IsNotMadeWithoutACurrentKey) {
  keys_ = FrontKeys(std::vector<storage::FrontKey>{TestKey(kTestKeyId, storage::FrontKey::Use::kNext)});
  EXPECT_EQ(Make(), "");
}

TEST_F(DelayTicketTest, IsNoWaitingTicketAndNoneIsADelay) {
  const WaitingTicket waiting = {.round = 3, .joined_at = kDelayReady, .shuffled = true, .counted_at = kDelayReady};
  EXPECT_EQ(Read(MakeWaitingTicket(keys_, "tv", "alice", waiting)), State::kNone);
  EXPECT_FALSE(ReadWaitingTicket(keys_, Make(), "tv", "alice").has_value());
}

TEST_F(DelayTicketTest, AMessageOfAnotherPurposeOrFormIsNone) {
  ASSERT_EQ(Read(Seal(Message())), State::kReady);
  for (const std::string& message :
       {std::string(), Message("tranche-delay-ticket-v2"), Message().substr(1), std::string(Message().size(), '\0'),
        absl::StrCat(Message(), "x"), absl::StrCat(Message(), LengthDelimited({"more"}))}) {
    EXPECT_EQ(Read(Seal(message)), State::kNone) << message;
  }
}

// Good in all else: spaces around a number do not count.
TEST_F(DelayTicketTest, LongerThan512BytesIsNone) {
  size_t spaces = 0;
  std::string text = Seal(Message());
  std::string longest;
  while (text.size() <= kMaxDelayTicketBytes) {
    EXPECT_EQ(Read(text), State::kReady) << text.size();
    longest = text;
    text = Seal(Message(), absl::StrCat("7", std::string(++spaces, ' ')));
  }
  EXPECT_GE(longest.size(), kMaxDelayTicketBytes - 1);
  EXPECT_EQ(Read(text), State::kNone) << text.size();
}

TEST_F(DelayTicketTest, GarbageIsNone) {
  for (const std::string& text : {std::string(), std::string("x"), std::string("v4.local."), std::string(512, 'A'),
                                  std::string("v4.local.") + std::string(200, '\0')}) {
    EXPECT_EQ(Read(text), State::kNone) << text;
  }
}

}  // namespace
}  // namespace tranche::server
