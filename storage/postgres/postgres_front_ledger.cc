#include "storage/postgres/postgres_front_ledger.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/array_literal.h"
#include "storage/postgres/call.h"
#include "storage/postgres/columns.h"
#include "storage/postgres/sku_row.h"

namespace tranche::storage {
namespace {

// In the order of the ledger, by bytes.
constexpr char kUserKind[] = "BUYER";
constexpr char kAddressKind[] = "NETWORK";

const char* KindName(AccessSubject::Kind kind) { return kind == AccessSubject::Kind::kUser ? kUserKind : kAddressKind; }

bool IsKnownKind(absl::string_view kind) { return kind == kUserKind || kind == kAddressKind; }
bool IsKnownUse(absl::string_view use) { return use == "NEXT" || use == "CURRENT" || use == "PREVIOUS"; }

// What only a newer version knows is left out: without it the rest still holds, and a node that read nothing would not
// start.
constexpr char kPassedOver[] = ", which this version does not know: such ones are passed over";

// From where a page goes on after this entry; nullopt: nowhere, since what follows is not known either.
std::optional<AccessSubject> GoOnAfter(absl::string_view kind, absl::string_view value) {
  if (kind == kUserKind) return AccessSubject{AccessSubject::Kind::kUser, std::string(value)};
  if (kind == kAddressKind) return AccessSubject{AccessSubject::Kind::kAddress, std::string(value)};
  // No value is empty, so this is before the first of the next kind that is known.
  if (kind < kUserKind) return AccessSubject{AccessSubject::Kind::kUser, ""};
  if (kind < kAddressKind) return AccessSubject{AccessSubject::Kind::kAddress, ""};
  return std::nullopt;
}

// Keys and hashes come as hexadecimal text.
std::string SecretOf(const pqxx::field& field) {
  std::string bytes = absl::HexStringToBytes(TextOf(field));
  RequireOfAnswer(bytes.size() == kFrontKeyBytes, "a key has 32 bytes");
  return bytes;
}

LotteryRound& RunningRound(FrontPolicyRow* row) {
  if (!row->round.has_value()) row->round.emplace();
  return *row->round;
}

constexpr Column<FrontPolicyRow> kFrontPolicyTable[] = {
    {"sku_id", [](const pqxx::field& field, FrontPolicyRow* to) { to->sku_id = field.c_str(); }},
    {"document", [](const pqxx::field& field, FrontPolicyRow* to) { to->document = field.c_str(); }},
    {"version", [](const pqxx::field& field, FrontPolicyRow* to) { to->version = field.as<int64_t>(); }},
    {"changed_us", [](const pqxx::field& field, FrontPolicyRow* to) { to->changed_at = TimeOf(field); }},
    {"changed_by", [](const pqxx::field& field, FrontPolicyRow* to) { to->changed_by = field.c_str(); }},
    {"round_number",
     [](const pqxx::field& field, FrontPolicyRow* to) { RunningRound(to).number = field.as<int64_t>(); }},
    {"round_key", [](const pqxx::field& field, FrontPolicyRow* to) { RunningRound(to).key = SecretOf(field); }},
    {"round_commitment",
     [](const pqxx::field& field, FrontPolicyRow* to) { RunningRound(to).commitment = SecretOf(field); }},
    {"round_admitted",
     [](const pqxx::field& field, FrontPolicyRow* to) { RunningRound(to).admitted_per_million = field.as<int32_t>(); }},
    {"round_started_us",
     [](const pqxx::field& field, FrontPolicyRow* to) { RunningRound(to).started_at = TimeOf(field); }},
};

constexpr Column<LotteryRound> kLotteryRoundTable[] = {
    {"sku_id", [](const pqxx::field& field, LotteryRound* to) { to->policy_sku_id = field.c_str(); }},
    {"number", [](const pqxx::field& field, LotteryRound* to) { to->number = field.as<int64_t>(); }},
    {"key", [](const pqxx::field& field, LotteryRound* to) { to->key = SecretOf(field); }},
    {"commitment", [](const pqxx::field& field, LotteryRound* to) { to->commitment = SecretOf(field); }},
    {"admitted", [](const pqxx::field& field, LotteryRound* to) { to->admitted_per_million = field.as<int32_t>(); }},
    {"started_us", [](const pqxx::field& field, LotteryRound* to) { to->started_at = TimeOf(field); }},
    {"ended_us", [](const pqxx::field& field, LotteryRound* to) { to->ended_at = TimeOf(field); }},
};

constexpr Column<FrontKey> kFrontKeyTable[] = {
    {"key_id", [](const pqxx::field& field, FrontKey* to) { to->id = field.as<int64_t>(); }},
    {"use",
     [](const pqxx::field& field, FrontKey* to) {
       const bool next = TextOf(field) == "NEXT", current = TextOf(field) == "CURRENT";
       to->use = next ? FrontKey::Use::kNext : current ? FrontKey::Use::kCurrent : FrontKey::Use::kPrevious;
     }},
    {"since_us", [](const pqxx::field& field, FrontKey* to) { to->since = TimeOf(field); }},
    {"secret", [](const pqxx::field& field, FrontKey* to) { to->secret = SecretOf(field); }},
};

constexpr Column<AccessEntry> kAccessEntryTable[] = {
    {"kind",
     [](const pqxx::field& field, AccessEntry* to) {
       to->subject.kind = TextOf(field) == kUserKind ? AccessSubject::Kind::kUser : AccessSubject::Kind::kAddress;
     }},
    {"value", [](const pqxx::field& field, AccessEntry* to) { to->subject.value = field.c_str(); }},
    {"allow", [](const pqxx::field& field, AccessEntry* to) { to->allow = field.as<bool>(); }},
    {"expires_us", [](const pqxx::field& field, AccessEntry* to) { to->expires_at = TimeOf(field); }},
    {"reason", [](const pqxx::field& field, AccessEntry* to) { to->reason = field.c_str(); }},
    {"removed", [](const pqxx::field& field, AccessEntry* to) { to->removed = field.as<bool>(); }},
    {"changed_us", [](const pqxx::field& field, AccessEntry* to) { to->changed_at = TimeOf(field); }},
    {"changed_by", [](const pqxx::field& field, AccessEntry* to) { to->changed_by = field.c_str(); }},
};

constexpr Column<AccessCounts> kAccessCountsTable[] = {
    {"added", [](const pqxx::field& field, AccessCounts* to) { to->added = field.as<int32_t>(); }},
    {"replaced", [](const pqxx::field& field, AccessCounts* to) { to->replaced = field.as<int32_t>(); }},
    {"unchanged", [](const pqxx::field& field, AccessCounts* to) { to->unchanged = field.as<int32_t>(); }},
    {"removed", [](const pqxx::field& field, AccessCounts* to) { to->removed = field.as<int32_t>(); }},
    {"entries", [](const pqxx::field& field, AccessCounts* to) { to->entries = field.as<int32_t>(); }},
};

// One that only a newer version knows limits something: nothing new is reserved then.
ServiceMode::Kind ModeOf(absl::string_view name) {
  for (const auto kind : {ServiceMode::Kind::kNormal, ServiceMode::Kind::kChangesOnly, ServiceMode::Kind::kReadOnly}) {
    if (name == ServiceModeName(kind)) return kind;
  }
  LOG_EVERY_T(WARNING, 60) << "the service mode is " << std::string(name)
                           << ", which this version does not know: it takes it for CHANGES_ONLY";
  return ServiceMode::Kind::kChangesOnly;
}

constexpr Column<ServiceMode> kServiceModeTable[] = {
    {"mode", [](const pqxx::field& field, ServiceMode* to) { to->kind = ModeOf(TextOf(field)); }},
    {"reason", [](const pqxx::field& field, ServiceMode* to) { to->reason = field.c_str(); }},
    {"changed_us", [](const pqxx::field& field, ServiceMode* to) { to->changed_at = TimeOf(field); }},
    {"changed_by", [](const pqxx::field& field, ServiceMode* to) { to->changed_by = field.c_str(); }},
};

// `key`: a column that the answer must have.
template <typename Struct>
absl::StatusOr<std::vector<Struct>> ReadFrontRows(Repeat repeat, const absl::StatusOr<pqxx::result>& rows,
                                                  absl::string_view key, absl::Span<const Column<Struct>> table) {
  if (!rows.ok()) return rows.status();
  return ReadAnswer(repeat, [&] {
    ColumnOf(*rows, key);
    const Columns<Struct> columns(*rows, table);
    std::vector<Struct> read;
    for (const pqxx::row& row : *rows) read.push_back(columns.Read(row));
    return read;
  });
}

absl::StatusOr<std::vector<FrontPolicyRow>> ReadFrontPolicies(Repeat repeat, const absl::StatusOr<pqxx::result>& rows) {
  ASSIGN_OR_RETURN(auto policies, ReadFrontRows<FrontPolicyRow>(repeat, rows, "document", kFrontPolicyTable));
  for (FrontPolicyRow& policy : policies) {
    if (policy.round.has_value()) policy.round->policy_sku_id = policy.sku_id;
  }
  return policies;
}

// Those with a use that this version knows.
absl::StatusOr<std::vector<FrontKey>> ReadFrontKeys(Repeat repeat, const absl::StatusOr<pqxx::result>& rows) {
  if (!rows.ok()) return rows.status();
  return ReadAnswer(repeat, [&] {
    const ColumnIndex use = ColumnOf(*rows, "use");
    ColumnOf(*rows, "secret");
    const Columns<FrontKey> columns(*rows, kFrontKeyTable);
    std::vector<FrontKey> keys;
    for (const pqxx::row& row : *rows) {
      if (const auto name = TextOf(row.at(use)); IsKnownUse(name)) {
        keys.push_back(columns.Read(row));
      } else {
        LOG_FIRST_N(WARNING, 1) << "the front door has a key for the use " << std::string(name) << kPassedOver;
      }
    }
    return keys;
  });
}

// A page of at most `limit` entries, of rows that are one more if there is another page. Entries of a kind that this
// version does not know are left out.
absl::StatusOr<AccessPage> ReadAccessPage(const absl::StatusOr<pqxx::result>& rows, size_t limit) {
  if (!rows.ok()) return rows.status();
  return ReadAnswer(Repeat::kRead, [&] {
    const ColumnIndex kind = ColumnOf(*rows, "kind"), value = ColumnOf(*rows, "value");
    const Columns<AccessEntry> columns(*rows, kAccessEntryTable);
    AccessPage page;
    size_t read = 0;
    for (const pqxx::row& row : *rows) {
      if (read++ == limit) break;
      const absl::string_view name = TextOf(row.at(kind));
      if (IsKnownKind(name)) {
        page.entries.push_back(columns.Read(row));
      } else {
        LOG_FIRST_N(WARNING, 1) << "the access list has an entry of the kind " << std::string(name) << kPassedOver;
      }
      if (read == limit) page.next = GoOnAfter(name, TextOf(row.at(value)));
    }
    if (read <= limit) page.next.reset();  // there is no further row
    return page;
  });
}

// The column `outcome` of the first row, which every change of the front door answers that may be refused.
absl::StatusOr<std::string> ReadFrontOutcome(Repeat repeat, const pqxx::result& rows) {
  return ReadAnswer(repeat, [&] { return rows.at(0).at(ColumnOf(rows, "outcome")).as<std::string>(); });
}

absl::StatusOr<AccessCounts> ReadAccessCounts(Repeat repeat, const pqxx::result& rows) {
  ASSIGN_OR_RETURN(const auto counts, ReadFrontRows<AccessCounts>(repeat, rows, "entries", kAccessCountsTable));
  return ReadAnswer(repeat, [&] {
    RequireOfAnswer(counts.size() == 1, "a change of the access list is counted in one row");
    return counts.front();
  });
}

// A preview makes the change and takes it back: it leaves no doubt. (Procedures of the access list have previews of
// their own, which lock nothing: an import asks for many.)
template <typename... Args>
absl::StatusOr<pqxx::result> ChangeFrontDoor(ConnectionPool& pool, bool preview, Repeat repeat, const char* procedure,
                                             const Args&... args) {
  if (!preview) return Call(pool, repeat, procedure, args...);
  return RepeatCall(repeat, [&] { return CallAndTakeBack(pool, procedure, args...); });
}

Repeat RepeatOf(bool preview, Repeat change) { return preview ? Repeat::kRead : change; }

// Parallel array literals.
struct SubjectLiterals {
  ArrayLiteral kinds, values;

