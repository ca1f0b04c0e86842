// FakeFrontLedger's versions, policies, rounds and keys. Its access list is in fake_front_access.cc, its service mode
// in fake_service_mode.cc.
#include "storage/fake/fake_front_ledger.h"

#include <openssl/sha.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::storage {
namespace {

constexpr int64_t kChangesKept = 1'000;
constexpr int64_t kRoundsKept = kMaxRoundsTold;

std::string Sha256(const std::string& text) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

// Members in the order of jsonb: shorter names first.
std::string PolicyJson(const std::string& document) {
  return document.empty() ? "{}" : absl::StrCat("{\"policy\": ", document, "}");
}

std::string RoundJson(const LotteryRound& round) {
  return absl::StrCat("{\"round\": ", round.number, ", \"commitment\": \"", absl::BytesToHexString(round.commitment),
                      "\", \"admitted_per_million\": ", round.admitted_per_million, "}");
}

const FrontKey* KeyWith(const std::vector<FrontKey>& keys, FrontKey::Use use) {
  const auto found = std::find_if(keys.begin(), keys.end(), [use](const FrontKey& key) { return key.use == use; });
  return found == keys.end() ? nullptr : &*found;
}

std::string KeysJson(const std::vector<FrontKey>& keys) {
  return absl::StrCat("{\"next\": ", KeyWith(keys, FrontKey::Use::kNext)->id,
                      ", \"current\": ", KeyWith(keys, FrontKey::Use::kCurrent)->id,
                      ", \"previous\": ", KeyWith(keys, FrontKey::Use::kPrevious)->id, "}");
}

// 0: the policy has no lottery then.
int32_t AdmittedBy(const FrontPolicyChange& change) {
  return change.document.empty() ? 0 : change.admitted_per_million.value_or(0);
}

}  // namespace

FakeFrontLedger::FakeFrontLedger(Clock* clock, FakeLedger* audit) : clock_(clock), audit_(audit) {
  absl::MutexLock lock(&mutex_);
  NextVersion(state_);
  const absl::Time now = DatabaseNow();
  state_.keys = {{1, RandomKey(), FrontKey::Use::kPrevious, now},
                 {2, RandomKey(), FrontKey::Use::kCurrent, now},
                 {3, RandomKey(), FrontKey::Use::kNext, now}};
}

absl::Time FakeFrontLedger::DatabaseNow() const { return absl::FromUnixMicros(absl::ToUnixMicros(clock_->Now())); }

absl::Status FakeFrontLedger::Enter() {
  ++calls_;
  if (fail_next_ == 0) return absl::OkStatus();
  --fail_next_;
  return absl::UnavailableError("the fake front ledger was told to fail");
}

void FakeFrontLedger::FailNext(int calls) {
  absl::MutexLock lock(&mutex_);
  fail_next_ = calls;
}

int FakeFrontLedger::calls() const {
  absl::MutexLock lock(&mutex_);
  return calls_;
}

size_t FakeFrontLedger::stored() const {
  absl::MutexLock lock(&mutex_);
  return state_.policies.size() + state_.entries.size();
}

void FakeFrontLedger::CountChanges(int64_t changes) {
  absl::MutexLock lock(&mutex_);
  for (int64_t i = 0; i < changes; ++i) {
    state_.changes[state_.changes.rbegin()->first + 1] = absl::StrCat("stamp-", ++chances_);
  }
}

std::shared_ptr<const FakeFrontLedger::Backup> FakeFrontLedger::Save() const {
  absl::MutexLock lock(&mutex_);
  return std::make_shared<const Backup>(Backup{state_});
}

void FakeFrontLedger::Restore(const Backup& backup) {
  absl::MutexLock lock(&mutex_);
  state_ = backup.state;
}

std::string FakeFrontLedger::RandomKey() { return Sha256(absl::StrCat("key-", ++chances_)); }

int64_t FakeFrontLedger::NextVersion(State& state) {
  const int64_t version = state.changes.empty() ? 1 : state.changes.rbegin()->first + 1;
  state.changes[version] = absl::StrCat("stamp-", ++chances_);
  state.changes.erase(state.changes.begin(), state.changes.upper_bound(version - kChangesKept));
  const int64_t oldest = state.changes.begin()->first;
  std::erase_if(state.policies, [oldest](const auto& policy) {
    return policy.second.document.empty() && policy.second.version < oldest;
  });
  std::erase_if(state.entries,
                [oldest](const auto& entry) { return entry.second.entry.removed && entry.second.version < oldest; });
  return version;
}

