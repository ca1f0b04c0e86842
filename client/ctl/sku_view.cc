#include "client/ctl/sku_view.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/ctl/change_view.h"
#include "client/ctl/parse.h"

namespace tranche::ctl {
namespace {

std::string State(const tranche::v1::Sku& sku) {
  switch (sku.state()) {
    case tranche::v1::SKU_STATE_OPEN:
      return "OPEN";
    case tranche::v1::SKU_STATE_CLOSED:
      return "CLOSED";
    case tranche::v1::SKU_STATE_NOT_YET:
      return "NOT_YET";
    case tranche::v1::SKU_STATE_SOLD_OUT:
      return "SOLD_OUT";
    case tranche::v1::SKU_STATE_ENDED:
      return "ENDED";
    case tranche::v1::SKU_STATE_PAUSED:
      return "PAUSED";
    default:
      return "?";
  }
}

std::string TimeOrDash(bool present, const google::protobuf::Timestamp& time) {
  return present ? FormatTime(time) : "-";
}

// How its units are divided.
std::string QuotaMode(const tranche::v1::Sku& sku) {
  return absl::StrCat(sku.on_demand() ? "ON DEMAND" : "PRESPLIT", sku.quota_frozen() ? ", FROZEN" : "");
}

// How often a hold may be extended, and for how long in total.
std::string Extensions(const tranche::v1::Sku& sku) {
  const std::string most = sku.has_max_hold() ? FormatHold(absl::Seconds(sku.max_hold().seconds())) : "";
  return absl::StrCat(sku.max_extensions(), most.empty() ? "" : ", to ", most);
}

// Also of one that is closed or over, which its state does not show.
std::string PauseOf(const tranche::v1::Sku& sku) {
  if (!sku.paused()) return "no";
  return sku.pause_reason().empty() ? "yes, without a reason" : absl::StrCat("yes: ", sku.pause_reason());
}

// What the terms are, as text for people.
std::vector<std::pair<std::string, std::string>> Terms(const tranche::v1::Sku& sku) {
  return {{"state", State(sku)},
          {"paused", PauseOf(sku)},
          {"title", sku.title()},
          {"price", FormatPrice(sku.price_minor(), sku.currency())},
          {"per user", absl::StrCat(sku.per_user_limit())},
          {"hold", FormatHold(absl::Seconds(sku.hold().seconds()))},
          {"extensions", Extensions(sku)},
          {"opens", TimeOrDash(sku.has_open_time(), sku.open_time())},
          {"closes", TimeOrDash(sku.has_close_time(), sku.close_time())},
          {"quota", QuotaMode(sku)},
          {"path", ClaimPathWord(sku.claim_path())}};
}

// Nodes of before tell none.
bool IsDirect(const tranche::v1::Sku& sku) {
  return sku.claim_path() == tranche::v1::CLAIM_PATH_DIRECT || sku.claim_path() == tranche::v1::CLAIM_PATH_UNSPECIFIED;
}

// "50", or "50 (7 overdue)": holds that should have expired. "" if they were not counted.
std::string PendingWithOverdue(const tranche::v1::Sku& sku) {
  if (!sku.has_pending()) return "";
  return absl::StrCat(sku.pending(), sku.overdue() > 0 ? absl::StrCat(" (", sku.overdue(), " overdue)") : "");
}

// "880 (50 pending, 7 overdue)", as it was before the change: nobody counts it anew for that.
std::string ReservedChange(const tranche::v1::Sku& before, const tranche::v1::Sku& after) {
  const std::string change = Arrow(before.reserved(), after.reserved());
  if (!before.has_pending() || before.reserved() == 0) return change;
  return absl::StrCat(change, " (", before.pending(), " pending",
                      before.overdue() > 0 ? absl::StrCat(", ", before.overdue(), " overdue") : "", ")");
}

std::string Confirmed(const tranche::v1::Sku& sku) { return sku.has_confirmed() ? absl::StrCat(sku.confirmed()) : ""; }

std::vector<std::string> NarrowRow(const tranche::v1::Sku& sku) {
  return {sku.sku_id(),
          State(sku),
          absl::StrCat(sku.stock()),
          PendingWithOverdue(sku),
          Confirmed(sku),
          absl::StrCat(sku.unsold()),
          FormatPrice(sku.price_minor(), sku.currency()),
          sku.shard()};
}

std::vector<std::string> WideRow(const tranche::v1::Sku& sku) {
  return {sku.sku_id(),
          State(sku),
          absl::StrCat(sku.stock()),
          absl::StrCat(sku.reserved()),
          PendingWithOverdue(sku),
          Confirmed(sku),
          absl::StrCat(sku.unsold()),
          QuotaMode(sku),
          FormatPrice(sku.price_minor(), sku.currency()),
          absl::StrCat(sku.per_user_limit()),
          FormatHold(absl::Seconds(sku.hold().seconds())),
          Extensions(sku),
          TimeOrDash(sku.has_open_time(), sku.open_time()),
          TimeOrDash(sku.has_close_time(), sku.close_time()),
          sku.shard(),
          sku.title()};
}

// By an operator: sales go on meanwhile.
bool IsChanged(const tranche::v1::Sku& before, const tranche::v1::Sku& after) {
  return before.state() != after.state() || before.stock() != after.stock() ||
         before.quota_frozen() != after.quota_frozen();
}

}  // namespace

std::string ClaimPathWord(tranche::v1::ClaimPath path) {
  switch (path) {
    case tranche::v1::CLAIM_PATH_UNSPECIFIED:
    case tranche::v1::CLAIM_PATH_DIRECT:
      return "direct";
    case tranche::v1::CLAIM_PATH_QUEUE:
      return "queue";
    case tranche::v1::CLAIM_PATH_AUTO:
      return "auto";
    default:
      return absl::StrCat("unknown (", static_cast<int>(path), ")");
  }
}

tranche::v1::ClaimPath ClaimPathNamed(const std::string& word) {
  if (word == "direct") return tranche::v1::CLAIM_PATH_DIRECT;
  if (word == "queue") return tranche::v1::CLAIM_PATH_QUEUE;
  if (word == "auto") return tranche::v1::CLAIM_PATH_AUTO;
  return tranche::v1::CLAIM_PATH_UNSPECIFIED;
}

void PrintSkus(Session& session, const std::vector<tranche::v1::Sku>& skus) {
  std::vector<std::string> columns = {"SKU", "STATE", "STOCK", "PENDING", "CONFIRMED", "UNSOLD", "PRICE", "SHARD"};
  if (session.wide()) {
    columns = {"SKU",   "STATE",    "STOCK", "RESERVED",   "PENDING", "CONFIRMED", "UNSOLD", "QUOTA",
               "PRICE", "PER USER", "HOLD",  "EXTENSIONS", "OPENS",   "CLOSES",    "SHARD",  "TITLE"};
  }
  // Most sales have none that is queued.
  const bool paths = !std::all_of(skus.begin(), skus.end(), IsDirect);
  if (paths) columns.push_back("PATH");
  Table table(columns);
  for (const tranche::v1::Sku& sku : skus) {
    std::vector<std::string> row = session.wide() ? WideRow(sku) : NarrowRow(sku);
    if (paths) row.push_back(ClaimPathWord(sku.claim_path()));
    table.AddRow(std::move(row));
  }
  session.Print(table);
}

void PrintSku(Session& session, const tranche::v1::Sku& sku) {
  if (session.json()) return session.PrintJson(sku);
  Table table({"FIELD", "VALUE"});
  table.AddRow({"sku", sku.sku_id()});
  table.AddRow({"title", sku.title()});
  table.AddRow({"state", State(sku)});
  if (sku.paused()) table.AddRow({"paused", PauseOf(sku)});
  table.AddRow({"stock", absl::StrCat(sku.stock())});
  table.AddRow({"reserved", absl::StrCat(sku.reserved())});
  if (sku.has_pending()) {
    table.AddRow({"  pending", absl::StrCat(sku.pending())});
    table.AddRow({"  overdue", absl::StrCat(sku.overdue())});
    table.AddRow({"  confirmed", absl::StrCat(sku.confirmed())});
  }
  table.AddRow({"unsold", absl::StrCat(sku.unsold())});
  table.AddRow({"quota", QuotaMode(sku)});
  table.AddRow({"price", FormatPrice(sku.price_minor(), sku.currency())});
  table.AddRow({"per user", absl::StrCat(sku.per_user_limit())});
  table.AddRow({"hold", FormatHold(absl::Seconds(sku.hold().seconds()))});
  table.AddRow({"extensions", Extensions(sku)});
  table.AddRow({"opens", TimeOrDash(sku.has_open_time(), sku.open_time())});
  table.AddRow({"closes", TimeOrDash(sku.has_close_time(), sku.close_time())});
  if (!IsDirect(sku)) table.AddRow({"path", ClaimPathWord(sku.claim_path())});
  table.AddRow({"shard", sku.shard()});
  table.AddRow({"terms version", absl::StrCat(sku.terms_version())});
  session.Print(table);
}

void PrintSkuChange(Session& session, const tranche::v1::Sku& before, const tranche::v1::Sku& after,
                    const SkuChangeNotes& notes) {
  if (session.json()) {
    PrintChangeJson(session, before, after, notes.preview, notes.more);
  } else {
    Table table({"SKU", "STATE", "STOCK", "UNSOLD", "RESERVED", "QUOTA"});
    table.AddRow({after.sku_id(), Arrow(State(before), State(after)), Arrow(before.stock(), after.stock()),
                  Arrow(before.unsold(), after.unsold()), ReservedChange(before, after),
                  Arrow(QuotaMode(before), QuotaMode(after))});
    session.Print(table);
  }
  if (!notes.preview) return;
  if (IsChanged(before, after)) return SayHowToApply(session, notes.more_flags);
  SayNothingWouldChange(session);
}

void PrintSkuTermsChange(Session& session, const tranche::v1::Sku& before, const tranche::v1::Sku& after,
                         const SkuChangeNotes& notes) {
  const auto old_terms = Terms(before), new_terms = Terms(after);
  const bool changed = old_terms != new_terms;
  if (session.json()) {
    PrintChangeJson(session, before, after, notes.preview, notes.more);
  } else {
    Table table({"FIELD", "VALUE"});
    table.AddRow({"sku", after.sku_id()});
    for (size_t i = 0; i < old_terms.size(); ++i) {
      if (old_terms[i] != new_terms[i]) {
        table.AddRow({new_terms[i].first, Arrow(old_terms[i].second, new_terms[i].second)});
      }
    }
    session.Print(table);
  }
  if (!notes.preview) return;
  changed ? SayHowToApply(session, notes.more_flags) : SayNothingWouldChange(session);
}

}  // namespace tranche::ctl
