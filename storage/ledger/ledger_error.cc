#include "storage/ledger/ledger_error.h"

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace tranche::storage {
namespace {

constexpr char kUnknownCommitUrl[] = "tranche/unknown-commit";
constexpr char kBusyUrl[] = "tranche/busy";
constexpr char kNeedsLessUrl[] = "tranche/needs-less";
constexpr char kNotReachedUrl[] = "tranche/not-reached";
constexpr char kNoConnectionUrl[] = "tranche/no-connection";
constexpr char kSkuMovingUrl[] = "tranche/sku-moving";
constexpr char kShardUrl[] = "tranche/shard";
constexpr char kNoSuchShardUrl[] = "tranche/no-such-shard";
constexpr char kRetryTransactionUrl[] = "tranche/retry-transaction";
constexpr char kLotteryShrinksUrl[] = "tranche/lottery-shrinks";
constexpr char kKeyRotatedRecentlyUrl[] = "tranche/key-rotated-recently";
constexpr char kNoDrawUrl[] = "tranche/no-draw";
constexpr char kNoDrawEntryUrl[] = "tranche/no-draw-entry";
constexpr char kDrawStateUrl[] = "tranche/draw-state";
constexpr char kDrawNumberUrl[] = "tranche/draw-number";
constexpr char kSeedMismatchUrl[] = "tranche/seed-mismatch";

absl::Status Marked(absl::StatusCode code, absl::string_view detail, const char* url) {
  absl::Status status(code, detail);
  status.SetPayload(url, absl::Cord("1"));
  return status;
}

absl::Status WithNumber(const std::string& detail, const char* url, int64_t number) {
  absl::Status status = absl::FailedPreconditionError(detail);
  status.SetPayload(url, absl::Cord(absl::StrCat(number)));
  return status;
}

std::optional<int64_t> NumberOf(const absl::Status& status, const char* url) {
  const auto payload = status.GetPayload(url);
  int64_t number = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &number)) return std::nullopt;
  return number;
}

}  // namespace

absl::Status UnknownCommitError(absl::string_view detail) {
  return Marked(absl::StatusCode::kUnavailable, detail, kUnknownCommitUrl);
}

bool IsUnknownCommit(const absl::Status& status) { return status.GetPayload(kUnknownCommitUrl).has_value(); }

absl::Status BusyError(absl::string_view detail) { return Marked(absl::StatusCode::kUnavailable, detail, kBusyUrl); }

absl::Status NeedsLessError(absl::string_view detail) {
  absl::Status status = BusyError(detail);
  status.SetPayload(kNeedsLessUrl, absl::Cord("1"));
  return status;
}

bool NeedsLess(const absl::Status& status) { return status.GetPayload(kNeedsLessUrl).has_value(); }

absl::Status NotReachedError(absl::string_view detail) {
  return Marked(absl::StatusCode::kUnavailable, detail, kNotReachedUrl);
}

bool IsNotReached(const absl::Status& status) { return status.GetPayload(kNotReachedUrl).has_value(); }

absl::Status NoConnectionError(absl::string_view detail) {
  absl::Status status = BusyError(detail);
  status.SetPayload(kNoConnectionUrl, absl::Cord("1"));
  return status;
}

bool IsNoConnection(const absl::Status& status) { return status.GetPayload(kNoConnectionUrl).has_value(); }

absl::Status UnsettledCommitError(absl::string_view detail) {
  absl::Status status = UnknownCommitError(detail);
  status.SetPayload(kBusyUrl, absl::Cord("1"));
  return status;
}

bool LedgerIsAway(const absl::Status& status) {
  return IsNotReached(status) || (IsUnknownCommit(status) && !LedgerIsUp(status));
}

bool LedgerIsUp(const absl::Status& status) { return status.GetPayload(kBusyUrl).has_value(); }

bool FoundLocked(const absl::Status& status) {
  return LedgerIsUp(status) && !IsUnknownCommit(status) && !NeedsLess(status) && !IsNoConnection(status);
}

