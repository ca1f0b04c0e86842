// Converts the entries of the front door's access list between the ledger's type and the API's messages, and checks
// them. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "storage/ledger/front_ledger.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::server {

v1::AccessEntry AccessEntryToMessage(const storage::AccessEntry& entry);

// The entries of one call, 1 to kMaxAccessBatch, each subject in its one form, and no two of the same. FIELD_INVALID
// names the field, such as "entries[3].address". An end that is over at `now` is refused.
absl::StatusOr<std::vector<storage::AccessEntry>> ReadAccessEntries(
    const google::protobuf::RepeatedPtrField<v1::AccessEntry>& entries, absl::Time now);
// The same; only the subjects count.
absl::StatusOr<std::vector<storage::AccessSubject>> ReadAccessSubjects(
    const google::protobuf::RepeatedPtrField<v1::AccessEntry>& entries);

// The subject that a list is asked for; nullopt if both are empty. FIELD_INVALID names the field.
absl::StatusOr<std::optional<storage::AccessSubject>> ReadAccessSubject(const std::string& user_id,
                                                                        const std::string& address);

// The place where a list goes on; nullopt is its beginning. FIELD_INVALID if we did not issue the token.
std::string ToPageToken(const std::optional<storage::AccessSubject>& next);
absl::StatusOr<std::optional<storage::AccessSubject>> FromPageToken(absl::string_view token);

}  // namespace tranche::server
