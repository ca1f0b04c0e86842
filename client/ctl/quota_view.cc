#include "client/ctl/quota_view.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "client/ctl/change_view.h"

namespace tranche::ctl {
namespace {

std::string Holder(const tranche::v1::Slice& slice) { return slice.incarnation() == 0 ? "(pool)" : slice.node_name(); }

std::string Incarnation(int64_t incarnation) { return incarnation == 0 ? "-" : absl::StrCat(incarnation); }

}  // namespace

void PrintQuota(Session& session, const tranche::v1::Quota& quota) {
  if (session.json()) return session.PrintJson(quota);
  Table table({"HOLDER", "INCARNATION", "REMAINING", "ALLOTTED", "SPENT", "VERSION", "ANNOUNCED"});
  int64_t unsold = 0;
  for (const tranche::v1::Slice& slice : quota.slices()) {
    const bool pool = slice.incarnation() == 0;
    unsold += slice.remaining();
    table.AddRow({Holder(slice), Incarnation(slice.incarnation()), absl::StrCat(slice.remaining()),
                  pool ? "-" : absl::StrCat(slice.allotted()),
                  pool ? "-" : absl::StrCat(slice.allotted() - slice.remaining()), absl::StrCat(slice.version()),
                  pool ? "-" : absl::StrCat(slice.announced_version())});
  }
  session.out() << quota.sku_id() << ": " << unsold << " unsold, quota version " << quota.quota_version() << "\n";
  session.Print(table);
}

void PrintQuotaChange(Session& session, const tranche::v1::Quota& before, const tranche::v1::Quota& after,
                      bool preview) {
  if (session.json()) {
    PrintChangeJson(session, before, after, preview);
  } else {
    // A holder may be on one side only.
    struct Row {
      std::string name;
      int64_t before = 0;
      int64_t after = 0;
    };
    std::map<int64_t, Row> rows;
    for (const tranche::v1::Slice& slice : before.slices()) {
      rows[slice.incarnation()] = {Holder(slice), slice.remaining(), 0};
    }
    for (const tranche::v1::Slice& slice : after.slices()) {
      Row& row = rows[slice.incarnation()];
      row.name = Holder(slice);
      row.after = slice.remaining();
    }
    Table table({"HOLDER", "INCARNATION", "REMAINING"});
    for (const auto& [incarnation, row] : rows) {
      table.AddRow({row.name, Incarnation(incarnation), Arrow(row.before, row.after)});
    }
    session.Print(table);
  }
  if (preview) SayHowToApply(session, absl::StrCat("--expect-version ", before.quota_version()));
}

}  // namespace tranche::ctl