void FakeFrontLedger::Audit(const Actor& actor, const char* action, const std::string& sku_id, std::string before,
                            std::string after) {
  if (audit_ == nullptr) return;
  audit_->AddAuditEntry({.at = DatabaseNow(),
                         .actor = actor.name,
                         .action = action,
                         .sku_id = sku_id,
                         .before = std::move(before),
                         .after = std::move(after),
                         .reason = actor.reason,
                         .automatic = actor.automatic,
                         .nodes = {}});
}

absl::StatusOr<FrontVersion> FakeFrontLedger::ReadFrontVersion() {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  const auto& [number, stamp] = *state_.changes.rbegin();
  return FrontVersion{.number = number, .stamp = stamp};
}

absl::StatusOr<FrontChanges> FakeFrontLedger::ReadFrontChanges(const FrontVersion& known,
                                                               const std::optional<AccessSubject>& after) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  FrontChanges changes;
  changes.version = {.number = state_.changes.rbegin()->first, .stamp = state_.changes.rbegin()->second};
  const auto found = state_.changes.find(known.number);
  changes.complete = found == state_.changes.end() || found->second != known.stamp ||
                     std::count_if(state_.entries.begin(), state_.entries.end(), [&known](const auto& entry) {
                       return entry.second.version > known.number;
                     }) > kMaxEntriesTold;
  if (!after.has_value()) {
    changes.keys = state_.keys;
    changes.mode = state_.mode;
    for (const auto& [sku_id, policy] : state_.policies) {
      if (changes.complete ? !policy.document.empty() : policy.version > known.number) {
        changes.policies.push_back(Row(state_, sku_id));
      }
    }
  }
  const auto begin = after.has_value() ? state_.entries.upper_bound(KeyOf(*after)) : state_.entries.begin();
  for (auto it = begin; it != state_.entries.end(); ++it) {
    if (changes.complete ? !IsLive(it->second) : it->second.version <= known.number) continue;
    if (changes.entries.size() == kMaxAccessBatch) {
      changes.next = changes.entries.back().subject;
      break;
    }
    changes.entries.push_back(it->second.entry);
  }
  return changes;
}

LotteryRound* FakeFrontLedger::RunningRound(State& state, const std::string& sku_id) {
  const auto found = state.rounds.find(sku_id);
  if (found == state.rounds.end() || found->second.back().ended_at.has_value()) return nullptr;
  return &found->second.back();
}

FrontPolicyRow FakeFrontLedger::Row(State& state, const std::string& sku_id) {
  const auto found = state.policies.find(sku_id);
  FrontPolicyRow row;
  row.sku_id = sku_id;
  if (found != state.policies.end()) row = found->second;
  if (const LotteryRound* round = RunningRound(state, sku_id); round != nullptr) row.round = *round;
  return row;
}

absl::StatusOr<std::vector<FrontPolicyRow>> FakeFrontLedger::ListFrontPolicies(const std::string& sku_id) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  std::vector<FrontPolicyRow> policies;
  for (const auto& [id, policy] : state_.policies) {
    if (!policy.document.empty() && (sku_id.empty() || id == sku_id)) policies.push_back(Row(state_, id));
  }
  return policies;
}

absl::Status FakeFrontLedger::CheckPolicy(const FrontPolicyChange& change) {
  const FrontPolicyRow before = Row(state_, change.sku_id);
  const int64_t version = before.document.empty() ? 0 : before.version;
  if (change.expected_version.value_or(version) != version) {
    return absl::AbortedError(absl::StrCat("the policy of ", change.sku_id, " has version ", version));
  }
  if (change.document.size() > kMaxPolicyBytes) return absl::InvalidArgumentError("too long a policy");
  if (change.document.empty()) return absl::OkStatus();
  const auto present = std::count_if(state_.policies.begin(), state_.policies.end(),
                                     [](const auto& policy) { return !policy.second.document.empty(); });
  if (before.document.empty() && present >= kMaxFrontPolicies) {
    return absl::ResourceExhaustedError(absl::StrCat("there are ", kMaxFrontPolicies, " policies already"));
  }
  const int32_t runs = before.round.has_value() ? before.round->admitted_per_million : 0;
  if (!change.new_round && change.admitted_per_million.value_or(runs) < runs) return LotteryShrinksError(runs);
  return absl::OkStatus();
}

