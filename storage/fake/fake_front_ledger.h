// The front door's ledger in memory, with the same rules as the procedures under sql/. tests/contract runs one suite on
// both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/clock.h"
#include "storage/fake/fake_ledger.h"
#include "storage/ledger/front_ledger.h"

namespace tranche::storage {

// Thread-safe: one mutex around every call. Begins as a database after its migration: with three keys, at version 1.
class FakeFrontLedger : public FrontLedger {
 public:
  // `clock` is the database's. `audit`, if given, gets the entries of the audit log. Neither is owned.
  explicit FakeFrontLedger(Clock* clock, FakeLedger* audit = nullptr);

  absl::StatusOr<FrontVersion> ReadFrontVersion() override;
  absl::StatusOr<FrontChanges> ReadFrontChanges(const FrontVersion& known,
                                                const std::optional<AccessSubject>& after) override;
  absl::StatusOr<std::vector<FrontPolicyRow>> ListFrontPolicies(const std::string& sku_id) override;
  absl::StatusOr<FrontPolicyRow> SetFrontPolicy(const FrontPolicyChange& change, bool preview,
                                                const Actor& actor) override;
  absl::StatusOr<std::vector<LotteryRound>> ListLotteryRounds(const std::string& policy_sku_id) override;
  absl::StatusOr<std::vector<FrontKey>> ListFrontKeys() override;
  absl::StatusOr<std::vector<FrontKey>> RotateFrontKeys(const KeyRotation& rotation, bool preview,
                                                        const Actor& actor) override;
  absl::StatusOr<AccessCounts> AddAccessEntries(absl::Span<const AccessEntry> entries, bool preview,
                                                const Actor& actor) override;
  absl::StatusOr<AccessCounts> RemoveAccessEntries(absl::Span<const AccessSubject> subjects, bool preview,
                                                   const Actor& actor) override;
  absl::StatusOr<AccessPage> ListAccessEntries(const AccessFilter& filter, const std::optional<AccessSubject>& after,
                                               int limit) override;
  absl::StatusOr<ServiceMode> ReadServiceMode() override;
  absl::StatusOr<ServiceModeChanged> SetServiceMode(const ServiceModeChange& change, bool preview,
                                                    const Actor& actor) override;

  // The next `calls` calls of FrontLedger's methods return kUnavailable and do nothing.
  void FailNext(int calls);
  // How many calls of FrontLedger's methods there were, failed ones included.
  int calls() const;
  // Policies and access entries, also those that are kept only to tell readers that they are removed.
  size_t stored() const;
  // As if so many other changes had been made.
  void CountChanges(int64_t changes);

  // All that is stored now, and the return to it: a backup that is restored. Stamps and keys that were chosen since do
  // not come again.
  struct Backup;
  std::shared_ptr<const Backup> Save() const;
  void Restore(const Backup& backup);

 private:
  // By kind and value.
  using SubjectKey = std::pair<AccessSubject::Kind, std::string>;
  struct StoredEntry {
    AccessEntry entry;  // `removed` is a mark for readers
    int64_t version = 0;
  };
  struct State {
    std::map<int64_t, std::string> changes;                   // stamps by version; the newest is the present one
    std::map<std::string, FrontPolicyRow> policies;           // without rounds; removed ones, too
    std::map<std::string, std::vector<LotteryRound>> rounds;  // by number
    std::vector<FrontKey> keys;                               // by id
    std::map<SubjectKey, StoredEntry> entries;
    ServiceMode mode;
  };

  static SubjectKey KeyOf(const AccessSubject& subject) { return {subject.kind, subject.value}; }
  static std::string NameOf(const AccessSubject& subject);
  static LotteryRound* RunningRound(State& state, const std::string& sku_id);
  // What list_front_policies tells of a policy.
  static FrontPolicyRow Row(State& state, const std::string& sku_id);

  absl::Time DatabaseNow() const;
  absl::Status Enter() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string RandomKey() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int64_t NextVersion(State& state) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Audit(const Actor& actor, const char* action, const std::string& sku_id, std::string before, std::string after)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // The steps of set_front_policy.
  absl::Status CheckPolicy(const FrontPolicyChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool ChangeRound(State& state, const FrontPolicyChange& change, bool preview, const Actor& actor)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  FrontPolicyRow ApplyPolicy(State& state, const FrontPolicyChange& change, bool preview, const Actor& actor)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Of the access list.
  bool IsLive(const StoredEntry& stored) const;
  int32_t CountLive() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  AccessCounts CompareEntries(absl::Span<const AccessEntry> entries, std::vector<AccessEntry>* changed) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Marks entries whose time is over as removed, at most `limit`.
  void RemoveExpired(int limit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Clock* const clock_;
  FakeLedger* const audit_;
  mutable absl::Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_);
  uint64_t chances_ ABSL_GUARDED_BY(mutex_) = 0;  // that were taken; a restore takes none back
  int fail_next_ ABSL_GUARDED_BY(mutex_) = 0;
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

struct FakeFrontLedger::Backup {
  State state;
};

}  // namespace tranche::storage
