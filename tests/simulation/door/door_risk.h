// What risk rules ask of a buyer, as front_door_service.proto says. Written without the code under test.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "absl/time/time.h"
#include "tests/simulation/door/door_books.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::simulation {

// Whether a network has had many tries refused at a node, as far as it can be known.
struct DoorSuspicion {
  bool possible = false;
  bool certain = false;
};

// Of some refusals it cannot be known whether they count, so these books keep the fewest and the most that may.
class DoorRefusals {
 public:
  // Counts a refusal. `many`: of address_refusals, positive. Not `certain`: it may count.
  void Add(int node, const std::string& sku_id, const std::string& network, int32_t many, absl::Time now, bool certain);
  DoorSuspicion Of(int node, const std::string& sku_id, const std::string& network, int32_t many, absl::Time now) const;

 private:
  // When nothing would count any more.
  struct Counted {
    absl::Time fewest = absl::InfinitePast();
    absl::Time most = absl::InfinitePast();
  };
  std::map<std::tuple<int, std::string, std::string>, Counted> counted_;
};

// Of address_refusals; 0: no rule asks.
int32_t DoorManyRefusals(const v1::RiskRule& rule);
// 0 to 100.
int DoorScoreOf(const v1::RiskRule& rule, const DoorTry& asks, bool many_refusals, absl::Time now);
// Its index.
int DoorTierOf(const v1::RiskRule& rule, int score);

// What somebody must do for their token. Without scripts they wait instead of solving a challenge, where the policy has
// a delay; a captcha is asked for all the same, and a challenge stands in for it while its provider cannot be asked.
struct DoorDues {
  enum class Kind { kNothing, kChallenge, kCaptcha, kDelay } kind = Kind::kNothing;
  int bits = 0;  // of a challenge, or of that which stands in for the captcha
  bool stands_in = false;
  // What EnterSale must say of the captcha that came.
  std::string captcha_problem = {};
};
// `tier`: null if the policy has no risk rules.
DoorDues DoorDuesOf(const DoorTerms& terms, const v1::RiskTier* tier, const DoorTry& asks);

}  // namespace tranche::simulation
