// tranchectl cluster freeze|thaw|show

#include <memory>

#include "absl/strings/str_cat.h"
#include "client/ctl/change_view.h"
#include "client/ctl/commands.h"
#include "client/ctl/parse.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;
using tranche::v1::ShardSettings;

std::string FreezeOf(const ShardSettings& settings) {
  if (!settings.answers()) return "does not answer";
  return settings.frozen() ? "FROZEN" : "MOVES UNITS";
}

void ShowCluster(Session& session) {
  const auto response =
      session.Admin(&AdminService::Stub::GetClusterSettings, tranche::v1::GetClusterSettingsRequest());
  if (!response.ok()) return session.FailRemotely(response.status());
  if (session.json()) return session.PrintJson(*response);
  Table table({"SHARD", "BALANCER", "SINCE", "BY"});
  for (const ShardSettings& settings : response->shards()) {
    table.AddRow({settings.shard(), FreezeOf(settings),
                  settings.has_change_time() ? FormatTime(settings.change_time()) : "-", settings.changed_by()});
  }
  session.Print(table);
}

void SetClusterFrozen(Session& session, bool frozen, bool yes) {
  tranche::v1::SetClusterFrozenRequest request;
  request.set_frozen(frozen);
  request.set_preview(!yes);
  const auto response = session.Admin(&AdminService::Stub::SetClusterFrozen, request);
  if (!response.ok()) return session.FailRemotely(response.status());
  bool changes = false, all_answer = true;
  Table table({"SHARD", "BALANCER"});
  nlohmann::ordered_json before = nlohmann::ordered_json::array(), after = before;
  for (int i = 0; i < response->shards_size(); ++i) {
    const ShardSettings &was = response->before(i), &is = response->shards(i);
    changes |= was.frozen() != is.frozen();
    all_answer &= is.answers();
    table.AddRow({is.shard(), Arrow(FreezeOf(was), FreezeOf(is))});
    before.push_back(ToJson(was));
    after.push_back(ToJson(is));
  }
  session.json() ? PrintChangeJson(session, before, after, !yes) : session.Print(table);
  if (!yes) return changes ? SayHowToApply(session) : SayNothingWouldChange(session);
  if (all_answer) return;
  session.err() << "Not every shard answers: run it again when all do.\n";
  session.exit_code = kExitRemote;
}

}  // namespace

void AddClusterCommands(CLI::App& app, Session& session) {
  CLI::App* cluster = app.add_subcommand("cluster", "What holds for all SKUs");
  cluster->require_subcommand(1);
  cluster->footer("Example:\n  tranchectl cluster show");
  CLI::App* show = cluster->add_subcommand("show", "Whether balancers move units, for each shard");
  show->footer("Example:\n  tranchectl cluster show");
  show->callback([&session] { ShowCluster(session); });

  struct Kind {
    const char* name;
    bool frozen;
    const char* description;
    const char* note;
  };
  for (const Kind& kind : {Kind{"freeze", true, "Balancers move no units of their own; operators may still move them",
                                "Units of dead nodes still go to the pool, and nodes that run dry still take from it. "
                                "A shard that is added\n"
                                "later is not frozen. `quota freeze` is for one SKU.\n"},
                           Kind{"thaw", false, "Balancers move units again", ""}}) {
    auto yes = std::make_shared<bool>(false);
    CLI::App* command = cluster->add_subcommand(kind.name, kind.description);
    AddYesFlag(command, *yes);
    command->footer(absl::StrCat(kind.note, "Example:\n  tranchectl cluster ", kind.name, " --yes"));
    command->callback([&session, yes, frozen = kind.frozen] { SetClusterFrozen(session, frozen, *yes); });
  }
}

}  // namespace tranche::ctl
