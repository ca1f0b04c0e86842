// tranchectl group offer create|list|close

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/ctl/commands.h"
#include "client/ctl/group_offer_view.h"
#include "client/ctl/parse.h"
#include "storage/base/status_macros.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;
using tranche::v1::GroupOffer;
using tranche::v1::GroupService;

constexpr char kOfferRefund[] = "refund";
constexpr char kOfferPartial[] = "partial";
constexpr char kClosesForGood[] =
    "Nobody opens a group with it any more, for good. Groups that form go on: `tranchectl group list` shows them.";

struct GroupOfferFlags {
  std::string sku_id;
  std::string offer_id;
  int32_t seats = 0;
  std::string price;
  std::string open_for;
  std::string pay_within = "15m";
  std::string on_timeout = kOfferRefund;
  int32_t min_members = 0;  // 0: not given
  bool yes = false;
};

absl::Status SetOfferTime(const char* flag, const std::string& text, google::protobuf::Duration* time) {
  ASSIGN_OR_RETURN(const int64_t seconds, OfFlag(flag, ParseWholeSeconds(text)));
  time->set_seconds(seconds);
  return absl::OkStatus();
}

// `currency`: the SKU's.
absl::StatusOr<GroupOffer> OfferMeant(const GroupOfferFlags& flags, const std::string& currency) {
  GroupOffer offer;
  offer.set_sku_id(flags.sku_id);
  offer.set_offer_id(flags.offer_id);
  offer.set_seats(flags.seats);
  ASSIGN_OR_RETURN(const int64_t price, OfFlag("--price", ParsePriceMinor(flags.price, currency)));
  offer.set_price_minor(price);
  RETURN_IF_ERROR(SetOfferTime("--open-for", flags.open_for, offer.mutable_open_for()));
  RETURN_IF_ERROR(SetOfferTime("--pay-within", flags.pay_within, offer.mutable_pay_within()));
  const bool partial = flags.on_timeout == kOfferPartial;
  if (partial != (flags.min_members > 0)) {
    return absl::InvalidArgumentError(partial ? "--on-timeout partial needs --min-members: how many must have paid"
                                              : "--min-members goes with --on-timeout partial");
  }
  offer.set_on_timeout(partial ? tranche::v1::GROUP_TIMEOUT_PARTIAL : tranche::v1::GROUP_TIMEOUT_REFUND);
  offer.set_min_members(flags.min_members);
  return offer;
}

// nullopt: the SKU has no offer of this name.
absl::StatusOr<std::optional<GroupOffer>> FindGroupOffer(Session& session, const std::string& sku_id,
                                                         const std::string& offer_id) {
  tranche::v1::ListGroupOffersRequest request;
  request.set_sku_id(sku_id);
  ASSIGN_OR_RETURN(const auto offers, session.Groups(&GroupService::Stub::ListGroupOffers, request));
  for (const GroupOffer& offer : offers.offers()) {
    if (offer.offer_id() == offer_id) return std::optional<GroupOffer>(offer);
  }
  return std::optional<GroupOffer>();
}

void CreateGroupOffer(Session& session, const GroupOfferFlags& flags) {
  tranche::v1::GetSkuRequest get;
  get.set_sku_id(flags.sku_id);
  const auto sku = session.Admin(&AdminService::Stub::GetSku, get);
  if (!sku.ok()) return session.FailRemotely(sku.status());
  const absl::StatusOr<GroupOffer> offer = OfferMeant(flags, sku->sku().currency());
  if (!offer.ok()) return session.FailLocally(offer.status().message());
  const auto before = FindGroupOffer(session, flags.sku_id, flags.offer_id);
  if (!before.ok()) return session.FailRemotely(before.status());
  tranche::v1::CreateGroupOfferRequest request;
  *request.mutable_offer() = *offer;
  request.set_preview(!flags.yes);
  const auto created = session.Admin(&AdminService::Stub::CreateGroupOffer, request);
  if (!created.ok()) return session.FailRemotely(created.status());
  if (offer->price_minor() >= sku->sku().price_minor()) {
    session.err() << "warning: alone, a unit costs " << FormatPrice(sku->sku().price_minor(), sku->sku().currency())
                  << ": the group's price is not lower\n";
  }
  PrintGroupOfferChange(session, {.before = *before,
                                  .after = created->offer(),
                                  .preview = !flags.yes,
                                  .warning = "An offer never changes: it can only be closed."});
}

void ListGroupOffers(Session& session, const std::string& sku_id) {
  tranche::v1::ListGroupOffersRequest request;
  request.set_sku_id(sku_id);
  const auto offers = session.Groups(&GroupService::Stub::ListGroupOffers, request);
  if (!offers.ok()) return session.FailRemotely(offers.status());
  if (offers->offers().empty() && !session.SkuExists(sku_id)) return;
  PrintGroupOffers(session, *offers);
  if (!offers->offers().empty()) return;
  session.err() << sku_id << " is not offered to groups: `tranchectl group offer create " << sku_id << " OFFER`\n";
}

