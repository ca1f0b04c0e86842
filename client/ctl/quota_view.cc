#include "client/ctl/quota_view.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/ctl/change_view.h"
#include "client/ctl/parse.h"

namespace tranche::ctl {
namespace {

// Names of nodes that several incarnations have.
class Names {
 public:
  explicit Names(const tranche::v1::Quota& quota) {
    for (const tranche::v1::Slice& slice : quota.slices()) ++count_[slice.node_name()];
  }
  // Tells two of one name apart.
  std::string Of(const tranche::v1::Slice& slice) const {
    if (slice.incarnation() == 0) return "(pool)";
    const auto count = count_.find(slice.node_name());
    const bool unique = !slice.node_name().empty() && count != count_.end() && count->second == 1;
    return unique ? slice.node_name() : absl::StrCat(slice.node_name(), "#", slice.incarnation());
  }

 private:
  std::map<std::string, int> count_;
};

std::string Incarnation(int64_t incarnation) { return incarnation == 0 ? "-" : absl::StrCat(incarnation); }

// A node that has not heard of the last move uses an older version.
std::string Announced(const tranche::v1::Slice& slice) {
  if (slice.announced_version() >= slice.version()) return absl::StrCat(slice.announced_version());
  return slice.announced_version() == 0 ? "none LAGS" : absl::StrCat(slice.announced_version(), " LAGS");
}

std::string ReportAge(const tranche::v1::NodeReport& report) {
  const absl::Duration age = absl::Seconds(report.age().seconds()) + absl::Nanoseconds(report.age().nanos());
  return absl::StrCat(FormatAge(age), report.cannot_commit() ? " NO LEDGER" : "");
}

std::string Rate(double per_s) { return absl::StrFormat("%.1f", per_s); }

std::vector<std::string> WideRow(const Names& names, const tranche::v1::Slice& slice) {
  std::vector<std::string> row = {names.Of(slice), Incarnation(slice.incarnation())};
  if (slice.incarnation() == 0) {
    // The pool sells nothing, and nothing is announced to it.
    row.insert(row.end(), {"-", "-", absl::StrCat(slice.remaining()), "-", "-", "-", "-", "-", "-",
                           absl::StrCat(slice.version()), "-", "-"});
    return row;
  }
  row.insert(row.end(), {absl::StrCat(slice.allotted()), absl::StrCat(slice.allotted() - slice.remaining()),
                         absl::StrCat(slice.remaining())});
  if (slice.report().has_activity()) {
    const tranche::v1::NodeReport::Activity& activity = slice.report().activity();
    row.insert(row.end(),
               {absl::StrCat(activity.free()), absl::StrCat(activity.in_flight()), absl::StrCat(activity.waiting()),
                Rate(activity.grants_per_s()), Rate(activity.denials_per_s()), Rate(activity.refused_per_s())});
  } else {
    row.insert(row.end(), 6, "-");
  }
  row.insert(row.end(),
             {absl::StrCat(slice.version()), Announced(slice), slice.has_report() ? ReportAge(slice.report()) : "-"});
  return row;
}

std::vector<std::string> NarrowRow(const Names& names, const tranche::v1::Slice& slice) {
  std::vector<std::string> row = {names.Of(slice), absl::StrCat(slice.remaining())};
  if (slice.incarnation() == 0 || !slice.report().has_activity()) {
    row.insert(row.end(), 4, "-");
  } else {
    const tranche::v1::NodeReport::Activity& activity = slice.report().activity();
    row.insert(row.end(), {absl::StrCat(activity.free()), Rate(activity.grants_per_s()), Rate(activity.denials_per_s()),
                           Rate(activity.refused_per_s())});
  }
  const bool lags = slice.incarnation() != 0 && slice.announced_version() < slice.version();
  row.push_back(absl::StrCat(slice.has_report() ? ReportAge(slice.report()) : "-", lags ? " LAGS" : ""));
  return row;
}

// A holder may be on one side of a change only.
struct QuotaChangeRow {
  std::string name;
  int64_t before = 0;
  int64_t after = 0;
};

}  // namespace

void PrintQuota(Session& session, const tranche::v1::Quota& quota, JsonForm form) {
  if (session.json()) {
    if (form == JsonForm::kIndented) return session.PrintJson(quota);
    session.out() << ToJson(quota).dump() << "\n";
    return;
  }
  Table table(
      session.wide()
          ? std::vector<std::string>{"HOLDER", "INCARNATION", "ALLOTTED", "SPENT", "REMAINING", "FREE", "IN FLIGHT",
                                     "WAITING", "GRANTS/S", "DENIALS/S", "REFUSED/S", "VERSION", "ANNOUNCED", "REPORT"}
          : std::vector<std::string>{"HOLDER", "REMAINING", "FREE", "GRANTS/S", "DENIALS/S", "REFUSED/S", "REPORT"});
  const Names names(quota);
  int64_t unsold = 0;
  for (const tranche::v1::Slice& slice : quota.slices()) {
    unsold += slice.remaining();
    table.AddRow(session.wide() ? WideRow(names, slice) : NarrowRow(names, slice));
  }
  session.out() << quota.sku_id() << ": " << unsold << " unsold, quota version " << quota.quota_version()
                << (quota.on_demand() ? ", on demand" : ", presplit") << (quota.quota_frozen() ? ", FROZEN" : "")
                << "\n";
  session.Print(table);
}

void PrintQuotaChange(Session& session, const tranche::v1::Quota& before, const tranche::v1::Quota& after, bool preview,
                      const nlohmann::ordered_json& more) {
  std::map<int64_t, QuotaChangeRow> rows;
  const Names names_before(before), names_after(after);
  for (const tranche::v1::Slice& slice : before.slices()) {
    rows[slice.incarnation()] = {names_before.Of(slice), slice.remaining(), 0};
  }
  for (const tranche::v1::Slice& slice : after.slices()) {
    QuotaChangeRow& row = rows[slice.incarnation()];
    row.name = names_after.Of(slice);
    row.after = slice.remaining();
  }
  if (session.json()) {
    PrintChangeJson(session, before, after, preview, more);
  } else {
    Table table({"HOLDER", "INCARNATION", "REMAINING"});
    for (const auto& [incarnation, row] : rows) {
      table.AddRow({row.name, Incarnation(incarnation), Arrow(row.before, row.after)});
    }
    session.Print(table);
  }
  if (!preview) return;
  const bool changes =
      std::any_of(rows.begin(), rows.end(), [](const auto& row) { return row.second.before != row.second.after; });
  if (!changes) return SayNothingWouldChange(session);
  SayHowToApply(session, absl::StrCat("--expect-version ", before.quota_version()));
}

}  // namespace tranche::ctl
