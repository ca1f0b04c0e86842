// What the ledger keeps for the front door: policies, lottery rounds, keys, the list of who is always let in or never,
// and what nodes do for buyers at all.
//
// Only home's ledger has them. One number, the version, counts all changes; each change is one transaction. Nodes keep
// a copy and ask for what has changed since.
//
// Threads, blocking and errors are those of every ledger: storage/ledger/README.md. Changes with an expectation fail
// with kAborted and change nothing if it is not met.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/ledger/actor.h"

namespace tranche::storage {

// The policy of all SKUs without one of their own.
inline constexpr char kEverySku[] = "*";
inline constexpr size_t kMaxPolicyBytes = 16 * 1024;
inline constexpr int kMaxFrontPolicies = 10'000;
inline constexpr int kMaxAccessEntries = 200'000;
// In one change, and in one page of a read.
inline constexpr int kMaxAccessBatch = 1'000;
// What has changed since; a reader that has missed more entries is told everything.
inline constexpr int kMaxEntriesTold = 5'000;
inline constexpr int kMaxRoundsTold = 100;
// Of a front key and of a lottery round's key.
inline constexpr size_t kFrontKeyBytes = 32;
inline constexpr int32_t kEverybody = 1'000'000;  // of LotteryRound::admitted_per_million

struct LotteryRound {
  std::string policy_sku_id;
  int64_t number = 0;      // of this policy_sku_id, from 1, also across removals of the policy
  std::string key;         // kFrontKeyBytes
  std::string commitment;  // SHA-256 of the key
  int32_t admitted_per_million = 0;
  absl::Time started_at;
  std::optional<absl::Time> ended_at = {};
};

struct FrontPolicyRow {
  std::string sku_id;    // or kEverySku
  std::string document;  // JSON; "" if the policy is removed
  int64_t version = 0;   // of the change that set it so
  absl::Time changed_at;
  std::string changed_by;
  std::optional<LotteryRound> round = {};  // the one that runs
};

struct FrontPolicyChange {
  std::string sku_id;
  // "" removes the policy, and ends its round.
  std::string document;
  // Of the document's lottery; nullopt if it has none.
  std::optional<int32_t> admitted_per_million = {};
  bool new_round = false;
  // 0: there is none.
  std::optional<int64_t> expected_version = {};
};

struct FrontKey {
  enum class Use { kNext, kCurrent, kPrevious };
  int64_t id = 0;      // from 1
  std::string secret;  // kFrontKeyBytes
  Use use = Use::kNext;
  absl::Time since;
};

// The least time between two rotations: longer than any token lives.
inline constexpr absl::Duration kLeastKeyAge = absl::Minutes(15);

struct KeyRotation {
  bool replace_all = false;
  std::optional<int64_t> expected_current_id = {};
};

struct AccessSubject {
  enum class Kind { kUser, kAddress };
  Kind kind = Kind::kUser;
  std::string
      value;  // a user id, or a prefix in its one form, such as "203.0.113.0/24" (server/admission/access_lists.h)

  friend bool operator==(const AccessSubject&, const AccessSubject&) = default;
};

struct AccessEntry {
  AccessSubject subject;
  bool allow = false;                         // otherwise deny
  std::optional<absl::Time> expires_at = {};  // nullopt: it stays
  std::string reason = {};
  bool removed = false;  // only in FrontChanges
  absl::Time changed_at = {};
  std::string changed_by = {};
};

struct AccessFilter {
  std::optional<bool> allow = {};
  std::optional<AccessSubject> subject = {};
};

struct AccessPage {
  std::vector<AccessEntry> entries;  // by kind and value; those whose time is over are left out
  // For the next page.
  std::optional<AccessSubject> next = {};
};

struct AccessCounts {
  int32_t added = 0;
  int32_t replaced = 0;
  int32_t unchanged = 0;
  int32_t removed = 0;
  int32_t entries = 0;  // after the change
};

// Where a reader has come. The stamp is random for each change, so that a reader notices that a restore has taken the
// ledger back to before what it knows, whatever happened since.
struct FrontVersion {
  int64_t number = 0;  // 0: nothing is read
  std::string stamp = {};

