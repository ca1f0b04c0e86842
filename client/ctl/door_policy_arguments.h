// The front door's policy as people write it: the flags of `tranchectl door set`, and how views show it, which is the
// same text, but for defaults.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::ctl {

// "user=5/1s,burst=3,wait=2s": 5 tries in a second, of which 3 may come at once; who is too early waits at most 2 s.
// The keys are user, address, token and sku. Bounds are checked by the cluster.
absl::StatusOr<tranche::v1::RateLimit> ParseRateLimit(const std::string& text);
// The reverse: without what is not set.
std::string FormatRateLimit(const tranche::v1::RateLimit& limit);
// The same, and where it has no burst, the one that counts: "user=5/10s, burst 5 (default)".
std::string DescribeRateLimit(const tranche::v1::RateLimit& limit);

// "10%", "100000/1000000" and "100000" (of a million) are 100000. At most four decimals. A number alone must be above
// 100: a smaller one is more likely a percentage whose sign was forgotten.
absl::StatusOr<int32_t> ParseShare(const std::string& text);
// "10%".
std::string FormatShare(int32_t per_million);

// "90s", or "2m (default)" if it has no lifetime of its own.
std::string FormatTokenRule(const tranche::v1::PurchaseTokenRule& rule);
// "12 bits", "12 bits, lifetime 5m, delay 1m".
std::string FormatChallenge(const tranche::v1::ChallengeRule& rule);

// "user", "address", "token", "sku"; "?" for a key of a newer version.
std::string RateLimitKeyName(tranche::v1::RateLimit::Key key);
// All of them, in the order in which they are checked.
std::vector<tranche::v1::RateLimit::Key> RateLimitKeys();

// What the flags say about a policy. "" and empty: nothing.
struct PolicyFlags {
  std::vector<std::string> limits;     // as ParseRateLimit takes them
  std::vector<std::string> no_limits;  // keys
  std::string lottery;                 // as ParseShare takes it
  bool no_lottery = false;
  std::string token;  // kTokenOfAnyLifetime, or a lifetime
  bool no_token = false;
  std::string challenge;  // "12", "12,lifetime=5m,delay=60s"; delay=none takes the delay away
  bool no_challenge = false;
  bool draw = false;
  bool no_draw = false;
  std::string room;  // as ParseRoom takes it (room_arguments.h)
  bool no_room = false;
  bool hold_room = false;  // lets nobody in; the rest of the room stays
  std::string risk;        // as ParseRiskJson takes it (risk_arguments.h)
  bool no_risk = false;

  // Whether they say anything.
  bool Any() const;
};
// What CLI11 gives for --token without a value.
inline constexpr char kTokenOfAnyLifetime[] = "true";

// Changes what the flags name, and keeps the rest. An error names the flag.
absl::StatusOr<tranche::v1::FrontPolicy> ApplyPolicyFlags(tranche::v1::FrontPolicy policy, const PolicyFlags& flags);

// A policy as protobuf's JSON, such as `door show -o json` prints it. What this version does not know is an error.
absl::StatusOr<tranche::v1::FrontPolicy> ParsePolicyJson(const std::string& json);

}  // namespace tranche::ctl
