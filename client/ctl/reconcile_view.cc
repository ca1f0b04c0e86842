#include "client/ctl/reconcile_view.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"

namespace tranche::ctl {
namespace {

using reconcile::DifferenceClass;
using reconcile::Sum;
using reconcile::Totals;

std::string AmountsText(const Sum& sum) {
  std::vector<std::string> parts;
  for (const auto& [currency, minor] : sum.amounts) {
    parts.push_back(absl::StrCat(reconcile::FormatAmount(minor, currency), " ", currency.text()));
  }
  return parts.empty() ? "-" : absl::StrJoin(parts, ", ");
}

void AddRow(Table* table, const std::string& name, const Sum& sum) {
  table->AddRow({name, absl::StrCat(sum.count), absl::StrCat(sum.units), AmountsText(sum)});
}

std::string TimeText(int64_t time_us) {
  return absl::FormatTime(absl::RFC3339_full, absl::FromUnixMicros(time_us), absl::UTCTimeZone());
}

nlohmann::ordered_json SumJson(const Sum& sum) {
  nlohmann::ordered_json amounts = nlohmann::ordered_json::object();
  for (const auto& [currency, minor] : sum.amounts) amounts[std::string(currency.text())] = reconcile::ToText(minor);
  return {{"count", absl::StrCat(sum.count)}, {"units", absl::StrCat(sum.units)}, {"amounts_minor", amounts}};
}

}  // namespace

void PrintReconcileTotals(Session& session, const Totals& totals) {
  Table sides({"SIDE", "COUNT", "UNITS", "AMOUNT"});
  AddRow(&sides, "statement: charges", totals.charges);
  AddRow(&sides, "statement: refunds", totals.refunds);
  AddRow(&sides, "ledger: payments", totals.payments);
  AddRow(&sides, "ledger: paid back", totals.paid_back);
  session.Print(sides);
  session.out() << "from " << TimeText(totals.window.from_us) << " to " << TimeText(totals.window.to_us);
  if (totals.lines_outside_window > 0) session.out() << "; " << totals.lines_outside_window << " lines outside of it";
  session.out() << "\n";
  if (totals.clean()) {
    session.out() << "ok: no differences\n";
    return;
  }
  Table differences({"DIFFERENCE", "COUNT", "UNITS", "AMOUNT"});
  for (int i = 0; i < reconcile::kDifferenceClasses; ++i) {
    const Sum& sum = totals.differences[static_cast<size_t>(i)];
    if (sum.count > 0) AddRow(&differences, std::string(NameOf(static_cast<DifferenceClass>(i))), sum);
  }
  for (size_t i = 0; i < totals.malformed.size(); ++i) {
    if (totals.malformed[i] == 0) continue;
    differences.AddRow(
        {std::string(NameOf(static_cast<reconcile::Malformed>(i))), absl::StrCat(totals.malformed[i]), "-", "-"});
  }
  session.out() << "\n";
  session.Print(differences);
}

nlohmann::ordered_json ReconcileTotalsJson(const Totals& totals) {
  nlohmann::ordered_json differences = nlohmann::ordered_json::object();
  for (int i = 0; i < reconcile::kDifferenceClasses; ++i) {
    const Sum& sum = totals.differences[static_cast<size_t>(i)];
    if (sum.count > 0) differences[std::string(NameOf(static_cast<DifferenceClass>(i)))] = SumJson(sum);
  }
  nlohmann::ordered_json malformed = nlohmann::ordered_json::object();
  for (size_t i = 0; i < totals.malformed.size(); ++i) {
    if (totals.malformed[i] == 0) continue;
    malformed[std::string(NameOf(static_cast<reconcile::Malformed>(i)))] = absl::StrCat(totals.malformed[i]);
  }
  return {
      {"clean", totals.clean()},
      {"from_time", TimeText(totals.window.from_us)},
      {"to_time", TimeText(totals.window.to_us)},
      {"statement",
       {{"charges", SumJson(totals.charges)},
        {"refunds", SumJson(totals.refunds)},
        {"lines_outside_window", absl::StrCat(totals.lines_outside_window)},
        {"malformed_lines", absl::StrCat(totals.malformed_lines)}}},
      {"ledger", {{"payments", SumJson(totals.payments)}, {"paid_back", SumJson(totals.paid_back)}}},
      {"differences", differences},
      {"malformed", malformed},
      {"correctable", absl::StrCat(totals.correctable)},
  };
}

}  // namespace tranche::ctl