void CloseGroupOffer(Session& session, const std::string& sku_id, const std::string& offer_id, bool yes) {
  const auto before = FindGroupOffer(session, sku_id, offer_id);
  if (!before.ok()) return session.FailRemotely(before.status());
  tranche::v1::CloseGroupOfferRequest request;
  request.set_sku_id(sku_id);
  request.set_offer_id(offer_id);
  request.set_preview(!yes);
  const auto closed = session.Admin(&AdminService::Stub::CloseGroupOffer, request);
  if (!closed.ok()) return session.FailRemotely(closed.status());
  PrintGroupOfferChange(session,
                        {.before = *before, .after = closed->offer(), .preview = !yes, .warning = kClosesForGood});
}

void AddGroupOfferCreate(CLI::App* offer, Session& session) {
  auto flags = std::make_shared<GroupOfferFlags>();
  CLI::App* create = offer->add_subcommand("create", "Let buyers open groups, at a price of their own");
  AddSkuArgument(create, flags->sku_id);
  create->add_option("OFFER", flags->offer_id, "Its name: 1 to 64 letters, digits and . _ -")->required();
  create->add_option("--seats", flags->seats, "So many who have paid make a group full")
      ->required()
      ->check(CLI::Range(2, 100));
  create->add_option("--price", flags->price, "For each unit, in the SKU's currency, such as 399.00")->required();
  create->add_option("--open-for", flags->open_for, "How long a group may form, such as 24h; at most 168h")->required();
  create
      ->add_option("--pay-within", flags->pay_within,
                   "How long a member's units are held for the payment; never past the group's deadline")
      ->capture_default_str();
  TakesOneOf(create->add_option("--on-timeout", flags->on_timeout,
                                "At the deadline of a group that is not full, refund who has paid, or sell to them"),
             {kOfferRefund, kOfferPartial})
      ->capture_default_str();
  create->add_option("--min-members", flags->min_members, "With partial: with fewer who have paid, they are refunded")
      ->check(CLI::Range(1, 100));
  AddYesFlag(create, flags->yes);
  create->footer(
      "Whoever joins a group holds units and has a time to pay. The payment takes a seat, and the payment for the "
      "last\n"
      "seat sells to all members at once; until then nobody has bought anything. An offer never changes: close it, "
      "and\n"
      "make another. Repeating it with the same values is harmless. docs/groups.md says more.\n"
      "Examples:\n"
      "  tranchectl group offer create ps5 trio --seats 3 --price 399.00 --open-for 24h        a preview\n"
      "  tranchectl group offer create ps5 trio --seats 3 --price 399.00 --open-for 24h --pay-within 15m --yes\n"
      "  tranchectl group offer create ps5 club --seats 20 --price 349.00 --open-for 72h \\\n"
      "    --on-timeout partial --min-members 10 --yes");
  create->callback([&session, flags] { CreateGroupOffer(session, *flags); });
}

void AddGroupOfferList(CLI::App* offer, Session& session) {
  auto sku_id = std::make_shared<std::string>();
  CLI::App* list = offer->add_subcommand("list", "What groups a SKU is offered in, also those that are closed");
  AddSkuArgument(list, *sku_id);
  list->footer(
      "Examples:\n"
      "  tranchectl group offer list ps5\n"
      "  tranchectl group offer list ps5 -o wide    also since when");
  list->callback([&session, sku_id] { ListGroupOffers(session, *sku_id); });
}

void AddGroupOfferClose(CLI::App* offer, Session& session) {
  auto sku_id = std::make_shared<std::string>();
  auto offer_id = std::make_shared<std::string>();
  auto yes = std::make_shared<bool>(false);
  CLI::App* close = offer->add_subcommand("close", "Let nobody open groups with it any more; those that form go on");
  AddSkuArgument(close, *sku_id);
  close->add_option("OFFER", *offer_id, "Its name, as in `tranchectl group offer list SKU`")->required();
  AddYesFlag(close, *yes);
  close->footer(
      "A closed offer is not opened again. `tranchectl group cancel` ends a group that forms.\n"
      "Example:\n  tranchectl group offer close ps5 trio --yes");
  close->callback([&session, sku_id, offer_id, yes] { CloseGroupOffer(session, *sku_id, *offer_id, *yes); });
}

}  // namespace

void AddGroupOfferCommands(CLI::App* group, Session& session) {
  CLI::App* offer = group->add_subcommand("offer", "What groups a SKU is offered in: seats, price, times");
  offer->require_subcommand(1);
  offer->footer(
      "Example:\n"
      "  tranchectl group offer create ps5 trio --seats 3 --price 399.00 --open-for 24h --yes");
  AddGroupOfferCreate(offer, session);
  AddGroupOfferList(offer, session);
  AddGroupOfferClose(offer, session);
}

}  // namespace tranche::ctl