absl::Status RetryTransactionError(absl::string_view detail) {
  return Marked(absl::StatusCode::kAborted, detail, kRetryTransactionUrl);
}

bool IsRetryTransaction(const absl::Status& status) { return status.GetPayload(kRetryTransactionUrl).has_value(); }

absl::Status SkuMovingError(absl::string_view detail) {
  return Marked(absl::StatusCode::kUnavailable, detail, kSkuMovingUrl);
}

bool IsSkuMoving(const absl::Status& status) { return status.GetPayload(kSkuMovingUrl).has_value(); }

absl::Status AtShard(absl::Status status, absl::string_view shard) {
  status.SetPayload(kShardUrl, absl::Cord(shard));
  return status;
}

std::string ShardOf(const absl::Status& status) {
  const auto shard = status.GetPayload(kShardUrl);
  return shard.has_value() ? std::string(*shard) : "";
}

absl::Status NoSuchShardError(absl::string_view shard) {
  return Marked(absl::StatusCode::kNotFound, shard, kNoSuchShardUrl);
}

bool IsNoSuchShard(const absl::Status& status) { return status.GetPayload(kNoSuchShardUrl).has_value(); }

absl::Status LotteryShrinksError(int32_t admitted_per_million) {
  return WithNumber(absl::StrCat("the round that runs admits ", admitted_per_million, " of a million already"),
                    kLotteryShrinksUrl, admitted_per_million);
}

std::optional<int32_t> LotteryShrinksTo(const absl::Status& status) {
  const std::optional<int64_t> admitted = NumberOf(status, kLotteryShrinksUrl);
  if (!admitted.has_value()) return std::nullopt;
  return static_cast<int32_t>(*admitted);
}

absl::Status KeyRotatedRecentlyError(absl::Duration wait) {
  return WithNumber(absl::StrCat("the current key is new; it can be rotated in ",
                                 absl::FormatDuration(absl::Ceil(wait, absl::Seconds(1)))),
                    kKeyRotatedRecentlyUrl, absl::ToInt64Microseconds(wait));
}

std::optional<absl::Duration> KeyRotatedRecently(const absl::Status& status) {
  const std::optional<int64_t> wait_us = NumberOf(status, kKeyRotatedRecentlyUrl);
  if (!wait_us.has_value()) return std::nullopt;
  return absl::Microseconds(*wait_us);
}

absl::Status NoDrawError() {
  return Marked(absl::StatusCode::kFailedPrecondition, "the SKU has no such draw", kNoDrawUrl);
}

bool IsNoDraw(const absl::Status& status) { return status.GetPayload(kNoDrawUrl).has_value(); }

absl::Status NoDrawEntryError() {
  return Marked(absl::StatusCode::kFailedPrecondition, "the buyer has not entered the draw", kNoDrawEntryUrl);
}

bool IsNoDrawEntry(const absl::Status& status) { return status.GetPayload(kNoDrawEntryUrl).has_value(); }

absl::Status DrawStateError(const DrawStateConflict& conflict, absl::string_view detail) {
  absl::Status status = WithNumber(std::string(detail), kDrawNumberUrl, conflict.number);
  status.SetPayload(kDrawStateUrl, absl::Cord(conflict.state));
  return status;
}

std::optional<DrawStateConflict> DrawStateConflictOf(const absl::Status& status) {
  const auto state = status.GetPayload(kDrawStateUrl);
  const std::optional<int64_t> number = NumberOf(status, kDrawNumberUrl);
  if (!state.has_value() || !number.has_value()) return std::nullopt;
  return DrawStateConflict{.number = *number, .state = std::string(*state)};
}

absl::Status SeedMismatchError() {
  return Marked(absl::StatusCode::kFailedPrecondition, "the draw is committed to another seed", kSeedMismatchUrl);
}

bool IsSeedMismatch(const absl::Status& status) { return status.GetPayload(kSeedMismatchUrl).has_value(); }

}  // namespace tranche::storage