bool FakeFrontLedger::ChangeRound(State& state, const FrontPolicyChange& change, bool preview, const Actor& actor) {
  const int32_t admitted = AdmittedBy(change);
  LotteryRound* const runs = RunningRound(state, change.sku_id);
  std::string before = "{}";
  if (runs != nullptr) {
    if (admitted > 0 && !change.new_round) {
      runs->admitted_per_million = admitted;
      return false;
    }
    before = RoundJson(*runs);
    runs->ended_at = DatabaseNow();
  }
  if (admitted == 0) return false;
  std::vector<LotteryRound>& rounds = state.rounds[change.sku_id];
  LotteryRound round{.policy_sku_id = change.sku_id,
                     .number = rounds.empty() ? 1 : rounds.back().number + 1,
                     .key = preview ? "" : RandomKey(),
                     .commitment = "",
                     .admitted_per_million = admitted,
                     .started_at = DatabaseNow()};
  if (!preview) {
    round.commitment = Sha256(round.key);
    Audit(actor, "begin_lottery_round", change.sku_id, std::move(before), RoundJson(round));
  }
  std::erase_if(rounds, [&](const LotteryRound& old) { return old.number <= round.number - kRoundsKept; });
  rounds.push_back(std::move(round));
  return true;
}

FrontPolicyRow FakeFrontLedger::ApplyPolicy(State& state, const FrontPolicyChange& change, bool preview,
                                            const Actor& actor) {
  const std::string before = Row(state, change.sku_id).document;
  const int64_t version = NextVersion(state);
  const bool begun = ChangeRound(state, change, preview, actor);
  state.policies[change.sku_id] = {.sku_id = change.sku_id,
                                   .document = change.document,
                                   .version = version,
                                   .changed_at = DatabaseNow(),
                                   .changed_by = actor.name};
  if (!preview && (before != change.document || !begun)) {
    Audit(actor, change.document.empty() ? "remove_front_policy" : "set_front_policy", change.sku_id,
          PolicyJson(before), PolicyJson(change.document));
  }
  return Row(state, change.sku_id);
}

absl::StatusOr<FrontPolicyRow> FakeFrontLedger::SetFrontPolicy(const FrontPolicyChange& change, bool preview,
                                                               const Actor& actor) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  const FrontPolicyRow before = Row(state_, change.sku_id);
  const int32_t runs = before.round.has_value() ? before.round->admitted_per_million : 0;
  const int32_t admitted = AdmittedBy(change);
  if (before.document == change.document && runs == admitted && !(change.new_round && admitted > 0)) {
    return before;
  }
  RETURN_IF_ERROR(CheckPolicy(change));
  if (!preview) return ApplyPolicy(state_, change, preview, actor);
  State as_it_would_be = state_;
  return ApplyPolicy(as_it_would_be, change, preview, actor);
}

absl::StatusOr<std::vector<LotteryRound>> FakeFrontLedger::ListLotteryRounds(const std::string& policy_sku_id) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  const auto found = state_.rounds.find(policy_sku_id);
  if (found == state_.rounds.end()) return std::vector<LotteryRound>();
  return std::vector<LotteryRound>(found->second.rbegin(), found->second.rend());
}

absl::StatusOr<std::vector<FrontKey>> FakeFrontLedger::ListFrontKeys() {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  return state_.keys;
}

absl::StatusOr<std::vector<FrontKey>> FakeFrontLedger::RotateFrontKeys(const KeyRotation& rotation, bool preview,
                                                                       const Actor& actor) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  const absl::Time now = DatabaseNow();
  const FrontKey& current = *KeyWith(state_.keys, FrontKey::Use::kCurrent);
  if (rotation.expected_current_id.value_or(current.id) != current.id) {
    return absl::AbortedError(absl::StrCat("the current key is ", current.id));
  }
  if (!rotation.replace_all && now < current.since + kLeastKeyAge) {
    return KeyRotatedRecentlyError(current.since + kLeastKeyAge - now);
  }
  const auto made = [&](int64_t id, FrontKey::Use use) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return FrontKey{.id = id, .secret = preview ? "" : RandomKey(), .use = use, .since = now};
  };
  const int64_t last = state_.keys.back().id;
  std::vector<FrontKey> keys;
  if (rotation.replace_all) {
    keys = {made(last + 1, FrontKey::Use::kPrevious), made(last + 2, FrontKey::Use::kCurrent),
            made(last + 3, FrontKey::Use::kNext)};
  } else {
    const FrontKey& next = *KeyWith(state_.keys, FrontKey::Use::kNext);
    keys = {{current.id, current.secret, FrontKey::Use::kPrevious, now},
            {next.id, next.secret, FrontKey::Use::kCurrent, now},
            made(last + 1, FrontKey::Use::kNext)};
  }
  if (preview) return keys;
  Audit(actor, rotation.replace_all ? "replace_front_keys" : "rotate_front_keys", "",
        absl::StrCat("{\"current\": ", current.id, "}"), KeysJson(keys));
  NextVersion(state_);
  state_.keys = keys;
  return keys;
}

}  // namespace tranche::storage
