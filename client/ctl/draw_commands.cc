// tranchectl draw create|show|list|entry|export|new-seed; the steps of a draw are in draw_step_commands.cc

#include <cstdint>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/ctl/commands.h"
#include "client/ctl/draw_calls.h"
#include "client/ctl/draw_export.h"
#include "client/ctl/draw_seed.h"
#include "client/ctl/draw_view.h"
#include "client/ctl/parse.h"
#include "client/ctl/secret_writer.h"
#include "storage/base/status_macros.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;
using tranche::v1::FrontDoorService;

constexpr absl::Duration kBetweenExportLines = absl::Seconds(10);
// Of a page of an export: a slow one is not asked for again at every other node.
constexpr absl::Duration kExportPatience = absl::Seconds(30);

struct DrawCreateFlags {
  std::string sku_id;
  int32_t winners = 0;
  int32_t quantity = 1;
  std::string seed_commitment;
  std::string seed_file;
  std::string public_source;
  int64_t expected_number = 0;  // 0: that of the preview
  bool yes = false;
};

// Of a seed in a file, only its SHA-256 is sent.
absl::StatusOr<tranche::v1::CreateDrawRequest> DrawMeant(const DrawCreateFlags& flags) {
  tranche::v1::CreateDrawRequest request;
  request.set_sku_id(flags.sku_id);
  request.set_winners(flags.winners);
  request.set_quantity(flags.quantity);
  request.set_public_source(flags.public_source);
  if (!flags.seed_commitment.empty()) {
    ASSIGN_OR_RETURN(const std::string commitment, OfFlag("--seed-commitment", ParseCommitment(flags.seed_commitment)));
    request.set_seed_commitment(commitment);
  }
  if (!flags.seed_file.empty()) {
    ASSIGN_OR_RETURN(const std::string seed, OfFlag("--seed-file", ReadSeedFile(flags.seed_file)));
    request.set_seed_commitment(CommitmentOf(seed));
  }
  const int sources = (flags.seed_commitment.empty() ? 0 : 1) + (flags.seed_file.empty() ? 0 : 1) +
                      (flags.public_source.empty() ? 0 : 1);
  if (sources == 1) return request;
  return absl::InvalidArgumentError(
      "say where the seed will come from, in one way: --public-source, --seed-file or --seed-commitment");
}

// Previewed first. The number is that of the preview, so that a repetition after a lost answer begins no second draw.
void CreateDraw(Session& session, const DrawCreateFlags& flags) {
  auto request = DrawMeant(flags);
  if (!request.ok()) return session.FailLocally(request.status().message());
  if (flags.expected_number > 0) request->set_expected_number(flags.expected_number);
  request->set_preview(true);
  auto created = session.Admin(&AdminService::Stub::CreateDraw, *request);
  if (created.ok() && flags.yes) {
    request->set_preview(false);
    request->set_expected_number(created->draw().number());
    created = session.Admin(&AdminService::Stub::CreateDraw, *request);
  }
  if (!created.ok()) return session.FailRemotely(created.status());
  PrintNewDraw(session, *created, !flags.yes);
  if (!flags.yes) return;
  session.err() << "Buyers may enter from now on. `tranchectl draw close " << flags.sku_id << "` ends that.\n";
}

void ShowDraw(Session& session, const std::string& sku_id, int64_t number) {
  const auto draw = FindDraw(session, sku_id, number);
  if (!draw.ok()) return session.FailRemotely(draw.status());
  PrintDraw(session, *draw);
}

void ListDraws(Session& session, const std::string& sku_id) {
  tranche::v1::ListDrawsRequest request;
  request.set_sku_id(sku_id);
  const auto draws = session.Admin(&AdminService::Stub::ListDraws, request);
  if (!draws.ok()) return session.FailRemotely(draws.status());
  PrintDraws(session, *draws);
  RemindToRemoveDraws(session, *draws, absl::Now());
  if (draws->draws().empty()) session.err() << "There is no draw.\n";
}

void ShowEntry(Session& session, const std::string& sku_id, int64_t number, const std::string& user_id) {
  tranche::v1::GetDrawEntryRequest request;
  request.set_sku_id(sku_id);
  request.set_draw_number(number);
  request.set_user_id(user_id);
  const auto entry = session.FrontDoor(&FrontDoorService::Stub::GetDrawEntry, request);
  if (!entry.ok()) return session.FailRemotely(entry.status());
  PrintDrawEntry(session, *entry);
}

// On stderr: one line that is written over on a terminal, a line every ten seconds elsewhere.
class ExportProgress {
 public:
  explicit ExportProgress(Session& session) : session_(session) {}
  ~ExportProgress() {
    if (session_.redraws() && shown_) session_.err() << "\r\x1b[K";
  }