  friend bool operator==(const FrontVersion&, const FrontVersion&) = default;
};

// What nodes do for buyers, until an operator says otherwise.
struct ServiceMode {
  enum class Kind {
    kNormal,       // everything
    kChangesOnly,  // nothing new is reserved
    kReadOnly,     // nothing that is reserved is changed by buyers, either
  };
  Kind kind = Kind::kNormal;
  std::string reason = {};  // for buyers; "" if kNormal
  // nullopt: it was never set.
  std::optional<absl::Time> changed_at = {};
  std::string changed_by = {};
};
inline constexpr int kMaxServiceReasonCharacters = 200;

// As the ledger and the API's metadata spell it.
inline const char* ServiceModeName(ServiceMode::Kind kind) {
  switch (kind) {
    case ServiceMode::Kind::kNormal:
      return "NORMAL";
    case ServiceMode::Kind::kChangesOnly:
      return "CHANGES_ONLY";
    case ServiceMode::Kind::kReadOnly:
      return "READ_ONLY";
  }
  return "";
}

struct ServiceModeChange {
  ServiceMode::Kind kind = ServiceMode::Kind::kNormal;
  // For buyers, at most kMaxServiceReasonCharacters. Ignored with kNormal.
  std::string reason = {};
};

struct ServiceModeChanged {
  ServiceMode before;
  ServiceMode after;
};

struct FrontChanges {
  // What a reader that has taken all pages knows.
  FrontVersion version;
  // Everything is told, not only what has changed: the reader drops what it had.
  bool complete = false;
  // Only on the first page.
  std::optional<ServiceMode> mode = {};  // always
  std::vector<FrontPolicyRow> policies = {};
  std::vector<FrontKey> keys = {};  // all three, always
  std::vector<AccessEntry> entries = {};
  // From where the next page of entries goes on.
  std::optional<AccessSubject> next = {};
};

class FrontLedger {
 public:
  virtual ~FrontLedger() = default;

  // One row of one table: nodes ask every few seconds.
  virtual absl::StatusOr<FrontVersion> ReadFrontVersion() = 0;
  // What has changed since `known`; all if it is not of this history, or 1,000 changes ago, or kMaxEntriesTold entries
  // have changed since. `after`: the next page of the entries of the same read, for the same `known`. Its version may
  // have grown: keep the first page's, and the next read tells what was missed. If its `complete` is not that of the
  // first page, so much has changed meanwhile that the pages do not belong together: begin again, without a `known`,
  // which is always complete. Entries and keys of a kind that this version does not know are left out.
  virtual absl::StatusOr<FrontChanges> ReadFrontChanges(const FrontVersion& known,
                                                        const std::optional<AccessSubject>& after) = 0;

  // By sku_id, kEverySku first. `sku_id`: only that one; "": all.
  virtual absl::StatusOr<std::vector<FrontPolicyRow>> ListFrontPolicies(const std::string& sku_id) = 0;
  // The policy as it is after the change. A change to what is stored already changes and audits nothing, unless a new
  // round is asked for. If `preview`, changes nothing and returns what would be; a new round has no key then.
  // kAborted: expected_version. LotteryShrinksError: admitted_per_million is less than the round's. kResourceExhausted:
  // too many policies.
  virtual absl::StatusOr<FrontPolicyRow> SetFrontPolicy(const FrontPolicyChange& change, bool preview,
                                                        const Actor& actor) = 0;
  // The newest first, at most kMaxRoundsTold, of this policy_sku_id.
  virtual absl::StatusOr<std::vector<LotteryRound>> ListLotteryRounds(const std::string& policy_sku_id) = 0;

  virtual absl::StatusOr<std::vector<FrontKey>> ListFrontKeys() = 0;
  // The keys after the rotation. kAborted: expected_current_id. KeyRotatedRecentlyError: the current key is younger
  // than kLeastKeyAge, and replace_all is not asked for.
  virtual absl::StatusOr<std::vector<FrontKey>> RotateFrontKeys(const KeyRotation& rotation, bool preview,
                                                                const Actor& actor) = 0;

  // At most kMaxAccessBatch. Subjects are distinct. kResourceExhausted: there would be more than kMaxAccessEntries. One
  // entry of the audit log for a call, with the first ten subjects.
  virtual absl::StatusOr<AccessCounts> AddAccessEntries(absl::Span<const AccessEntry> entries, bool preview,
                                                        const Actor& actor) = 0;
  virtual absl::StatusOr<AccessCounts> RemoveAccessEntries(absl::Span<const AccessSubject> subjects, bool preview,
                                                           const Actor& actor) = 0;
  virtual absl::StatusOr<AccessPage> ListAccessEntries(const AccessFilter& filter,
                                                       const std::optional<AccessSubject>& after, int limit) = 0;

  // One row. A mode that this version does not know counts as kChangesOnly: a newer one limits something.
  virtual absl::StatusOr<ServiceMode> ReadServiceMode() = 0;
  // How it was and how it is then. What is set already changes and audits nothing. If `preview`, changes nothing and
  // returns what would be.
  virtual absl::StatusOr<ServiceModeChanged> SetServiceMode(const ServiceModeChange& change, bool preview,
                                                            const Actor& actor) = 0;
};

}  // namespace tranche::storage
