#include "tests/simulation/door/door_people.h"

#include <array>
#include <optional>

#include "absl/strings/str_cat.h"
#include "server/proto_time.h"

namespace tranche::simulation {
namespace {

using server::CaptchaVerdict;

constexpr double kBotMovesOn = 0.3;  // to another network
constexpr double kBotHasAccount = 0.3;
constexpr double kBotRunsNoScripts = 0.3;
constexpr double kScorerAnswers = 0.7;
constexpr double kProviderIsGone = 0.1;
constexpr double kCaptchaIsSolved = 0.7;

constexpr absl::Duration kOldAccount = absl::Hours(24 * 400);
constexpr absl::Duration kNewAccount = absl::Hours(2);

v1::BuyerHints AccountHints(absl::Duration age, int orders, absl::Time now) {
  v1::BuyerHints hints;
  *hints.mutable_account_create_time() = server::ToTimestamp(now - age);
  hints.set_earlier_orders(orders);
  return hints;
}

std::optional<v1::BuyerHints> HonestHints(int64_t number, absl::Time now) {
  if (number % 4 == 3) return std::nullopt;
  v1::BuyerHints hints = number % 4 == 0 ? AccountHints(kOldAccount, 5, now) : AccountHints(kNewAccount, 0, now);
  if (number % 5 == 0) hints.add_labels("vip");
  if (number % 6 == 0) hints.set_risk_score(static_cast<int32_t>(number * 37 % 101));
  return hints;
}

}  // namespace

std::string HonestUser(int64_t number) { return absl::StrCat("buyer-", number); }

std::string BotUser(int64_t number) { return absl::StrCat("bot-", number); }

DoorTry HonestBuyer(int64_t number, absl::Time now) {
  DoorTry asks;
  asks.user_id = HonestUser(number);
  asks.address = absl::StrCat("10.1.", number % kDoorNetworks, ".", number % 200);
  asks.without_scripts = number % 5 == 1;
  asks.hints = HonestHints(number, now);
  return asks;
}

DoorTry LastBuyer(const std::string& sku_id, int number, absl::Time now) {
  // With what else the rules may add, the score stays below each tier that is refused.
  constexpr std::array<int, 3> kScores = {0, 45, 10};
  DoorTry asks;
  asks.sku_id = sku_id;
  asks.user_id = absl::StrCat("last-", sku_id, number);
  asks.address = absl::StrCat("10.3.", number, ".1");
  asks.without_scripts = number == 2;
  asks.hints = AccountHints(kOldAccount, 5, now);
  asks.hints->set_risk_score(kScores.at(static_cast<size_t>(number)));
  asks.captcha = CaptchaVerdict::kSolved;
  return asks;
}

DoorTry SomeBot(const std::string& sku_id, Random& random) {
  DoorTry asks;
  asks.sku_id = sku_id;
  asks.user_id = BotUser(random.Below(kBots));
  asks.address = random.Chance(kBotMovesOn) ? "" : kBotAddress;
  asks.without_scripts = random.Chance(kBotRunsNoScripts);
  if (random.Chance(kBotHasAccount)) {
    asks.hints.emplace();
    asks.hints->set_risk_score(static_cast<int32_t>(random.Between(0, 100)));
  }
  LetOthersJudge(random, &asks);
  if (random.Chance(0.5)) asks.captcha = AnyCaptchaVerdict(random);
  return asks;
}

void LetOthersJudge(Random& random, DoorTry* asks) {
  asks->scored.reset();
  if (random.Chance(kScorerAnswers)) asks->scored = static_cast<int>(random.Between(0, 100));
  asks->captcha_available = !random.Chance(kProviderIsGone);
}

CaptchaVerdict AnyCaptchaVerdict(Random& random) {
  if (random.Chance(kCaptchaIsSolved)) return CaptchaVerdict::kSolved;
  if (random.Chance(0.5)) return CaptchaVerdict::kRefused;
  return random.Chance(0.5) ? CaptchaVerdict::kExpired : CaptchaVerdict::kUnknown;
}

}  // namespace tranche::simulation
