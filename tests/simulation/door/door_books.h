// What home's ledger says of the front door, by the simulation's own books, and what follows from it for a buyer.
//
// Written without the code under test: the checker judges that code by what is here.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/admission/outside_checks.h"
#include "server/admission/rate_key.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::simulation {

// Of all challenges here, unless a tier says otherwise: the least work, because the simulation solves them.
inline constexpr int kDoorChallengeBits = 4;

// One try in `interval`, and `burst` at once.
struct DoorLimitTerms {
  server::RateKeyKind kind = server::RateKeyKind::kUser;
  absl::Duration interval = absl::Seconds(1);
  int64_t burst = 1;

  friend bool operator==(const DoorLimitTerms&, const DoorLimitTerms&) = default;
};

// Of one SKU.
struct DoorTerms {
  std::vector<DoorLimitTerms> limits = {};
  std::optional<absl::Duration> token_lifetime = {};      // nullopt: claims need no token
  std::optional<absl::Duration> challenge_lifetime = {};  // nullopt: none
  std::optional<absl::Duration> delay = {};               // instead of it, not of a captcha, without scripts
  std::optional<int32_t> admitted_per_million = {};       // nullopt: no lottery
  std::optional<v1::RiskRule> risk = {};
  bool room = false;
  // Of the lottery or the room; the ledger draws the key.
  int64_t round = 0;
  std::string round_key = {};

  bool has_round() const { return room || admitted_per_million.has_value(); }
  // By OpenSSL, as docs/front-door.md says.
  uint64_t RankOf(absl::string_view sku_id, absl::string_view user_id) const;
  // Lets the lottery in whoever has this rank, if only this part of those whom it admits comes in?
  bool Admits(uint64_t rank, int percent = 100) const;
};

// A policy that says the same.
v1::FrontPolicy PolicyOf(const DoorTerms& terms);

// The network that limits and lists count, of an IPv4 address: "203.0.113.0/24". "" for "".
std::string DoorNetworkOf(const std::string& address);

enum class DoorAccess { kNone, kAllow, kDeny };

// What was stored at one moment.
struct DoorBooks {
  struct Entry {
    bool allow = false;
    absl::Time expires_at = absl::InfiniteFuture();
  };

  std::map<std::string, DoorTerms> skus = {};
  std::map<std::string, Entry> list = {};  // by user id, or network
  std::set<int64_t> keys = {};             // that are live
  int64_t current_key = 0;

  // A user's own entry decides before that of their network.
  DoorAccess AccessOf(const std::string& user_id, const std::string& address, absl::Time now) const;
  // Null: it has no policy.
  const DoorTerms* TermsOf(const std::string& sku_id) const;
};

// A buyer who comes to a node, and with what; "" for what they do not have.
struct DoorTry {
  std::string sku_id = {};
  std::string user_id = {};
  std::string address = {};
  std::string token = {};   // for a claim
  std::string ticket = {};  // these two to enter
  std::string solution = {};
  std::string delay_ticket = {};
  bool without_scripts = false;
  std::optional<v1::BuyerHints> hints = {};
  // What the scorer says, if it is asked; nullopt: it is late, or gone.
  std::optional<int> scored = {};
  // What the captcha's provider says of what they show, if it is asked; kNone: they show nothing.
  server::CaptchaVerdict captcha = server::CaptchaVerdict::kNone;
  bool captcha_available = true;
  bool sale_open = true;
  // One of their papers is one that was given, with a letter changed.
  bool altered = false;
};

}  // namespace tranche::simulation
