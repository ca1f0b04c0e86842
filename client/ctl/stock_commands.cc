// tranchectl stock add|reduce

#include <memory>

#include "client/ctl/commands.h"
#include "client/ctl/sku_view.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;

struct StockFlags {
  std::string sku_id;
  int64_t units = 0;
  bool yes = false;
};

template <typename Request, typename Response>
void Change(Session& session, const StockFlags& flags,
            grpc::Status (AdminService::Stub::*method)(grpc::ClientContext*, const Request&, Response*)) {
  tranche::v1::GetSkuRequest get;
  get.set_sku_id(flags.sku_id);
  const auto before = session.Admin(&AdminService::Stub::GetSku, get);
  if (!before.ok()) return session.FailRemotely(before.status());
  Request request;
  request.set_sku_id(flags.sku_id);
  request.set_units(flags.units);
  request.set_preview(!flags.yes);
  const auto response = session.Admin(method, request);
  if (!response.ok()) return session.FailRemotely(response.status());
  PrintSkuChange(session, before->sku(), response->sku(), !flags.yes);
  if constexpr (requires { response->units_taken(); }) {
    if (response->units_taken() < flags.units) {
      session.err() << "Only " << response->units_taken() << " of " << flags.units << " units are unsold.\n";
    }
  }
}

template <typename Request, typename Response>
void AddChange(CLI::App* stock, Session& session, const char* name, const char* description, const char* example,
               grpc::Status (AdminService::Stub::*method)(grpc::ClientContext*, const Request&, Response*)) {
  auto flags = std::make_shared<StockFlags>();
  CLI::App* command = stock->add_subcommand(name, description);
  command->add_option("SKU", flags->sku_id)->required();
  command->add_option("UNITS", flags->units, "How many; reduce takes as many of them as are unsold")
      ->required()
      ->check(CLI::Range(1, 1000000000));
  AddYesFlag(command, flags->yes);
  command->footer(example);
  command->callback([&session, flags, method] { Change(session, *flags, method); });
}

}  // namespace

void AddStockCommands(CLI::App& app, Session& session) {
  CLI::App* stock = app.add_subcommand("stock", "Units that may ever be sold; changes are possible during the sale");
  stock->require_subcommand(1);
  AddChange(stock, session, "add", "Add units; the balancer hands them to the nodes",
            "Example: the warehouse found 500 more\n  tranchectl stock add tv 500\n  tranchectl stock add tv 500 --yes",
            &AdminService::Stub::AddStock);
  AddChange(stock, session, "reduce", "Take unsold units away, never sold ones",
            "Example:\n  tranchectl stock reduce tv 20 --yes", &AdminService::Stub::ReduceStock);
}

}  // namespace tranche::ctl
