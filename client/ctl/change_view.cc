#include "client/ctl/change_view.h"

#include <google/protobuf/util/json_util.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace tranche::ctl {

nlohmann::ordered_json ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string text;
  // Our own messages hold nothing that JSON cannot say (no Any).
  if (!google::protobuf::util::MessageToJsonString(message, &text, options).ok()) return nullptr;
  return nlohmann::ordered_json::parse(text);
}

std::string Arrow(const std::string& before, const std::string& after) {
  return before == after ? before : absl::StrCat(before, " -> ", after);
}

std::string Arrow(int64_t before, int64_t after) { return Arrow(absl::StrCat(before), absl::StrCat(after)); }

void PrintChangeJson(Session& session, nlohmann::ordered_json before, nlohmann::ordered_json after, bool preview,
                     const nlohmann::ordered_json& more) {
  nlohmann::ordered_json change = {{"preview", preview}, {"before", std::move(before)}, {"after", std::move(after)}};
  change.update(more);
  session.out() << change.dump(1) << "\n";
}

void PrintChangeJson(Session& session, const google::protobuf::Message& before, const google::protobuf::Message& after,
                     bool preview, const nlohmann::ordered_json& more) {
  PrintChangeJson(session, ToJson(before), ToJson(after), preview, more);
}

void SayHowToApply(Session& session, const std::string& more_flags) {
  session.err() << "Nothing has changed. Run again with --yes" << (more_flags.empty() ? "" : " ") << more_flags
                << " to apply.\n";
}

void SayNothingWouldChange(Session& session) { session.err() << "It is so already: nothing would change.\n"; }

}  // namespace tranche::ctl