  void Add(const AccessSubject& subject) {
    kinds.AddPlain(KindName(subject.kind));
    values.AddText(subject.value);
  }
};

}  // namespace

absl::StatusOr<FrontVersion> PostgresFrontLedger::ReadFrontVersion() {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "read_front_version"));
  return ReadAnswer(Repeat::kRead, [&] {
    return FrontVersion{.number = rows.at(0).at(0).as<int64_t>(), .stamp = rows.at(0).at(1).as<std::string>()};
  });
}

// The version is read before the rest, which may be newer: the reader is told that once more.
absl::StatusOr<FrontChanges> PostgresFrontLedger::ReadFrontChanges(const FrontVersion& known,
                                                                   const std::optional<AccessSubject>& after) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "compare_front_version", known.number, known.stamp));
  ASSIGN_OR_RETURN(FrontChanges changes, ReadAnswer(Repeat::kRead, [&] {
                     const pqxx::row row = rows.at(0);
                     FrontChanges told;
                     told.version = {.number = row.at(0).as<int64_t>(), .stamp = row.at(1).as<std::string>()};
                     told.complete = row.at(2).as<bool>();
                     return told;
                   }));
  const NullableNumber since(changes.complete ? std::nullopt : std::optional<int64_t>(known.number));
  if (!after.has_value()) {
    ASSIGN_OR_RETURN(changes.policies,
                     ReadFrontPolicies(Repeat::kRead, Call(*pool_, Repeat::kRead, "list_front_policies", std::string(),
                                                           since.parameter())));
    ASSIGN_OR_RETURN(changes.keys, ReadFrontKeys(Repeat::kRead, Call(*pool_, Repeat::kRead, "list_front_keys")));
    ASSIGN_OR_RETURN(changes.mode, ReadServiceMode());
  }
  ASSIGN_OR_RETURN(AccessPage page,
                   ReadAccessPage(Call(*pool_, Repeat::kRead, "read_access_changes", since.parameter(),
                                       after.has_value() ? KindName(after->kind) : "",
                                       after.has_value() ? after->value : std::string(), kMaxAccessBatch + 1),
                                  kMaxAccessBatch));
  changes.entries = std::move(page.entries);
  changes.next = std::move(page.next);
  return changes;
}

