// tranchectl shard list|add, and sku move

#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "client/ctl/change_view.h"
#include "client/ctl/commands.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;
using tranche::v1::MoveSkuResponse;

struct AddFlags {
  std::string name;
  std::string postgres;
  bool yes = false;
};

struct MoveFlags {
  std::string sku_id;
  std::string to;
  bool abort = false;
  bool yes = false;
};

void ListShards(Session& session) {
  const auto response = session.Admin(&AdminService::Stub::ListShards, tranche::v1::ListShardsRequest());
  if (!response.ok()) return session.FailRemotely(response.status());
  if (session.json()) return session.PrintJson(*response);
  Table table({"SHARD", "DATABASE", "ANSWERS"});
  for (const auto& shard : response->shards()) {
    table.AddRow({shard.name(), shard.database(), shard.answers() ? "yes" : "no"});
  }
  session.Print(table);
}

void Add(Session& session, const AddFlags& flags) {
  tranche::v1::AddShardRequest request;
  request.set_name(flags.name);
  request.set_postgres(flags.postgres);
  request.set_preview(!flags.yes);
  const auto response = session.Admin(&AdminService::Stub::AddShard, request, /*default_timeout=*/absl::Seconds(30));
  if (!response.ok()) return session.FailRemotely(response.status());
  if (session.json()) {
    session.PrintJson(*response);
  } else {
    session.out() << "shard " << response->shard().name() << " at " << response->shard().database() << ": "
                  << (!response->added() ? "is there already"
                      : flags.yes        ? "added"
                                         : "can be added")
                  << "\n";
  }
  if (response->added() && !flags.yes) SayHowToApply(session);
}

// "copying", "catching up".
std::string NameOf(MoveSkuResponse::Stage stage) {
  std::string name(absl::StripPrefix(MoveSkuResponse::Stage_Name(stage), "STAGE_"));
  for (char& c : name) c = c == '_' ? ' ' : absl::ascii_tolower(static_cast<unsigned char>(c));
  return name;
}

// Prints one line per stage, with what it did, when the next one begins.
class MoveProgress {
 public:
  explicit MoveProgress(Session& session) : session_(session) {}

  void Show(const MoveSkuResponse& response) {
    if (session_.json()) session_.PrintJsonLine(response);
    if (response.stage() != last_.stage()) Tell();
    last_ = response;
  }
  void Tell() {
    if (last_.stage() == MoveSkuResponse::STAGE_UNSPECIFIED || last_.stage() == MoveSkuResponse::STAGE_PREVIEW) return;
    if (last_.nothing_to_abort()) return;
    session_.err() << NameOf(last_.stage());
    if (last_.rows() > 0) session_.err() << ": " << last_.rows() << " rows";
    if (last_.stage() == MoveSkuResponse::STAGE_SELLING && last_.has_paused_for()) {
      session_.err() << ", paused for " << PausedMs() << " ms";
    }
    session_.err() << "\n";
  }
  const MoveSkuResponse& last() const { return last_; }

 private:
  int64_t PausedMs() const { return last_.paused_for().seconds() * 1000 + last_.paused_for().nanos() / 1'000'000; }

  Session& session_;
  MoveSkuResponse last_;
};

void Move(Session& session, const MoveFlags& flags) {
  tranche::v1::MoveSkuRequest request;
  request.set_sku_id(flags.sku_id);
  request.set_to(flags.to);
  request.set_abort(flags.abort);
  request.set_preview(!flags.yes);
  MoveProgress progress(session);
  const absl::Status done = session.Move(request, [&](const MoveSkuResponse& response) { progress.Show(response); });
  if (!done.ok()) {
    progress.Tell();
    return session.FailRemotely(done);
  }
  progress.Tell();
  const MoveSkuResponse& last = progress.last();
  if (last.nothing_to_abort()) {
    if (!session.json()) session.out() << flags.sku_id << ": no unfinished move to " << flags.to << "\n";
    if (!flags.yes) SayNothingWouldChange(session);
    return;
  }
  if (flags.yes) {
    if (!session.json()) session.out() << flags.sku_id << (flags.abort ? ": stays" : ": is at " + flags.to) << "\n";
    return;
  }
  if (!session.json()) {
    session.out() << flags.sku_id << ": " << Arrow(last.from_shard(), flags.abort ? last.from_shard() : flags.to)
                  << ", " << last.rows() << " units reserved\n";
  }
  if (last.from_shard() == flags.to && !flags.abort) return SayNothingWouldChange(session);
  SayHowToApply(session);
}

}  // namespace

void AddSkuMoveCommand(CLI::App* sku, Session& session) {
  auto flags = std::make_shared<MoveFlags>();
  CLI::App* move = sku->add_subcommand(
      "move", "Move a SKU to another shard while it is on sale; its sale pauses for about a second");
  AddSkuArgument(move, flags->sku_id);
  TakesNameOf(NameKind::kShard, move->add_option("--to", flags->to, "The shard; \"home\" for the first one"))
      ->required();
  move->add_flag("--abort", flags->abort, "Undo an unfinished move to that shard");
  AddYesFlag(move, flags->yes);
  move->footer(
      "After a failed move the SKU is complete on one shard, but may be paused: run the command again.\n"
      "Example:\n"
      "  tranchectl sku move tv --to hot --yes");
  move->callback([&session, flags] { Move(session, *flags); });
}

void AddShardCommands(CLI::App& app, Session& session) {
  CLI::App* shard = app.add_subcommand("shard", "The databases that SKUs are on");
  shard->require_subcommand(1);
  shard->footer("Example:\n  tranchectl shard list");
  CLI::App* list = shard->add_subcommand("list", "All shards, home first");
  list->footer("Example:\n  tranchectl shard list");
  list->callback([&session] { ListShards(session); });

  auto flags = std::make_shared<AddFlags>();
  CLI::App* add = shard->add_subcommand("add", "Add a migrated, unused database, or change a shard's address");
  add->add_option("NAME", flags->name, "1 to 32 characters of a-z 0-9 _ -")->required();
  add->add_option("--postgres", flags->postgres,
                  "Connection string for every server, without a password: each has its own credentials "
                  "(PGPASSFILE, PGSERVICEFILE, a certificate)")
      ->required();
  AddYesFlag(add, flags->yes);
  add->footer(
      "Example:\n"
      "  tranche-migrate --postgres 'host=db2 dbname=tranche user=tranche_owner'\n"
      "  tranchectl shard add hot --postgres 'host=db2 dbname=tranche user=tranche' --yes");
  add->callback([&session, flags] { Add(session, *flags); });
}

}  // namespace tranche::ctl