  void Show(const DrawExported& done, int64_t entries) {
    const absl::Time now = absl::Now();
    if (!session_.redraws() && now < last_line_ + kBetweenExportLines) return;
    last_line_ = now;
    shown_ = true;
    const std::string text = absl::StrCat(done.entries, " of ", entries, " entries, ", done.awards, " awards");
    session_.err() << (session_.redraws() ? absl::StrCat("\r\x1b[K", text) : absl::StrCat(text, "\n")) << std::flush;
  }

 private:
  Session& session_;
  absl::Time last_line_ = absl::Now();
  bool shown_ = false;
};

struct DrawExportFlags {
  std::string sku_id;
  int64_t number = 0;
  std::string folder;
  bool force = false;
};

void ExportDrawFiles(Session& session, const DrawExportFlags& flags) {
  const auto draw = FindDraw(session, flags.sku_id, flags.number);
  if (!draw.ok()) return session.FailRemotely(draw.status());
  const absl::Status prepared = PrepareDrawExport(*draw, flags.folder, flags.force);
  if (!prepared.ok()) return session.FailLocally(prepared.message());
  absl::Status refused;  // by the cluster; otherwise it is a matter of this machine
  const auto ask = [&](auto method, const auto& request) {
    auto page = session.Admin(method, request, kExportPatience);
    if (!page.ok()) refused = page.status();
    return page;
  };
  const DrawPages pages = {
      .entries = [&](const auto& request) { return ask(&AdminService::Stub::ListDrawEntries, request); },
      .awards = [&](const auto& request) { return ask(&AdminService::Stub::ListDrawAwards, request); }};
  DrawExported done;
  absl::Status exported;
  {
    ExportProgress progress(session);
    exported = ExportDraw(*draw, flags.folder, pages, [&](const DrawExported& now) {
      done = now;
      progress.Show(now, draw->entries());
    });
  }
  if (!refused.ok()) return session.FailRemotely(refused);
  if (absl::IsInternal(exported)) return session.FailRemotely(exported);
  if (!exported.ok()) return session.FailLocally(exported.message());
  if (session.json()) {
    session.PrintJson(*draw);
  } else {
    session.out() << "draw " << draw->number() << " of " << draw->sku_id() << ": " << done.entries << " entries and "
                  << done.awards << " awards are in " << flags.folder << "\n";
  }
  session.err() << "scripts/verify_draw.py " << flags.folder << " checks them.\n";
}

void MakeSeed(Session& session, const std::string& path) {
  const std::string seed = NewSeed();
  const absl::Status written = WriteNewSecret(path, absl::StrCat(absl::BytesToHexString(seed), "\n"));
  if (!written.ok()) return session.FailLocally(written.message());
  const std::string commitment = absl::BytesToHexString(CommitmentOf(seed));
  if (session.json()) {
    nlohmann::ordered_json json = nlohmann::ordered_json::object();
    json["seed_commitment"] = commitment;
    session.out() << json.dump(1) << "\n";
  } else {
    session.out() << "commitment: " << commitment << "\n";
  }
  session.err() << "Who knows the seed before entries have ended can choose winners, and without it nobody can be "
                << "drawn: keep " << path << " safe, and a copy elsewhere.\n";
}

CLI::Option* AddDrawNumber(CLI::App* command, int64_t& number) {
  return command->add_option("--number", number, "Which of the SKU's draws; without it, the newest")
      ->check(CLI::Range(int64_t{1}, std::numeric_limits<int64_t>::max()));
}

void AddDrawCreate(CLI::App* draw, Session& session) {
  auto flags = std::make_shared<DrawCreateFlags>();
  CLI::App* create = draw->add_subcommand("create", "Begin a draw: buyers may enter");
  AddSkuArgument(create, flags->sku_id);
  create->add_option("--winners", flags->winners, "So many entries win")->required()->check(CLI::Range(1, 1'000'000));
  create->add_option("--quantity", flags->quantity, "Units for each; within the SKU's limit per buyer")
      ->capture_default_str()
      ->check(CLI::Range(1, std::numeric_limits<int32_t>::max()));
  CLI::Option* source = create->add_option(
      "--public-source", flags->public_source,
      "The seed is a public value that nobody knows before the list is published, named in words that leave no choice");
  CLI::Option* file = create
                          ->add_option("--seed-file", flags->seed_file,
                                       "The seed is that of this file, as `draw new-seed` makes it; only its "
                                       "SHA-256 is sent")
                          ->excludes(source);
  create->add_option("--seed-commitment", flags->seed_commitment, "The same by the SHA-256 of the seed, in hex")
      ->excludes(source)
      ->excludes(file);
  create
      ->add_option("--expect-number", flags->expected_number,
                   "Refuse if it would not be this one of the SKU's draws, as printed by the preview")
      ->check(CLI::Range(int64_t{1}, std::numeric_limits<int64_t>::max()));
  AddYesFlag(create, flags->yes);
  create->footer(
      "The SKU should be created with --no-presplit, and its policy have a draw (`tranchectl door set SKU --draw`).\n"
      "A public value is better than a seed of yours: whoever knows the seed, and can write into the database, could\n"
      "choose who wins. docs/draws.md says what each of them proves. Nothing ends the entries by the clock.\n"
      "Examples:\n"
      "  tranchectl draw create sneaker --winners 500 \\\n"
      "    --public-source 'drand quicknet, the first round at least 30 min after close_time'   a preview\n"
      "  tranchectl draw create sneaker --winners 500 --seed-file sneaker.seed --yes");
  create->callback([&session, flags] { CreateDraw(session, *flags); });
}

