// tranchectl sku create|list|show|close; pause and resume are in sku_pause_commands.cc, update and reopen in
// sku_update_commands.cc, move in shard_commands.cc

#include <memory>

#include "client/ctl/change_view.h"
#include "client/ctl/commands.h"
#include "client/ctl/parse.h"
#include "client/ctl/sku_view.h"
#include "storage/base/status_macros.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;

struct SkuFlags {
  std::string sku_id;
  std::string title;
  std::string price;
  std::string currency = "EUR";
  int64_t stock = 0;
  int per_user_limit = 1;
  std::string hold = "15m";
  int max_extensions = 3;
  std::string max_hold;
  std::string opens_at;
  std::string closes_at;
  int slots_per_slice = 1;
  std::string shard;
  bool no_presplit = false;
  bool paused = false;
  std::string pause_reason;
  std::string path = "direct";
};

absl::Status SetTime(const char* flag, const std::string& text,
                     google::protobuf::Timestamp* (tranche::v1::Sku::*field)(), tranche::v1::Sku& sku) {
  if (text.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const absl::Time time, OfFlag(flag, ParseTime(text)));
  const int64_t micros = absl::ToUnixMicros(time);
  (sku.*field)()->set_seconds(micros / 1'000'000);
  (sku.*field)()->set_nanos(static_cast<int32_t>(micros % 1'000'000 * 1000));
  return absl::OkStatus();
}

absl::StatusOr<tranche::v1::Sku> ToSku(const SkuFlags& flags) {
  tranche::v1::Sku sku;
  sku.set_sku_id(flags.sku_id);
  sku.set_title(flags.title.empty() ? flags.sku_id : flags.title);
  sku.set_currency(flags.currency);
  sku.set_stock(flags.stock);
  sku.set_per_user_limit(flags.per_user_limit);
  sku.set_slots_per_slice(flags.slots_per_slice);
  sku.set_on_demand(flags.no_presplit);
  sku.set_shard(flags.shard);
  sku.set_paused(flags.paused);
  sku.set_pause_reason(flags.pause_reason);
  sku.set_claim_path(ClaimPathNamed(flags.path));
  ASSIGN_OR_RETURN(const int64_t price, OfFlag("--price", ParsePriceMinor(flags.price, flags.currency)));
  sku.set_price_minor(price);
  ASSIGN_OR_RETURN(const int64_t hold_s, OfFlag("--hold", ParseWholeSeconds(flags.hold)));
  sku.mutable_hold()->set_seconds(hold_s);
  sku.set_max_extensions(flags.max_extensions);
  if (!flags.max_hold.empty()) {
    ASSIGN_OR_RETURN(const int64_t max_hold_s, OfFlag("--max-hold", ParseWholeSeconds(flags.max_hold)));
    sku.mutable_max_hold()->set_seconds(max_hold_s);
  }
  RETURN_IF_ERROR(SetTime("--opens-at", flags.opens_at, &tranche::v1::Sku::mutable_open_time, sku));
  RETURN_IF_ERROR(SetTime("--closes-at", flags.closes_at, &tranche::v1::Sku::mutable_close_time, sku));
  return sku;
}

void CreateSku(Session& session, const SkuFlags& flags) {
  const absl::StatusOr<tranche::v1::Sku> sku = ToSku(flags);
  if (!sku.ok()) return session.FailLocally(sku.status().message());
  tranche::v1::CreateSkuRequest request;
  *request.mutable_sku() = *sku;
  const auto response = session.Admin(&AdminService::Stub::CreateSku, request);
  if (!response.ok()) return session.FailRemotely(response.status());
  PrintWarnings(session, *response);
  PrintSku(session, response->sku());
}

