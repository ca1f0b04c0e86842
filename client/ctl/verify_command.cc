// tranchectl verify

#include <memory>

#include "client/ctl/commands.h"

namespace tranche::ctl {
namespace {

void Verify(Session& session, const std::string& sku_id) {
  tranche::v1::VerifyLedgerRequest request;
  request.set_sku_id(sku_id);
  // Reads the whole ledger.
  const auto response =
      session.Admin(&tranche::v1::AdminService::Stub::VerifyLedger, request, /*default_timeout=*/absl::Minutes(5));
  if (!response.ok()) return session.FailRemotely(response.status());
  if (session.json()) {
    session.PrintJson(*response);
  } else if (response->violations().empty()) {
    session.out() << "ok: " << response->skus_checked() << " SKUs, " << response->reservations_checked()
                  << " reservations\n";
  } else {
    Table table({"RULE", "SKU", "DETAIL"});
    for (const auto& violation : response->violations()) {
      table.AddRow({violation.rule(), violation.sku_id(), violation.detail()});
    }
    session.Print(table);
  }
  if (!response->violations().empty()) {
    session.err() << "tranchectl: the ledger breaks " << response->violations_size() << " rules; stop the sale and "
                  << "keep the database as it is\n";
    session.exit_code = kExitRemote;
  }
}

}  // namespace

void AddVerifyCommand(CLI::App& app, Session& session) {
  auto sku_id = std::make_shared<std::string>();
  CLI::App* verify =
      app.add_subcommand("verify", "Recompute the ledger's rules from scratch; exit status 2 when one is broken");
  verify->add_option("--sku", *sku_id, "Only this SKU");
  verify->footer(
      "It reads everything: once a day, and after every incident.\n"
      "Examples:\n"
      "  tranchectl verify && echo all well\n"
      "  tranchectl verify --sku tv");
  verify->callback([&session, sku_id] { Verify(session, *sku_id); });
}

}  // namespace tranche::ctl
