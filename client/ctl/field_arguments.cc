#include "client/ctl/field_arguments.h"

#include "absl/strings/match.h"

namespace tranche::ctl {
namespace {

constexpr FieldArgument kArguments[] = {
    {"address", "--address"},
    {"amount_minor", "--amount"},
    {"buyer_address", "--buyer-address"},
    {"claim_path", "--path"},
    {"close_time", "--closes-at"},
    {"currency", "--currency"},
    {"draw_number", "--number"},
    {"expected_current_id", "--expect-current"},
    {"expected_number", "--expect-number"},
    {"expected_quota_version", "--expect-version"},
    {"expected_stock", "--expect-stock"},
    {"expected_terms_version", "--expect-version"},
    {"expected_version", "--expect-version"},
    {"extend_by", "--by"},
    {"extension", "--extension"},
    {"from", "--from"},
    {"group_id", "GROUP_ID"},
    {"hints.account_create_time", "--account-age"},
    {"hints.earlier_orders", "--orders"},
    {"hints.risk_score", "--risk-score"},
    {"hold", "--hold"},
    {"key.reservation_id", "MESSAGE"},
    {"key.revision", "MESSAGE"},
    {"key.sink", "--sink"},
    {"max_extensions", "--max-extensions"},
    {"max_hold", "--max-hold"},
    {"message_ids", "ID"},
    {"offer.min_members", "--min-members"},
    {"offer.offer_id", "OFFER"},
    {"offer.on_timeout", "--on-timeout"},
    {"offer.open_for", "--open-for"},
    {"offer.pay_within", "--pay-within"},
    {"offer.price_minor", "--price"},
    {"offer.seats", "--seats"},
    {"offer.sku_id", "SKU"},
    {"offer_id", "OFFER"},
    {"open_time", "--opens-at"},
    {"order_reference", "--order-reference"},
    {"payment_reference", "--payment"},
    {"per_user_limit", "--per-user-limit"},
    {"policy", "--policy"},
    {"postgres", "--postgres"},
    {"price_minor", "--price"},
    {"public_source", "--public-source"},
    {"purchase_token", "--token"},
    {"queue", "--queue"},
    {"reason", "--reason"},
    {"remaining", "UNITS"},
    {"reservation_id", "ID"},
    {"seed", "--seed-file"},
    {"seed_commitment", "--seed-commitment"},
    {"sink", "--sink"},
    {"sku.claim_path", "--path"},
    {"sku.close_time", "--closes-at"},
    {"sku.currency", "--currency"},
    {"sku.hold", "--hold"},
    {"sku.max_extensions", "--max-extensions"},
    {"sku.max_hold", "--max-hold"},
    {"sku.open_time", "--opens-at"},
    {"sku.pause_reason", "--reason"},
    {"sku.per_user_limit", "--per-user-limit"},
    {"sku.price_minor", "--price"},
    {"sku.slots_per_slice", "--slots"},
    {"sku.stock", "--stock"},
    {"sku.title", "--title"},
    {"states", "--state"},
    {"title", "--title"},
    {"to", "--to"},
    {"units", "UNITS"},
    {"user_id", "--user"},
    {"weights", "--weight"},
    {"winners", "--winners"},
};

}  // namespace

absl::Span<const FieldArgument> FieldArguments() { return kArguments; }

std::string ArgumentOf(absl::string_view field) {
  // Each line of a cart is one argument, but they have one token: "lines[2].quantity", "lines[0].purchase_token".
  if (absl::StartsWith(field, "lines")) return absl::EndsWith(field, ".purchase_token") ? "--purchase-token" : "LINE";
  if (absl::StartsWith(field, "hints.labels")) return "--label";
  for (const FieldArgument& known : kArguments) {
    if (known.field == field) return std::string(known.argument);
  }
  return "";
}

}  // namespace tranche::ctl