absl::StatusOr<std::vector<FrontPolicyRow>> PostgresFrontLedger::ListFrontPolicies(const std::string& sku_id) {
  const NullableNumber present(std::nullopt);
  return ReadFrontPolicies(Repeat::kRead,
                           Call(*pool_, Repeat::kRead, "list_front_policies", sku_id, present.parameter()));
}

absl::StatusOr<FrontPolicyRow> PostgresFrontLedger::SetFrontPolicy(const FrontPolicyChange& change, bool preview,
                                                                   const Actor& actor) {
  // Each call that asks for a new round begins one.
  const Repeat repeat = RepeatOf(preview, change.new_round ? Repeat::kNever : Repeat::kIfAnswerLost);
  const NullableNumber admitted(change.admitted_per_million);
  const NullableNumber expected(change.expected_version);
  ASSIGN_OR_RETURN(const auto rows,
                   ChangeFrontDoor(*pool_, preview, repeat, "set_front_policy", change.sku_id, OrNull(change.document),
                                   admitted.parameter(), change.new_round, expected.parameter(), actor.ForLedger()));
  ASSIGN_OR_RETURN(const std::string outcome, ReadFrontOutcome(repeat, rows));
  ASSIGN_OR_RETURN(auto policies, ReadFrontPolicies(repeat, rows));
  FrontPolicyRow& policy = policies.front();
  if (outcome == "FULL") {
    return absl::ResourceExhaustedError(absl::StrCat("there are ", kMaxFrontPolicies, " policies already"));
  }
  if (outcome == "SHRINKS") {
    return LotteryShrinksError(policy.round.has_value() ? policy.round->admitted_per_million : kEverybody);
  }
  ASSIGN_OR_RETURN(const bool begun, ReadAnswer(repeat, [&] {
                     RequireOfAnswer(outcome == "DONE", "the outcome of set_front_policy is known");
                     return rows.at(0).at(ColumnOf(rows, "round_begun")).as<bool>();
                   }));
  // No policy was there to be removed.
  policy.sku_id = change.sku_id;
  // Its key was taken back with the rest.
  if (preview && begun && policy.round.has_value()) {
    policy.round->key.clear();
    policy.round->commitment.clear();
  }
  return std::move(policy);
}

