#include "server/handlers/access_entry_messages.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/admission/access_lists.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/plain_utf8.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/actor.h"

namespace tranche::server {
namespace {

using storage::AccessSubject;
using EntryMessages = google::protobuf::RepeatedPtrField<v1::AccessEntry>;

// In page tokens, before the subject.
constexpr char kUserPlace[] = "user:";
constexpr char kAddressPlace[] = "address:";

std::string FieldOfEntry(int index) { return absl::StrCat("entries[", index, "]"); }

// The name of the field that says whom the entry is about.
std::string FieldOfSubject(const std::string& of, AccessSubject::Kind kind) {
  return absl::StrCat(of, kind == AccessSubject::Kind::kUser ? ".user_id" : ".address");
}

absl::StatusOr<AccessSubject> UserSubject(const std::string& user_id, absl::string_view field) {
  // What is not seen would make it look like somebody else.
  if (IsUserId(user_id) && IsVisibleUtf8(user_id)) return AccessSubject{AccessSubject::Kind::kUser, user_id};
  return InvalidField(field, "must be 1 to 128 bytes of UTF-8 without control or invisible characters");
}

absl::StatusOr<AccessSubject> AddressSubject(const std::string& address, absl::string_view field) {
  absl::StatusOr<std::string> prefix = CanonicalPrefix(address);
  if (prefix.ok()) return AccessSubject{AccessSubject::Kind::kAddress, *std::move(prefix)};
  return InvalidField(field,
                      "must be an address, or a prefix without host bits, such as 203.0.113.0/24 or 2001:db8::/48");
}

absl::StatusOr<AccessSubject> SubjectOf(const v1::AccessEntry& entry, const std::string& of) {
  switch (entry.subject_case()) {
    case v1::AccessEntry::kUserId:
      return UserSubject(entry.user_id(), FieldOfSubject(of, AccessSubject::Kind::kUser));
    case v1::AccessEntry::kAddress:
      return AddressSubject(entry.address(), FieldOfSubject(of, AccessSubject::Kind::kAddress));
    case v1::AccessEntry::SUBJECT_NOT_SET:
      break;
  }
  return InvalidField(absl::StrCat(of, ".subject"), "is missing: give a user_id or an address");
}

bool IsEntryReason(absl::string_view reason) {
  const auto characters =
      std::count_if(reason.begin(), reason.end(), [](unsigned char c) { return (c & 0xc0) != 0x80; });
  return characters <= storage::kMaxReasonChars && IsPlainUtf8(reason) && !HasDirectionMarks(reason);
}

absl::StatusOr<std::optional<absl::Time>> EndOf(const v1::AccessEntry& entry, const std::string& of, absl::Time now) {
  if (!entry.has_expire_time()) return std::optional<absl::Time>();
  const std::string field = absl::StrCat(of, ".expire_time");
  const std::optional<absl::Time> time = FromTimestamp(entry.expire_time());
  if (!time.has_value()) return InvalidField(field, "is not a valid timestamp");
  if (*time <= now) return InvalidField(field, "must be in the future: the entry would be over");
  // The ledger keeps microseconds. What it would cut off must not look like a change when the call is repeated.
  return std::optional<absl::Time>(absl::FromUnixMicros(absl::ToUnixMicros(*time)));
}

absl::StatusOr<storage::AccessEntry> EntryOf(const v1::AccessEntry& message, const std::string& of, absl::Time now) {
  storage::AccessEntry entry;
  if (message.verdict() != v1::AccessEntry::VERDICT_ALLOW && message.verdict() != v1::AccessEntry::VERDICT_DENY) {
    return InvalidField(absl::StrCat(of, ".verdict"), "must be VERDICT_ALLOW or VERDICT_DENY");
  }
  entry.allow = message.verdict() == v1::AccessEntry::VERDICT_ALLOW;
  ASSIGN_OR_RETURN(entry.subject, SubjectOf(message, of));
  ASSIGN_OR_RETURN(entry.expires_at, EndOf(message, of, now));
  if (!IsEntryReason(message.reason())) {
    return InvalidField(absl::StrCat(of, ".reason"), absl::StrCat("must be at most ", storage::kMaxReasonChars,
                                                                  " characters without control characters"));
  }
  entry.reason = message.reason();
  return entry;
}

absl::Status CheckBatch(const EntryMessages& entries) {
  if (entries.size() >= 1 && entries.size() <= storage::kMaxAccessBatch) return absl::OkStatus();
  return InvalidField("entries", absl::StrCat("must be 1 to ", storage::kMaxAccessBatch));
}

// Finds two entries about the same subject: which of them counts would be left to chance.
class SeenSubjects {
 public:
  absl::Status Add(const AccessSubject& subject, int index) {
    const auto [first, added] = seen_.try_emplace({subject.kind, subject.value}, index);
    if (added) return absl::OkStatus();
    return InvalidField(FieldOfSubject(FieldOfEntry(index), subject.kind),
                        absl::StrCat("is the same as that of ", FieldOfEntry(first->second)));
  }

