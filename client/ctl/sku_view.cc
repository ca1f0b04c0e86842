#include "client/ctl/sku_view.h"

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
    default:
      return "?";
  }
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

}  // namespace

void PrintSkus(Session& session, const std::vector<tranche::v1::Sku>& skus) {
  Table table({"SKU", "STATE", "STOCK", "RESERVED", "UNSOLD", "QUOTA", "PRICE", "PER USER", "HOLD", "EXTENSIONS",
               "OPENS", "CLOSES", "TITLE"});
  for (const tranche::v1::Sku& sku : skus) {
    table.AddRow({sku.sku_id(), State(sku), absl::StrCat(sku.stock()), absl::StrCat(sku.reserved()),
                  absl::StrCat(sku.unsold()), QuotaMode(sku), FormatPrice(sku.price_minor(), sku.currency()),
                  absl::StrCat(sku.per_user_limit()), FormatHold(absl::Seconds(sku.hold().seconds())), Extensions(sku),
                  sku.has_open_time() ? FormatTime(sku.open_time()) : "-",
                  sku.has_close_time() ? FormatTime(sku.close_time()) : "-", sku.title()});
  }
  session.Print(table);
}

void PrintSku(Session& session, const tranche::v1::Sku& sku) {
  if (session.json()) {
    session.PrintJson(sku);
  } else {
    PrintSkus(session, {sku});
  }
}

void PrintSkuChange(Session& session, const tranche::v1::Sku& before, const tranche::v1::Sku& after,
                    const SkuChangeNotes& notes) {
  if (session.json()) {
    PrintChangeJson(session, before, after, notes.preview, notes.more);
  } else {
    Table table({"SKU", "STATE", "STOCK", "UNSOLD", "RESERVED", "QUOTA"});
    table.AddRow({after.sku_id(), Arrow(State(before), State(after)), Arrow(before.stock(), after.stock()),
                  Arrow(before.unsold(), after.unsold()), Arrow(before.reserved(), after.reserved()),
                  Arrow(QuotaMode(before), QuotaMode(after))});
    session.Print(table);
  }
  if (notes.preview) SayHowToApply(session, notes.more_flags);
}

}  // namespace tranche::ctl