void AddDrawShow(CLI::App* draw, Session& session) {
  auto sku_id = std::make_shared<std::string>();
  auto number = std::make_shared<int64_t>(0);
  CLI::App* show = draw->add_subcommand("show", "How far a draw is, and what is known of it");
  AddSkuArgument(show, *sku_id);
  AddDrawNumber(show, *number);
  show->footer("Example:\n  tranchectl draw show sneaker");
  show->callback([&session, sku_id, number] { ShowDraw(session, *sku_id, *number); });
}

void AddDrawList(CLI::App* draw, Session& session) {
  auto sku_id = std::make_shared<std::string>();
  CLI::App* list = draw->add_subcommand("list", "The draws of a SKU, or of all, the newest first; at most 100");
  AddSkuArgument(list, *sku_id)->required(false);
  list->footer("Examples:\n  tranchectl draw list\n  tranchectl draw list sneaker -o wide");
  list->callback([&session, sku_id] { ListDraws(session, *sku_id); });
}

void AddDrawEntry(CLI::App* draw, Session& session) {
  auto sku_id = std::make_shared<std::string>();
  auto user_id = std::make_shared<std::string>();
  auto number = std::make_shared<int64_t>(0);
  CLI::App* entry = draw->add_subcommand("entry", "What became of a buyer's entry, and what proves that it took part");
  AddSkuArgument(entry, *sku_id);
  entry->add_option("--user", *user_id, "The buyer")->required();
  AddDrawNumber(entry, *number);
  entry->footer(
      "Outcomes: WAITING, PENDING (a reservation waits for payment), CONFIRMED, LAPSED, PASSED_OVER (they had their\n"
      "limit), NOT_DRAWN. `scripts/verify_draw.py DIR --entry ID` checks it by what `draw export` writes.\n"
      "Example:\n  tranchectl draw entry sneaker --user alice");
  entry->callback([&session, sku_id, user_id, number] { ShowEntry(session, *sku_id, *number, *user_id); });
}

void AddDrawExport(CLI::App* draw, Session& session) {
  auto flags = std::make_shared<DrawExportFlags>();
  CLI::App* command = draw->add_subcommand("export", "Write what is published of a draw: entries, awards, the draw");
  AddSkuArgument(command, flags->sku_id);
  AddDrawNumber(command, flags->number);
  command->add_option("--dir", flags->folder, "The folder for draw.json, entries.txt and awards.csv")->required();
  command->add_flag("--force", flags->force, "Write over files that are there");
  command->footer(
      "No user ids are in it. Publish the list of entries when it is sealed, before the seed is known, and all of it\n"
      "again when the draw is finished. `scripts/verify_draw.py DIR` checks it, for anybody.\n"
      "Example:\n  tranchectl draw export sneaker --dir published");
  command->callback([&session, flags] { ExportDrawFiles(session, *flags); });
}

void AddDrawNewSeed(CLI::App* draw, Session& session) {
  auto path = std::make_shared<std::string>();
  CLI::App* command = draw->add_subcommand("new-seed", "Make a random seed in a new file that only you can read");
  command->add_option("FILE", *path, "The file, which must not be there")->required();
  command->footer(
      "It has 32 random bytes in hex. The commitment, which is their SHA-256, may be published. No node is asked.\n"
      "Example:\n  tranchectl draw new-seed sneaker.seed");
  command->callback([&session, path] { MakeSeed(session, *path); });
}

}  // namespace

void AddDrawCommands(CLI::App& app, Session& session) {
  CLI::App* draw = app.add_subcommand("draw", "Draws: a SKU's units for winners among all who have entered");
  draw->require_subcommand(1);
  draw->footer(
      "Example:\n"
      "  tranchectl draw create sneaker --winners 500 --seed-file sneaker.seed --yes\n"
      "  tranchectl draw close sneaker --number 1 --yes\n"
      "  tranchectl draw seed sneaker --number 1 --seed-file sneaker.seed --yes");
  AddDrawCreate(draw, session);
  AddDrawStepCommands(draw, session);
  AddDrawShow(draw, session);
  AddDrawList(draw, session);
  AddDrawEntry(draw, session);
  AddDrawExport(draw, session);
  AddDrawNewSeed(draw, session);
}

}  // namespace tranche::ctl
