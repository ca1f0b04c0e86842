#include "client/ctl/audit_view.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "client/ctl/change_view.h"

namespace tranche::ctl {
namespace {

using nlohmann::json;

std::string Key(const std::string& key) {
  if (key == "0") return "pool";
  const bool digits = std::all_of(key.begin(), key.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  return digits ? absl::StrCat("#", key) : key;
}

std::string Value(const json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

std::string Node(const tranche::v1::AuditEntry& entry) {
  if (entry.incarnation() == 0) return "";
  return entry.node_name().empty() ? absl::StrCat("#", entry.incarnation())
                                   : absl::StrCat(entry.node_name(), " #", entry.incarnation());
}

std::string TimeInMillis(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ",
                          absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos()), absl::UTCTimeZone());
}

}  // namespace

std::string DescribeAuditChange(const std::string& before, const std::string& after) {
  const json was = json::parse(before, nullptr, /*allow_exceptions=*/false);
  const json is = json::parse(after, nullptr, /*allow_exceptions=*/false);
  if (!was.is_object() || !is.is_object()) return Arrow(before, after);
  std::vector<std::string> changes;
  for (const auto& [key, value] : was.items()) {
    const std::string now = is.contains(key) ? Value(is[key]) : "none";
    if (now != Value(value)) changes.push_back(absl::StrCat(Key(key), " ", Value(value), " -> ", now));
  }
  for (const auto& [key, value] : is.items()) {
    if (!was.contains(key)) changes.push_back(absl::StrCat(Key(key), " ", Value(value)));
  }
  return absl::StrJoin(changes, ", ");
}

void PrintAudit(Session& session, const tranche::v1::ListAuditResponse& audit) {
  if (session.json()) return session.PrintJson(audit);
  Table table({"TIME", "ACTOR", "ACTION", "SKU", "NODE", "CHANGE"});
  for (const tranche::v1::AuditEntry& entry : audit.entries()) {
    table.AddRow({TimeInMillis(entry.time()), entry.actor(), entry.action(), entry.sku_id(), Node(entry),
                  DescribeAuditChange(entry.before(), entry.after())});
  }
  session.Print(table);
}

}  // namespace tranche::ctl