absl::StatusOr<std::vector<LotteryRound>> PostgresFrontLedger::ListLotteryRounds(const std::string& policy_sku_id) {
  return ReadFrontRows<LotteryRound>(Repeat::kRead,
                                     Call(*pool_, Repeat::kRead, "list_lottery_rounds", policy_sku_id, kMaxRoundsTold),
                                     "commitment", kLotteryRoundTable);
}

absl::StatusOr<std::vector<FrontKey>> PostgresFrontLedger::ListFrontKeys() {
  return ReadFrontKeys(Repeat::kRead, Call(*pool_, Repeat::kRead, "list_front_keys"));
}

absl::StatusOr<std::vector<FrontKey>> PostgresFrontLedger::RotateFrontKeys(const KeyRotation& rotation, bool preview,
                                                                           const Actor& actor) {
  // Each call rotates, and one that expects what it has changed itself fails.
  const Repeat repeat = RepeatOf(preview, Repeat::kNever);
  const NullableNumber expected(rotation.expected_current_id);
  ASSIGN_OR_RETURN(const auto rows, ChangeFrontDoor(*pool_, preview, repeat, "rotate_front_keys", rotation.replace_all,
                                                    expected.parameter(), actor.ForLedger()));
  ASSIGN_OR_RETURN(const std::string outcome, ReadFrontOutcome(repeat, rows));
  if (outcome == "TOO_SOON") {
    ASSIGN_OR_RETURN(const int64_t wait_us,
                     ReadAnswer(repeat, [&] { return rows.at(0).at(ColumnOf(rows, "wait_us")).as<int64_t>(); }));
    return KeyRotatedRecentlyError(absl::Microseconds(wait_us));
  }
  ASSIGN_OR_RETURN(auto keys, ReadFrontKeys(repeat, rows));
  if (preview) {
    // Those that would be new have no secret yet.
    ASSIGN_OR_RETURN(const auto present, ListFrontKeys());
    const int64_t newest = present.empty() ? 0 : present.back().id;
    for (FrontKey& key : keys) {
      if (key.id > newest) key.secret.clear();
    }
  }
  return keys;
}

