#include "server/admission/front_policy.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "google/protobuf/util/json_util.h"
#include "server/admission/lottery.h"
#include "server/admission/policy_checks.h"
#include "server/errors.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

// The bounds that front_door_service.proto promises.
constexpr int32_t kMostTries = 1'000'000;
constexpr absl::Duration kShortestPer = absl::Milliseconds(1);
constexpr absl::Duration kLongestPer = absl::Hours(24);
constexpr absl::Duration kLongestTurn = absl::Seconds(3);
constexpr absl::Duration kShortestLifetime = absl::Seconds(10);
constexpr absl::Duration kLongestTokenLifetime = absl::Minutes(10);
constexpr absl::Duration kLongestChallengeLifetime = absl::Minutes(30);
constexpr absl::Duration kShortestDelay = absl::Seconds(5);
constexpr absl::Duration kLongestDelay = absl::Minutes(10);
constexpr int32_t kLeastBits = 4;
constexpr int32_t kMostBits = 20;
constexpr int32_t kMostBuyersPerS = 1'000'000;
constexpr int32_t kLeastAheadPercent = 10;
constexpr int32_t kMostAheadPercent = 10'000;
constexpr absl::Duration kShortestPoll = absl::Seconds(2);
constexpr absl::Duration kLongestPoll = absl::Minutes(1);

constexpr absl::Duration kDefaultTokenLifetime = absl::Minutes(2);
constexpr absl::Duration kDefaultChallengeLifetime = absl::Minutes(5);
constexpr int32_t kDefaultAheadPercent = 200;
constexpr absl::Duration kDefaultPoll = absl::Seconds(20);
// So much of the rate of all buyers in a network, or of a SKU, may come at once where the policy does not say.
constexpr absl::Duration kDefaultBurst = absl::Milliseconds(100);
// What a burst may be worth at the limit's rate: the rate table counts in nanoseconds, which end after 292 years.
constexpr absl::Duration kLongestBurst = absl::Hours(24 * 366);

std::optional<RateKeyKind> KindOfLimit(v1::RateLimit::Key key) {
  switch (key) {
    case v1::RateLimit::KEY_USER:
      return RateKeyKind::kUser;
    case v1::RateLimit::KEY_ADDRESS:
      return RateKeyKind::kAddress;
    case v1::RateLimit::KEY_TOKEN:
      return RateKeyKind::kToken;
    case v1::RateLimit::KEY_SKU:
      return RateKeyKind::kSku;
    default:
      return std::nullopt;
  }
}

// In whole nanoseconds, as the rate table counts. Rounded up: rounded down, more than the limit would pass.
absl::Duration IntervalOf(const v1::RateLimit& limit) {
  const int64_t per_ns = absl::ToInt64Nanoseconds(FromDuration(limit.per()).value_or(absl::ZeroDuration()));
  return absl::Nanoseconds((per_ns + limit.tries() - 1) / limit.tries());
}

absl::Status CheckLimit(const v1::RateLimit& limit, const std::string& field) {
  if (!KindOfLimit(limit.key()).has_value()) {
    return InvalidField(field + ".key", "must be KEY_USER, KEY_ADDRESS, KEY_TOKEN or KEY_SKU");
  }
  RETURN_IF_ERROR(CheckRange(limit.tries(), 1, kMostTries, field + ".tries"));
  RETURN_IF_ERROR(CheckLength(limit.per(), kShortestPer, kLongestPer, field + ".per"));
  RETURN_IF_ERROR(CheckRange(limit.burst(), 0, kMostTries, field + ".burst"));
  if (BurstOf(limit) * IntervalOf(limit) > kLongestBurst) {
    return InvalidField(field + ".burst", "is worth more than 366 days at this rate");
  }
  return CheckLength(limit.max_wait(), absl::ZeroDuration(), kLongestTurn, field + ".max_wait");
}

bool HasLimit(const v1::FrontPolicy& policy, v1::RateLimit::Key key) {
  return std::any_of(policy.limits().begin(), policy.limits().end(),
                     [key](const v1::RateLimit& limit) { return limit.key() == key; });
}

absl::Status CheckLimits(const v1::FrontPolicy& policy) {
  for (int i = 0; i < policy.limits_size(); ++i) {
    const std::string field = absl::StrCat("policy.limits[", i, "]");
    const v1::RateLimit& limit = policy.limits(i);
    RETURN_IF_ERROR(CheckLimit(limit, field));
    for (int before = 0; before < i; ++before) {
      if (policy.limits(before).key() == limit.key()) return InvalidField(field + ".key", "is that of another limit");
    }
    if (limit.key() != v1::RateLimit::KEY_TOKEN) continue;
    // A buyer can have many tokens, so a limit by token alone is none.
    if (!HasLimit(policy, v1::RateLimit::KEY_USER)) {
      return InvalidField(field + ".key", "KEY_TOKEN needs a limit with KEY_USER");
    }
    // Whoever may come without a token would not be counted.
    if (!policy.has_purchase_token()) return InvalidField(field + ".key", "KEY_TOKEN needs purchase_token");
  }
  return absl::OkStatus();
}