void ListSkus(Session& session) {
  tranche::v1::ListSkusRequest request;
  // Of fewer SKUs at once, more holds are counted.
  request.set_page_size(200);
  tranche::v1::ListSkusResponse all;
  do {
    const auto page = session.Admin(&AdminService::Stub::ListSkus, request);
    if (!page.ok()) return session.FailRemotely(page.status());
    all.mutable_skus()->MergeFrom(page->skus());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  if (session.json()) {
    session.PrintJson(all);
  } else {
    PrintSkus(session, {all.skus().begin(), all.skus().end()});
  }
}

void Show(Session& session, const std::string& sku_id) {
  tranche::v1::GetSkuRequest request;
  request.set_sku_id(sku_id);
  const auto response = session.Admin(&AdminService::Stub::GetSku, request);
  if (!response.ok()) return session.FailRemotely(response.status());
  PrintSku(session, response->sku());
}

void Close(Session& session, const std::string& sku_id, bool yes) {
  tranche::v1::GetSkuRequest get;
  get.set_sku_id(sku_id);
  const auto before = session.Admin(&AdminService::Stub::GetSku, get);
  if (!before.ok()) return session.FailRemotely(before.status());
  tranche::v1::CloseSkuRequest request;
  request.set_sku_id(sku_id);
  request.set_preview(!yes);
  const auto response = session.Admin(&AdminService::Stub::CloseSku, request);
  if (!response.ok()) return session.FailRemotely(response.status());
  PrintWarnings(session, *response);
  PrintSkuChange(session, before->sku(), response->sku(),
                 {.preview = !yes, .more = {{"warnings", WarningsJson(*response)}}});
  if (!yes && before->sku().state() != tranche::v1::SKU_STATE_CLOSED) {
    session.err()
        << "Buyers are told that the sale is over. Reservations stay and can be paid; `tranchectl sku reopen " << sku_id
        << "` sells again.\n"
        << "Final is what happens meanwhile: late payments are refunded, and retention removes old paid "
           "reservations,\n"
        << "which then do not count towards a buyer's limit. To stop for a while, use `tranchectl sku pause`.\n";
  }
}

void AddCreateSku(CLI::App* sku, Session& session) {
  CLI::App* command = sku->add_subcommand("create", "Create a SKU and open its sale");
  auto flags = std::make_shared<SkuFlags>();
  command->add_option("SKU", flags->sku_id, "1 to 64 characters of A-Z a-z 0-9 . _ -")->required();
  command->add_option("--stock", flags->stock, "Units for sale")->required()->check(CLI::Range(0, 1000000000));
  command->add_option("--title", flags->title, "For people; default: the SKU");
  command->add_option("--price", flags->price, "Per unit, such as 19.99; 0 sells for nothing")->required();
  command->add_option("--currency", flags->currency, "A code of ISO 4217")->capture_default_str();
  command->add_option("--per-user-limit", flags->per_user_limit, "Units that one buyer may have")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_option("--hold", flags->hold, "How long a unit is held unpaid")->capture_default_str();
  command->add_option("--max-extensions", flags->max_extensions, "How often a hold may be extended")
      ->capture_default_str()
      ->check(CLI::Range(0, 100));
  command->add_option("--max-hold", flags->max_hold,
                      "How long a hold may last with its extensions, from its creation; default: --hold for each");
  command->add_option("--opens-at", flags->opens_at, "RFC 3339; default: now");
  command->add_option("--closes-at", flags->closes_at, "RFC 3339; default: never");
  command->add_option("--slots", flags->slots_per_slice, "Rows behind one node's slice; more for a very hot SKU")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  TakesNameOf(NameKind::kShard, command->add_option("--shard", flags->shard, "The shard that it is on; default: home"));
  command->add_flag("--no-presplit", flags->no_presplit,
                    "Keep the units in the pool until a node has buyers for them, instead of splitting them over all "
                    "nodes before the sale; for the long tail");
  TakesOneOf(command->add_option("--path", flags->path, kPathHelp), {"direct", "queue", "auto"})->capture_default_str();
  command->add_flag("--paused", flags->paused, "Do not sell it yet: `tranchectl sku resume` begins the sale");
  command->add_option("--reason", flags->pause_reason, "With --paused: what buyers are told, at most 200 characters");
  command->footer(
      "Examples:\n"
      "  tranchectl sku create tv --stock 1000 --price 499.00 --currency EUR --hold 15m \\\n"
      "    --opens-at 2026-11-27T09:00:00Z\n"
      "  tranchectl sku create flat --stock 40 --price 120 --currency CHF --hold 24h --max-extensions 1 --max-hold "
      "48h\n"
      "  tranchectl sku create spare-part-4711 --stock 12 --price 8.50 --no-presplit\n"
      "  tranchectl sku create tv --stock 1000 --price 499.00 --paused --reason 'starts soon'");
  command->callback([&session, flags] {
    session.GiveReason(flags->pause_reason);
    CreateSku(session, *flags);
  });
}

}  // namespace

void AddSkuCommands(CLI::App& app, Session& session) {
  CLI::App* sku = app.add_subcommand("sku", "What is for sale");
  sku->footer("Example:\n  tranchectl sku list");
  sku->require_subcommand(1);
  AddCreateSku(sku, session);

  CLI::App* list = sku->add_subcommand("list", "All SKUs with stock, reserved and unsold units");
  list->footer(
      "STATE: OPEN (on sale), SOLD_OUT (no unit is unsold; holds may lapse), NOT_YET and ENDED (outside of its "
      "window),\n"
      "PAUSED (until sku resume), CLOSED (until sku reopen).\n"
      "Examples:\n"
      "  tranchectl sku list\n"
      "  tranchectl sku list -o wide    also windows, limits and titles");
  list->callback([&session] { ListSkus(session); });

  auto show_id = std::make_shared<std::string>();
  CLI::App* show = sku->add_subcommand("show", "One SKU");
  AddSkuArgument(show, *show_id);
  show->footer("Example:\n  tranchectl sku show tv");
  show->callback([&session, show_id] { Show(session, *show_id); });

  AddSkuPauseCommands(sku, session);
  AddSkuUpdateCommands(sku, session);
  AddSkuMoveCommand(sku, session);

  auto close_id = std::make_shared<std::string>();
  auto yes = std::make_shared<bool>(false);
  CLI::App* close = sku->add_subcommand("close", "End the sale of a SKU; reservations stay");
  AddSkuArgument(close, *close_id);
  AddYesFlag(close, *yes);
  close->footer(
      "Examples:\n"
      "  tranchectl sku close tv          shows what would change\n"
      "  tranchectl sku close tv --yes    ends the sale; `sku pause` stops it for a while");
  close->callback([&session, close_id, yes] { Close(session, *close_id, *yes); });
}

}  // namespace tranche::ctl