 private:
  std::map<std::pair<AccessSubject::Kind, std::string>, int> seen_;
};

}  // namespace

v1::AccessEntry AccessEntryToMessage(const storage::AccessEntry& entry) {
  v1::AccessEntry message;
  message.set_verdict(entry.allow ? v1::AccessEntry::VERDICT_ALLOW : v1::AccessEntry::VERDICT_DENY);
  if (entry.subject.kind == AccessSubject::Kind::kUser) {
    message.set_user_id(entry.subject.value);
  } else {
    message.set_address(entry.subject.value);
  }
  if (entry.expires_at.has_value()) *message.mutable_expire_time() = ToTimestamp(*entry.expires_at);
  message.set_reason(entry.reason);
  *message.mutable_change_time() = ToTimestamp(entry.changed_at);
  message.set_changed_by(entry.changed_by);
  return message;
}

absl::StatusOr<std::vector<storage::AccessEntry>> ReadAccessEntries(const EntryMessages& entries, absl::Time now) {
  RETURN_IF_ERROR(CheckBatch(entries));
  SeenSubjects seen;
  std::vector<storage::AccessEntry> read;
  read.reserve(entries.size());
  for (int i = 0; i < entries.size(); ++i) {
    ASSIGN_OR_RETURN(storage::AccessEntry entry, EntryOf(entries[i], FieldOfEntry(i), now));
    RETURN_IF_ERROR(seen.Add(entry.subject, i));
    read.push_back(std::move(entry));
  }
  return read;
}

absl::StatusOr<std::vector<AccessSubject>> ReadAccessSubjects(const EntryMessages& entries) {
  RETURN_IF_ERROR(CheckBatch(entries));
  SeenSubjects seen;
  std::vector<AccessSubject> read;
  read.reserve(entries.size());
  for (int i = 0; i < entries.size(); ++i) {
    ASSIGN_OR_RETURN(AccessSubject subject, SubjectOf(entries[i], FieldOfEntry(i)));
    RETURN_IF_ERROR(seen.Add(subject, i));
    read.push_back(std::move(subject));
  }
  return read;
}

absl::StatusOr<std::optional<AccessSubject>> ReadAccessSubject(const std::string& user_id, const std::string& address) {
  std::optional<AccessSubject> subject;
  if (!user_id.empty() && !address.empty()) return InvalidField("address", "goes without a user_id");
  if (!user_id.empty()) {
    ASSIGN_OR_RETURN(subject, UserSubject(user_id, "user_id"));
  }
  if (!address.empty()) {
    ASSIGN_OR_RETURN(subject, AddressSubject(address, "address"));
  }
  return subject;
}

std::string ToPageToken(const std::optional<AccessSubject>& next) {
  if (!next.has_value()) return "";
  return EncodePageToken(
      absl::StrCat(next->kind == AccessSubject::Kind::kUser ? kUserPlace : kAddressPlace, next->value));
}

absl::StatusOr<std::optional<AccessSubject>> FromPageToken(absl::string_view token) {
  ASSIGN_OR_RETURN(const std::string place, DecodePageToken(token));
  if (place.empty()) return std::optional<AccessSubject>();
  absl::string_view value = place;
  if (absl::ConsumePrefix(&value, kUserPlace)) {
    if (IsUserId(value)) return std::optional(AccessSubject{AccessSubject::Kind::kUser, std::string(value)});
  } else if (absl::ConsumePrefix(&value, kAddressPlace)) {
    const absl::StatusOr<std::string> prefix = CanonicalPrefix(value);
    if (prefix.ok() && *prefix == value) return std::optional(AccessSubject{AccessSubject::Kind::kAddress, *prefix});
  }
  return InvalidField("page_token", "must be the next_page_token of the page before");
}

}  // namespace tranche::server
