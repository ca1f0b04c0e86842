#include "client/ctl/audit_view.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "client/ctl/change_view.h"

namespace tranche::ctl {
namespace {

using nlohmann::json;

std::string Key(const std::string& key, const NodeNames& names) {
  if (key == "0") return "pool";
  int64_t incarnation = 0;
  const bool digits = std::all_of(key.begin(), key.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  if (!digits || !absl::SimpleAtoi(key, &incarnation)) return key;
  const auto name = names.find(incarnation);
  return name == names.end() ? absl::StrCat("#", key) : absl::StrCat(name->second, " #", key);
}

std::string Value(const json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

// What the entry is about, if it has one of these. They come first.
constexpr const char* kNames[] = {"shard", "sink",     "reservation_id",    "reservation_ids", "group",
                                  "offer", "revision", "payment_reference", "user_id"};

bool IsName(const std::string& key) { return std::find(std::begin(kNames), std::end(kNames), key) != std::end(kNames); }

// What both have, or only one of them.
std::vector<std::string> NamesIn(const json& was, const json& is) {
  std::vector<std::string> names;
  for (const char* const name : kNames) {
    const json& side = is.contains(name) ? is : was;
    if (!side.contains(name)) continue;
    const bool differ = was.contains(name) && is.contains(name) && was[name] != is[name];
    names.push_back(differ ? absl::StrCat(name, " ", Value(was[name]), " -> ", Value(is[name]))
                           : absl::StrCat(name, " ", Value(side[name])));
  }
  return names;
}

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

std::string DescribeAuditChange(const std::string& before, const std::string& after, const NodeNames& names) {
  const json was = json::parse(before, nullptr, /*allow_exceptions=*/false);
  const json is = json::parse(after, nullptr, /*allow_exceptions=*/false);
  if (!was.is_object() || !is.is_object()) return Arrow(before, after);
  // What came of it may be unknown, or nothing: then it does not say what became of the members of before.
  const bool told_apart = is.contains("outcome");
  std::vector<std::string> changes = NamesIn(was, is);
  for (const auto& [key, value] : was.items()) {
    if (IsName(key)) continue;
    if (told_apart && !is.contains(key)) {
      changes.push_back(absl::StrCat(Key(key, names), " ", Value(value)));
      continue;
    }
    const std::string now = is.contains(key) ? Value(is[key]) : "none";
    if (now != Value(value)) changes.push_back(absl::StrCat(Key(key, names), " ", Value(value), " -> ", now));
  }
  for (const auto& [key, value] : is.items()) {
    if (!was.contains(key) && !IsName(key)) changes.push_back(absl::StrCat(Key(key, names), " ", Value(value)));
  }
  return absl::StrJoin(changes, ", ");
}

void PrintAudit(Session& session, const tranche::v1::ListAuditResponse& audit) {
  if (session.json()) return session.PrintJson(audit);
  const bool reasons = std::any_of(audit.entries().begin(), audit.entries().end(),
                                   [](const auto& entry) { return !entry.reason().empty(); });
  std::vector<std::string> columns = {"TIME", "ACTOR", "ACTION", "SKU", "NODE", "CHANGE"};
  if (reasons) columns.push_back("REASON");
  Table table(columns);
  for (const tranche::v1::AuditEntry& entry : audit.entries()) {
    const NodeNames names(entry.node_names().begin(), entry.node_names().end());
    std::vector<std::string> row = {TimeInMillis(entry.time()),
                                    entry.actor(),
                                    entry.action(),
                                    entry.sku_id(),
                                    Node(entry),
                                    DescribeAuditChange(entry.before(), entry.after(), names)};
    if (reasons) row.push_back(entry.reason());
    table.AddRow(std::move(row));
  }
  session.Print(table);
}

}  // namespace tranche::ctl
