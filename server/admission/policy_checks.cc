#include "server/admission/policy_checks.h"

#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/unknown_field_set.h"
#include "server/errors.h"
#include "server/proto_time.h"

namespace tranche::server {

absl::Status CheckRange(int64_t value, int64_t least, int64_t most, const std::string& field) {
  if (value >= least && value <= most) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("must be ", least, " to ", most));
}

absl::Status CheckLength(const google::protobuf::Duration& value, absl::Duration least, absl::Duration most,
                         const std::string& field) {
  const std::optional<absl::Duration> length = FromDuration(value);
  if (length.has_value() && *length >= least && *length <= most) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("must be ", absl::FormatDuration(least), " to ", absl::FormatDuration(most)));
}

bool HasUnknownFields(const google::protobuf::Message& message) {
  const google::protobuf::Reflection* reflection = message.GetReflection();
  if (!reflection->GetUnknownFields(message).empty()) return true;
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const google::protobuf::FieldDescriptor* field : fields) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      if (HasUnknownFields(reflection->GetMessage(message, field))) return true;
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
      if (HasUnknownFields(reflection->GetRepeatedMessage(message, field, i))) return true;
    }
  }
  return false;
}

}  // namespace tranche::server
