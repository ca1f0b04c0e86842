// tranchectl door test

#include <memory>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "client/ctl/commands.h"
#include "client/ctl/door_view.h"
#include "client/ctl/risk_arguments.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;

struct DoorTestFlags {
  std::string sku_id;
  std::string user_id;
  std::string address;
  std::string token;
  BuyerFlags buyer;
  bool without_scripts = false;
};

void TestDoor(Session& session, const DoorTestFlags& flags) {
  tranche::v1::ExplainAdmissionRequest request;
  request.set_sku_id(flags.sku_id);
  request.set_user_id(flags.user_id);
  request.set_address(flags.address);
  request.set_purchase_token(flags.token);
  request.set_without_scripts(flags.without_scripts);
  auto hints = HintsOf(flags.buyer, absl::Now());
  if (!hints.ok()) return session.FailLocally(hints.status().message());
  // Without any, the message stays absent: a rule's no_hints asks for that.
  if (SaysAnything(flags.buyer)) *request.mutable_hints() = *std::move(hints);
  const auto opinion = session.Admin(&AdminService::Stub::ExplainAdmission, request);
  if (!opinion.ok()) return session.FailRemotely(opinion.status());
  PrintAdmission(session, *opinion);
  if (WantsToken(*opinion))
    session.err() << "A claim needs a purchase token, which EnterSale gives; --token tests one.\n";
  if (LetsIn(*opinion)) return;
  session.err() << flags.user_id << " would not be let in.\n";
  session.exit_code = kExitNotLetIn;
}

// What a shop would say of the buyer with EnterSale.
void AddBuyerFlags(CLI::App* test, DoorTestFlags& flags) {
  test->add_option("--risk-score", flags.buyer.risk_score,
                   "The shop's score of them, 0 to 100. The scorer is not asked: give what it would say here");
  test->add_option("--account-age", flags.buyer.account_age, "How long they have their account, such as 3d or 90m");
  test->add_option("--orders", flags.buyer.orders, "So many orders they have paid before");
  test->add_option("--label", flags.buyer.labels, "What the shop calls them, such as vip; once for each label")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
  test->add_flag("--without-scripts", flags.without_scripts, "Their browser runs no scripts");
}

}  // namespace

void AddDoorTestCommand(CLI::App* door, Session& session) {
  auto flags = std::make_shared<DoorTestFlags>();
  CLI::App* test = door->add_subcommand("test", "What the front door would say to a buyer, check by check");
  TakesNameOf(NameKind::kSku, test->add_option("--sku", flags->sku_id, "What they want to buy"))->required();
  test->add_option("--user", flags->user_id, "The buyer")->required();
  test->add_option("--address", flags->address, "From where they come; without it, no limit counts it");
  test->add_option("--token", flags->token, "Their purchase token; without it, the rest is tested");
  AddBuyerFlags(test, *flags);
  test->footer(
      "It counts no try and changes nothing. The node that answers says it of itself: limits, and the tries of a\n"
      "network that were refused, are counted at each node.\n"
      "A purchase token that is asked for and was not given is shown as such, and does not count as a refusal.\n"
      "Exit status: 0 the buyer passes, or waits a moment; 1 a check refuses (or wrong usage); 2 no answer.\n"
      "Examples:\n"
      "  tranchectl door test --sku tv --user alice --address 203.0.113.7\n"
      "  tranchectl door test --sku tv --user alice --account-age 3d --orders 0 --label vip   their tier\n"
      "  tranchectl door test --sku tv --user alice -o json | jq -r '.checks[] | select(.reason != \"\")'");
  test->callback([&session, flags] { TestDoor(session, *flags); });
}

}  // namespace tranche::ctl