absl::StatusOr<AccessCounts> PostgresFrontLedger::AddAccessEntries(absl::Span<const AccessEntry> entries, bool preview,
                                                                   const Actor& actor) {
  const Repeat repeat = RepeatOf(preview, Repeat::kIfAnswerLost);
  SubjectLiterals subjects;
  ArrayLiteral allow, expires, reasons;
  for (const AccessEntry& entry : entries) {
    subjects.Add(entry.subject);
    allow.AddPlain(entry.allow ? "t" : "f");
    if (entry.expires_at.has_value()) {
      expires.AddInt(absl::ToUnixMicros(*entry.expires_at));
    } else {
      expires.AddPlain("NULL");
    }
    reasons.AddText(entry.reason);
  }
  ASSIGN_OR_RETURN(const auto rows,
                   Call(*pool_, repeat, "add_access_entries", std::move(subjects.kinds).Finish(),
                        std::move(subjects.values).Finish(), std::move(allow).Finish(), std::move(expires).Finish(),
                        std::move(reasons).Finish(), preview, actor.ForLedger()));
  ASSIGN_OR_RETURN(const std::string outcome, ReadFrontOutcome(repeat, rows));
  ASSIGN_OR_RETURN(const AccessCounts counts, ReadAccessCounts(repeat, rows));
  if (outcome == "FULL") {
    return absl::ResourceExhaustedError(
        absl::StrCat("the access list has ", counts.entries, " entries, and may have ", kMaxAccessEntries));
  }
  return counts;
}

