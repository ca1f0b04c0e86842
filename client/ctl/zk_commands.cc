// tranchectl zk dump

#include <memory>

#include "absl/strings/str_cat.h"
#include "client/ctl/commands.h"

namespace tranche::ctl {
namespace {

void Dump(Session& session, const std::string& path) {
  tranche::v1::DumpCoordinationRequest request;
  request.set_path(path);
  tranche::v1::DumpCoordinationResponse all;
  do {
    const auto page = session.Admin(&tranche::v1::AdminService::Stub::DumpCoordination, request);
    if (!page.ok()) return session.FailRemotely(page.status());
    all.mutable_znodes()->MergeFrom(page->znodes());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  if (session.json()) return session.PrintJson(all);
  Table table({"ZNODE", "VERSION", "KIND", "PAYLOAD"});
  for (const auto& znode : all.znodes()) {
    table.AddRow(
        {znode.path(), absl::StrCat(znode.version()), znode.ephemeral() ? "ephemeral" : "persistent", znode.payload()});
  }
  session.Print(table);
}

}  // namespace

void AddZkCommands(CLI::App& app, Session& session) {
  CLI::App* zk = app.add_subcommand("zk", "The coordination tree in ZooKeeper");
  zk->require_subcommand(1);
  auto path = std::make_shared<std::string>();
  CLI::App* dump = zk->add_subcommand("dump", "All znodes with their payloads as JSON");
  dump->add_option("PATH", *path, "Only below this path, such as /slices; default: everything");
  dump->callback([&session, path] { Dump(session, *path); });
}

}  // namespace tranche::ctl
