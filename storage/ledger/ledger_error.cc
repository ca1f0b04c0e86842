#include "storage/ledger/ledger_error.h"

#include "absl/strings/cord.h"

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

absl::Status Marked(absl::StatusCode code, absl::string_view detail, const char* url) {
  absl::Status status(code, detail);
  status.SetPayload(url, absl::Cord("1"));
  return status;
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

}  // namespace tranche::storage
