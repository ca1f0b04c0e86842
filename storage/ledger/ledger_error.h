// What a Status of the ledger says beyond its code.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace tranche::storage {

// The connection was lost after the statement was sent: it may or may not have been committed. Or UnsettledCommitError.
// Every call of the ledger is safe to repeat, so the caller repeats it or looks the result up; it must not answer
// either way.
absl::Status UnknownCommitError(absl::string_view detail);
bool IsUnknownCommit(const absl::Status& status);

// Only this call failed, for example because it waited too long for a lock (kUnavailable); nothing was changed. The
// ledger is up and may serve others.
absl::Status BusyError(absl::string_view detail);

// The same, because the call needs more of something than the server has, for example locks. A smaller one may succeed.
absl::Status NeedsLessError(absl::string_view detail);
bool NeedsLess(const absl::Status& status);

// The ledger was not reached: no connection could be made (kUnavailable). Nothing was sent.
absl::Status NotReachedError(absl::string_view detail);
bool IsNotReached(const absl::Status& status);

// A busy ledger: the call got no connection in time, while others of this process have one. Nothing was sent.
absl::Status NoConnectionError(absl::string_view detail);
bool IsNoConnection(const absl::Status& status);

// An unknown commit of a ledger that is up: the change was made, but no synchronous standby has confirmed it, so that
// it is lost if one takes over now.
absl::Status UnsettledCommitError(absl::string_view detail);

// The ledger was not reached, or its answer was lost and no new connection brought it: whoever asks it once more at
// once waits in vain for as long as this call did.
bool LedgerIsAway(const absl::Status& status);

// The call failed, but the ledger answered it: it is no sign that the ledger is down.
bool LedgerIsUp(const absl::Status& status);

// The call did nothing, because another transaction has locked something that it needs, for longer than it may wait.
bool FoundLocked(const absl::Status& status);

// The database asks to run the transaction again (deadlock or serialization failure); nothing was changed.
absl::Status RetryTransactionError(absl::string_view detail);
bool IsRetryTransaction(const absl::Status& status);

// The SKU is on its way to another shard (kUnavailable); nothing was changed, and a retry may soon succeed.
absl::Status SkuMovingError(absl::string_view detail);
bool IsSkuMoving(const absl::Status& status);

// Which shard an error is about, if a call concerns several; "" if it does not say.
absl::Status AtShard(absl::Status status, absl::string_view shard);
std::string ShardOf(const absl::Status& status);

// There is no shard with that name (kNotFound).
absl::Status NoSuchShardError(absl::string_view shard);
bool IsNoSuchShard(const absl::Status& status);

// Within a round, a lottery only admits more (kFailedPrecondition). `admitted_per_million`: what it admits now.
absl::Status LotteryShrinksError(int32_t admitted_per_million);
std::optional<int32_t> LotteryShrinksTo(const absl::Status& status);  // nullopt: it is another error

// The keys were rotated a short time ago (kFailedPrecondition); they can be again after this time.
absl::Status KeyRotatedRecentlyError(absl::Duration wait);
std::optional<absl::Duration> KeyRotatedRecently(const absl::Status& status);  // nullopt: it is another error

// The SKU is here, and has no such draw; the draw is there, and the buyer has not entered it (both
// kFailedPrecondition).
absl::Status NoDrawError();
bool IsNoDraw(const absl::Status& status);
absl::Status NoDrawEntryError();
bool IsNoDrawEntry(const absl::Status& status);

// The state of a draw, or that there is one, forbids it (kFailedPrecondition). `number` and `state`: of that draw, with
// a name of tranche.v1.Draw.State such as "OPEN"; 0 and "" if it is not about one.
struct DrawStateConflict {
  int64_t number = 0;
  std::string state;
};
absl::Status DrawStateError(const DrawStateConflict& conflict, absl::string_view detail);
std::optional<DrawStateConflict> DrawStateConflictOf(const absl::Status& status);  // nullopt: it is another error

// The seed is not the one that the draw is committed to (kFailedPrecondition).
absl::Status SeedMismatchError();
bool IsSeedMismatch(const absl::Status& status);

}  // namespace tranche::storage