absl::StatusOr<AccessCounts> PostgresFrontLedger::RemoveAccessEntries(absl::Span<const AccessSubject> subjects,
                                                                      bool preview, const Actor& actor) {
  const Repeat repeat = RepeatOf(preview, Repeat::kIfAnswerLost);
  SubjectLiterals literals;
  for (const AccessSubject& subject : subjects) literals.Add(subject);
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, repeat, "remove_access_entries", std::move(literals.kinds).Finish(),
                                         std::move(literals.values).Finish(), preview, actor.ForLedger()));
  return ReadAccessCounts(repeat, rows);
}

absl::StatusOr<AccessPage> PostgresFrontLedger::ListAccessEntries(const AccessFilter& filter,
                                                                  const std::optional<AccessSubject>& after,
                                                                  int limit) {
  const char* const allow = !filter.allow.has_value() ? nullptr : *filter.allow ? "t" : "f";
  const char* const kind = filter.subject.has_value() ? KindName(filter.subject->kind) : nullptr;
  const char* const value = filter.subject.has_value() ? filter.subject->value.c_str() : nullptr;
  return ReadAccessPage(
      Call(*pool_, Repeat::kRead, "list_access_entries", allow, kind, value,
           after.has_value() ? KindName(after->kind) : "", after.has_value() ? after->value : std::string(), limit + 1),
      static_cast<size_t>(limit));
}

absl::StatusOr<ServiceMode> PostgresFrontLedger::ReadServiceMode() {
  ASSIGN_OR_RETURN(const auto modes,
                   ReadFrontRows<ServiceMode>(Repeat::kRead, Call(*pool_, Repeat::kRead, "read_service_mode"), "mode",
                                              kServiceModeTable));
  return modes.empty() ? ServiceMode() : modes.front();
}

absl::StatusOr<ServiceModeChanged> PostgresFrontLedger::SetServiceMode(const ServiceModeChange& change, bool preview,
                                                                       const Actor& actor) {
  const Repeat repeat = RepeatOf(preview, Repeat::kIfAnswerLost);
  ASSIGN_OR_RETURN(
      const auto modes,
      ReadFrontRows<ServiceMode>(repeat,
                                 ChangeFrontDoor(*pool_, preview, repeat, "set_service_mode",
                                                 ServiceModeName(change.kind), change.reason, actor.ForLedger()),
                                 "mode", kServiceModeTable));
  return ReadAnswer(repeat, [&] {
    RequireOfAnswer(modes.size() == 2, "a change of the service mode tells how it was and how it is");
    return ServiceModeChanged{.before = modes[0], .after = modes[1]};
  });
}

}  // namespace tranche::storage