absl::Status CheckChallenge(const v1::FrontPolicy& policy) {
  if (!policy.has_challenge()) return absl::OkStatus();
  const v1::ChallengeRule& challenge = policy.challenge();
  RETURN_IF_ERROR(CheckRange(challenge.bits(), kLeastBits, kMostBits, "policy.challenge.bits"));
  if (challenge.has_lifetime()) {
    RETURN_IF_ERROR(
        CheckLength(challenge.lifetime(), kShortestLifetime, kLongestChallengeLifetime, "policy.challenge.lifetime"));
  }
  if (challenge.has_delay()) {
    RETURN_IF_ERROR(CheckLength(challenge.delay(), kShortestDelay, kLongestDelay, "policy.challenge.delay"));
  }
  if (!policy.has_purchase_token()) {
    return InvalidField("policy.challenge", "needs purchase_token: a solved challenge earns a token");
  }
  return absl::OkStatus();
}

absl::Status CheckLottery(const v1::FrontPolicy& policy) {
  if (!policy.has_lottery()) return absl::OkStatus();
  RETURN_IF_ERROR(CheckRange(policy.lottery().admitted_per_million(), 1, storage::kEverybody,
                             "policy.lottery.admitted_per_million"));
  if (!policy.has_draw()) return absl::OkStatus();
  return InvalidField("policy.draw", "cannot be together with lottery: a draw has its own ranks");
}

absl::Status CheckRoom(const v1::FrontPolicy& policy) {
  if (!policy.has_room()) return absl::OkStatus();
  const v1::RoomRule& room = policy.room();
  RETURN_IF_ERROR(CheckRange(room.buyers_per_second(), 0, kMostBuyersPerS, "policy.room.buyers_per_second"));
  const int32_t ahead = room.ahead_percent();
  if (ahead != 0 && (ahead < kLeastAheadPercent || ahead > kMostAheadPercent)) {
    return InvalidField(
        "policy.room.ahead_percent",
        absl::StrCat("must be ", kLeastAheadPercent, " to ", kMostAheadPercent, ", or 0 for ", kDefaultAheadPercent));
  }
  if (room.has_poll_interval()) {
    RETURN_IF_ERROR(CheckLength(room.poll_interval(), kShortestPoll, kLongestPoll, "policy.room.poll_interval"));
  }
  if (policy.has_lottery()) {
    return InvalidField("policy.room", "cannot be together with lottery: a room has its own ranks");
  }
  if (policy.has_draw()) {
    return InvalidField("policy.room", "cannot be together with draw: who is let in claims, and a draw refuses claims");
  }
  // Claims do not ask the room: without a token, nobody would have to wait.
  if (!policy.has_purchase_token()) {
    return InvalidField("policy.room", "needs purchase_token: who is let in is told so by a token");
  }
  // Who comes without a ticket may be counted as somebody more who waits.
  if (!HasLimit(policy, v1::RateLimit::KEY_USER)) {
    return InvalidField("policy.room", "needs a limit with KEY_USER: each try may count as somebody who waits");
  }
  return absl::OkStatus();
}

DoorLimit CompileLimit(const v1::RateLimit& limit) {
  DoorLimit compiled;
  compiled.kind = KindOfLimit(limit.key()).value_or(RateKeyKind::kUser);
  compiled.rule.interval = IntervalOf(limit);
  compiled.rule.tolerance = (BurstOf(limit) - 1) * compiled.rule.interval;
  compiled.rule.max_wait = FromDuration(limit.max_wait()).value_or(absl::ZeroDuration());
  return compiled;
}

std::vector<DoorLimit> CompileLimits(const v1::FrontPolicy& policy) {
  std::vector<DoorLimit> limits;
  for (const v1::RateLimit& limit : policy.limits()) limits.push_back(CompileLimit(limit));
  std::sort(limits.begin(), limits.end(), [](const DoorLimit& a, const DoorLimit& b) { return a.kind < b.kind; });
  return limits;
}

DoorLottery CompileLottery(const storage::LotteryRound& round) {
  return {round.key, round.commitment, round.number, Threshold(round.admitted_per_million)};
}

DoorRoom CompileRoom(const v1::RoomRule& rule, const storage::LotteryRound& round) {
  const int32_t percent = rule.ahead_percent() == 0 ? kDefaultAheadPercent : rule.ahead_percent();
  return {.key = round.key,
          .commitment = round.commitment,
          .round = round.number,
          .buyers_per_s = rule.buyers_per_second(),
          .ahead = percent / 100.0,
          .poll_interval = PollIntervalOf(rule)};
}

