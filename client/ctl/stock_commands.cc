// tranchectl stock add|reduce

#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "client/ctl/change_view.h"
#include "client/ctl/commands.h"
#include "client/ctl/sku_view.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;

struct StockFlags {
  std::string sku_id;
  int64_t units = 0;
  int64_t expected_stock = -1;  // -1: any stock
  bool yes = false;
};

// What keeps added units from being sold.
void WarnOfUnitsThatDoNotSell(Session& session, const tranche::v1::Sku& sku) {
  const bool over = sku.state() == tranche::v1::SKU_STATE_CLOSED || sku.state() == tranche::v1::SKU_STATE_ENDED;
  if (over) session.err() << "warning: its sale is over: the units will not be sold\n";
  if (!over && sku.paused()) {
    session.err() << "warning: its sale is paused: the units are sold after `tranchectl sku resume " << sku.sku_id()
                  << "`\n";
  }
  if (!over && sku.quota_frozen()) {
    session.err() << "warning: its quota is frozen: the units stay in the pool until `tranchectl quota thaw "
                  << sku.sku_id() << "` or quota move\n";
  }
}

template <typename Response>
void PrintChange(Session& session, const StockFlags& flags, const Response& response) {
  nlohmann::ordered_json more = nlohmann::ordered_json::object();
  if constexpr (requires { response.units_taken(); }) {
    // A string, as in protobuf's JSON.
    more["units_taken"] = absl::StrCat(response.units_taken());
    if (response.units_taken() < flags.units) {
      session.err() << "Only " << response.units_taken() << " of " << flags.units << " units are unsold.\n";
    }
  } else {
    WarnOfUnitsThatDoNotSell(session, response.sku());
  }
  PrintWarnings(session, response);
  more["warnings"] = WarningsJson(response);
  const std::string expectation = absl::StrCat("--expect-stock ", response.before().stock());
  PrintSkuChange(session, response.before(), response.sku(), {!flags.yes, expectation, more});
}

// A change is always previewed first; it is carried out only if the stock is still the one that was previewed.
template <typename Request, typename Response>
void Change(Session& session, const StockFlags& flags,
            grpc::Status (AdminService::Stub::*method)(grpc::ClientContext*, const Request&, Response*)) {
  Request request;
  request.set_sku_id(flags.sku_id);
  request.set_units(flags.units);
  request.set_preview(true);
  if (flags.expected_stock >= 0) request.set_expected_stock(flags.expected_stock);
  const auto preview = session.Admin(method, request);
  if (!preview.ok()) return session.FailRemotely(preview.status());
  if (!flags.yes) return PrintChange(session, flags, *preview);
  request.set_preview(false);
  request.set_expected_stock(preview->before().stock());
  const auto done = session.Admin(method, request);
  if (!done.ok()) return session.FailRemotely(done.status());
  PrintChange(session, flags, *done);
}

// Of one command's help.
struct HelpTexts {
  const char* description;
  const char* units;
  const char* examples;
};

template <typename Request, typename Response>
void AddChange(CLI::App* stock, Session& session, const char* name, const HelpTexts& texts,
               grpc::Status (AdminService::Stub::*method)(grpc::ClientContext*, const Request&, Response*)) {
  auto flags = std::make_shared<StockFlags>();
  CLI::App* command = stock->add_subcommand(name, texts.description);
  AddSkuArgument(command, flags->sku_id);
  command->add_option("UNITS", flags->units, texts.units)->required()->check(CLI::Range(1, 1000000000));
  AddYesFlag(command, flags->yes);
  command
      ->add_option("--expect-stock", flags->expected_stock,
                   "Refuse unless the stock is still this one, as printed by the preview")
      ->check(CLI::Range(0, 1000000000));
  command->footer(texts.examples);
  command->callback([&session, flags, method] { Change(session, *flags, method); });
}

}  // namespace

void AddStockCommands(CLI::App& app, Session& session) {
  CLI::App* stock = app.add_subcommand("stock", "Units that may ever be sold; changes are possible during the sale");
  stock->require_subcommand(1);
  stock->footer("Example:\n  tranchectl stock add tv 500 --yes");
  AddChange(stock, session, "add",
            {.description = "Add units to the pool, from where they go to the nodes",
             .units = "How many",
             .examples = "Examples:\n"
                         "  tranchectl stock add tv 500                            shows what would change\n"
                         "  tranchectl stock add tv 500 --yes --expect-stock 1000  does that, and nothing else"},
            &AdminService::Stub::AddStock);
  AddChange(stock, session, "reduce",
            {.description = "Take unsold units away, never sold ones",
             .units = "How many; as many of them are taken as are unsold",
             .examples = "Examples:\n"
                         "  tranchectl stock reduce tv 20\n"
                         "  tranchectl stock reduce tv 20 --yes -o json | jq -r .units_taken"},
            &AdminService::Stub::ReduceStock);
}

}  // namespace tranche::ctl
