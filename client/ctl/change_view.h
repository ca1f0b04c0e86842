// Shows the state before and after a change, in the same way for every command that previews.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "client/ctl/session.h"

namespace tranche::ctl {

// "1000 -> 1500", or "1000" when nothing changes.
std::string Arrow(const std::string& before, const std::string& after);
std::string Arrow(int64_t before, int64_t after);

// By protobuf's mapping: 64-bit numbers are strings.
nlohmann::ordered_json ToJson(const google::protobuf::Message& message);

// One JSON object {"preview": ..., "before": ..., "after": ...}, with the members of `more`.
void PrintChangeJson(Session& session, nlohmann::ordered_json before, nlohmann::ordered_json after, bool preview,
                     const nlohmann::ordered_json& more = nlohmann::ordered_json::object());
void PrintChangeJson(Session& session, const google::protobuf::Message& before, const google::protobuf::Message& after,
                     bool preview, const nlohmann::ordered_json& more = nlohmann::ordered_json::object());

// What the operator should know, on stderr.
template <typename Response>
void PrintWarnings(Session& session, const Response& response) {
  for (const std::string& warning : response.warnings()) session.err() << "warning: " << warning << "\n";
}

// As a member of a change's JSON.
template <typename Response>
nlohmann::ordered_json WarningsJson(const Response& response) {
  return std::vector<std::string>(response.warnings().begin(), response.warnings().end());
}

// On stderr; `more_flags` is put after --yes.
void SayHowToApply(Session& session, const std::string& more_flags = "");

// Instead of that, when there is nothing to apply.
void SayNothingWouldChange(Session& session);

}  // namespace tranche::ctl