DoorChallenge CompileChallenge(const v1::ChallengeRule& rule) {
  DoorChallenge challenge = {.bits = rule.bits(), .lifetime = kDefaultChallengeLifetime};
  if (rule.has_lifetime()) challenge.lifetime = FromDuration(rule.lifetime()).value_or(kDefaultChallengeLifetime);
  if (rule.has_delay()) challenge.delay = FromDuration(rule.delay()).value_or(kLongestDelay);
  return challenge;
}

absl::Duration CompileTokenLifetime(const v1::PurchaseTokenRule& rule) {
  if (!rule.has_lifetime()) return kDefaultTokenLifetime;
  return FromDuration(rule.lifetime()).value_or(kDefaultTokenLifetime);
}

// Why what goes by a round cannot be judged here; "": it can, or there is no such part.
std::string RoundProblem(const v1::FrontPolicy& policy, const storage::FrontPolicyRow& row) {
  if (!policy.has_lottery() && !policy.has_room()) return "";
  if (!row.round.has_value() || row.round->key.size() != storage::kFrontKeyBytes) {
    return absl::StrCat("its ", policy.has_room() ? "room" : "lottery", " has no round that this version can read");
  }
  if (policy.has_room() && row.sku_id == storage::kEverySku) return "its room is not of one SKU";
  return "";
}

}  // namespace

int64_t BurstOf(const v1::RateLimit& limit) {
  if (limit.burst() > 0) return limit.burst();
  // One buyer enters, claims, and tries again within a second: that is what their tries are for.
  const bool of_one_buyer = limit.key() == v1::RateLimit::KEY_USER || limit.key() == v1::RateLimit::KEY_TOKEN;
  if (of_one_buyer) return limit.tries();
  const absl::Duration per = FromDuration(limit.per()).value_or(absl::InfiniteDuration());
  // Not by the interval: that is rounded, and 30 tries in a second would be 2 in 100 ms.
  return std::max<int64_t>(1, kDefaultBurst * limit.tries() / per);
}

absl::Duration PollIntervalOf(const v1::RoomRule& room) {
  return room.has_poll_interval() ? FromDuration(room.poll_interval()).value_or(kDefaultPoll) : kDefaultPoll;
}

absl::Status CheckFrontPolicy(const v1::FrontPolicy& policy) {
  if (HasUnknownFields(policy)) {
    return InvalidField("policy", "has a part that this version of the server does not know");
  }
  RETURN_IF_ERROR(CheckLimits(policy));
  RETURN_IF_ERROR(CheckLottery(policy));
  RETURN_IF_ERROR(CheckRoom(policy));
  if (policy.has_purchase_token() && policy.purchase_token().has_lifetime()) {
    RETURN_IF_ERROR(CheckLength(policy.purchase_token().lifetime(), kShortestLifetime, kLongestTokenLifetime,
                                "policy.purchase_token.lifetime"));
  }
  RETURN_IF_ERROR(CheckChallenge(policy));
  return CheckRiskRule(policy);
}

std::string ToDocument(const v1::FrontPolicy& policy) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string document;
  const auto status = google::protobuf::util::MessageToJsonString(policy, &document, options);
  CHECK(status.ok()) << "a policy that was not checked: " << std::string(status.message());
  return document;
}

absl::StatusOr<v1::FrontPolicy> FromDocument(absl::string_view document) {
  // That of a removed policy.
  if (document.empty()) return absl::InvalidArgumentError("it is empty");
  v1::FrontPolicy policy;
  // Unknown fields are an error by default; so is the name of a value that this version does not know.
  const auto status = google::protobuf::util::JsonStringToMessage(std::string(document), &policy);
  if (!status.ok()) return absl::InvalidArgumentError(std::string(status.message()));
  const absl::Status checked = CheckFrontPolicy(policy);
  if (!checked.ok()) return absl::InvalidArgumentError(checked.message());
  return policy;
}

DoorPolicy CompilePolicy(const storage::FrontPolicyRow& row) {
  DoorPolicy compiled;
  compiled.sku_id = row.sku_id;
  compiled.version = row.version;
  const absl::StatusOr<v1::FrontPolicy> policy = FromDocument(row.document);
  if (!policy.ok()) {
    // Never empty: that would stand for "readable".
    compiled.unreadable = absl::StrCat("this version cannot read it: ", policy.status().message());
    return compiled;
  }
  compiled.unreadable = RoundProblem(*policy, row);
  if (!compiled.unreadable.empty()) return compiled;
  if (policy->has_lottery()) compiled.lottery = CompileLottery(*row.round);
  if (policy->has_room()) compiled.room = CompileRoom(policy->room(), *row.round);
  compiled.limits = CompileLimits(*policy);
  if (policy->has_purchase_token()) compiled.token_lifetime = CompileTokenLifetime(policy->purchase_token());
  if (policy->has_challenge()) compiled.challenge = CompileChallenge(policy->challenge());
  if (policy->has_risk()) compiled.risk = CompileRisk(policy->risk());
  compiled.draw = policy->has_draw();
  return compiled;
}

}  // namespace tranche::server
