// Who comes to the front door, and what the shop says of them.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "tests/simulation/door/door_books.h"
#include "tests/simulation/random.h"

namespace tranche::simulation {

inline constexpr int kHonestUsers = 30;
inline constexpr int kBots = 5;
inline constexpr int kDoorNetworks = 4;
inline constexpr char kBotAddress[] = "10.9.0.7";

std::string HonestUser(int64_t number);
std::string BotUser(int64_t number);
// By their number: trusted ones and new ones, some of whom the shop says nothing, and some without scripts.
DoorTry HonestBuyer(int64_t number, absl::Time now);
// One of those who must get in at the end, whatever tier that is not refused they are in. The third runs no scripts.
// If a captcha is asked for, they solve it.
DoorTry LastBuyer(const std::string& sku_id, int number, absl::Time now);
// A bot that wants this SKU, with or without scripts, and now and then with an account that the shop knows.
DoorTry SomeBot(const std::string& sku_id, Random& random);

// What others say when the buyer comes: the scorer, and the captcha's provider. Both may be gone.
void LetOthersJudge(Random& random, DoorTry* asks);
server::CaptchaVerdict AnyCaptchaVerdict(Random& random);

}  // namespace tranche::simulation
