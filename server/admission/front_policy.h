// A policy of the front door: its check, its form for the ledger, and its form for the path of a claim.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/admission/rate_key.h"
#include "server/admission/rate_table.h"
#include "server/admission/risk_rule.h"
#include "storage/ledger/front_ledger.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::server {

// OK, or INVALID_ARGUMENT (FIELD_INVALID) with the field, such as "policy.limits[1].tries". Also refuses what a newer
// client has set and this version does not know: to leave it out could let somebody in. That neither a draw nor a room
// is in the policy of all SKUs, the caller checks, who knows whose policy it is.
absl::Status CheckFrontPolicy(const v1::FrontPolicy& policy);

// How many tries may come at once. Where the policy does not say: by user and token as many as `tries`, by address and
// SKU as many as 100 ms allow, at least one. Of a limit whose other numbers CheckFrontPolicy takes.
int64_t BurstOf(const v1::RateLimit& limit);

// JSON, the same for equal policies, never "". `policy` is one that CheckFrontPolicy takes.
std::string ToDocument(const v1::FrontPolicy& policy);
// kInvalidArgument if this version does not know all of it, or would not take it: a part that it does not know may keep
// somebody out.
absl::StatusOr<v1::FrontPolicy> FromDocument(absl::string_view document);

// When who waits in the room asks again. Of a rule that CheckFrontPolicy takes.
absl::Duration PollIntervalOf(const v1::RoomRule& room);

struct DoorLimit {
  RateKeyKind kind = RateKeyKind::kUser;
  RateRule rule;
};

struct DoorLottery {
  std::string key;
  std::string commitment;
  int64_t round = 0;
  uint64_t threshold = 0;
};

struct DoorChallenge {
  int bits = 0;
  absl::Duration lifetime;
  // Who runs no scripts waits so long instead; nullopt: they cannot.
  std::optional<absl::Duration> delay = {};
};

struct DoorRoom {
  std::string key;
  std::string commitment;
  int64_t round = 0;
  int32_t buyers_per_s = 0;
  double ahead = 2;  // let in at most so many that this part of what is unsold is bought
  absl::Duration poll_interval;
};

// What a node asks of a claim. Immutable.
struct DoorPolicy {
  std::string sku_id;  // or "*"
  int64_t version = 0;
  // This version cannot read it, for this reason; then nothing else counts.
  std::string unreadable;
  std::vector<DoorLimit> limits;  // in the order of kRateKeyKinds; that by SKU is asked last, see limit_tries.h
  std::optional<DoorLottery> lottery;
  std::optional<absl::Duration> token_lifetime;  // nullopt: claims need no token
  std::optional<DoorChallenge> challenge;
  bool draw = false;             // a draw decides who gets units: claims are refused
  std::optional<DoorRoom> room;  // asked by EnterSale alone: a claim has the token that it gave
  std::optional<DoorRisk> risk;  // the same
};

// Of a policy that is not removed.
DoorPolicy CompilePolicy(const storage::FrontPolicyRow& row);

}  // namespace tranche::server
