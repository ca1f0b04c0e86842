#include "client/ctl/group_offer_view.h"

#include <cstddef>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/ctl/change_view.h"
#include "client/ctl/parse.h"

namespace tranche::ctl {
namespace {

using tranche::v1::GroupOffer;

std::string SecondsOf(const google::protobuf::Duration& duration) {
  return FormatHold(absl::Seconds(duration.seconds()));
}

// What becomes of its groups that are not full at their deadline.
std::string AtDeadline(const GroupOffer& offer) {
  switch (offer.on_timeout()) {
    case tranche::v1::GROUP_TIMEOUT_REFUND:
      return "refund";
    case tranche::v1::GROUP_TIMEOUT_PARTIAL:
      return absl::StrCat("partial, from ", offer.min_members());
    default:
      return "?";
  }
}

std::string CloseTimeOf(const GroupOffer& offer) {
  return offer.has_close_time() ? FormatTime(offer.close_time()) : "-";
}

// By name, as text for people; the same names in the same order for every offer.
std::vector<std::pair<std::string, std::string>> TermsOfOffer(const GroupOffer& offer) {
  return {{"seats", absl::StrCat(offer.seats())},    {"price", FormatPrice(offer.price_minor(), offer.currency())},
          {"open for", SecondsOf(offer.open_for())}, {"pay within", SecondsOf(offer.pay_within())},
          {"at the deadline", AtDeadline(offer)},    {"closed", CloseTimeOf(offer)}};
}

}  // namespace

void PrintGroupOffers(Session& session, const tranche::v1::ListGroupOffersResponse& offers) {
  if (session.json()) return session.PrintJson(offers);
  std::vector<std::string> headers = {"OFFER", "SEATS", "PRICE", "OPEN FOR", "PAY WITHIN", "AT DEADLINE", "STATE"};
  if (session.wide()) headers.insert(headers.end(), {"SKU", "CREATED", "CLOSED"});
  Table table(headers);
  for (const GroupOffer& offer : offers.offers()) {
    std::vector<std::string> row = {offer.offer_id(),
                                    absl::StrCat(offer.seats()),
                                    FormatPrice(offer.price_minor(), offer.currency()),
                                    SecondsOf(offer.open_for()),
                                    SecondsOf(offer.pay_within()),
                                    AtDeadline(offer),
                                    offer.has_close_time() ? "CLOSED" : "OPEN"};
    if (session.wide()) row.insert(row.end(), {offer.sku_id(), FormatTime(offer.create_time()), CloseTimeOf(offer)});
    table.AddRow(row);
  }
  session.Print(table);
}

void PrintGroupOfferChange(Session& session, const GroupOfferChange& change) {
  if (session.json()) {
    PrintChangeJson(session, change.before.has_value() ? ToJson(*change.before) : nlohmann::ordered_json(nullptr),
                    ToJson(change.after), change.preview);
  } else {
    const auto after = TermsOfOffer(change.after);
    const auto before = change.before.has_value() ? TermsOfOffer(*change.before) : after;
    Table table({"FIELD", "VALUE"});
    table.AddRow({"sku", change.after.sku_id()});
    table.AddRow({"offer", change.after.offer_id()});
    for (size_t i = 0; i < after.size(); ++i) table.AddRow({after[i].first, Arrow(before[i].second, after[i].second)});
    session.Print(table);
  }
  if (!change.preview) return;
  const bool is_so = change.before.has_value() && change.before->has_close_time() == change.after.has_close_time();
  if (is_so) return SayNothingWouldChange(session);
  if (!change.warning.empty()) session.err() << change.warning << "\n";
  SayHowToApply(session);
}

}  // namespace tranche::ctl
