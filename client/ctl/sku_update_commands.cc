// tranchectl sku update|reopen

#include <limits>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/ctl/change_view.h"
#include "client/ctl/commands.h"
#include "client/ctl/parse.h"
#include "client/ctl/room_view.h"
#include "client/ctl/sku_view.h"
#include "storage/base/status_macros.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;
using tranche::v1::UpdateSkuRequest;

struct UpdateFlags {
  std::string sku_id;
  std::string title;
  std::string price;
  int per_user_limit = 0;
  std::string hold;
  int max_extensions = -1;
  std::string max_hold;
  std::string opens_at;
  std::string closes_at;
  bool presplit = false;
  bool no_presplit = false;
  std::string path;
  int64_t expected_version = 0;
  bool yes = false;
};

absl::Status SetSeconds(const char* flag, const std::string& text, google::protobuf::Duration* duration) {
  ASSIGN_OR_RETURN(const int64_t seconds, OfFlag(flag, ParseWholeSeconds(text)));
  duration->set_seconds(seconds);
  return absl::OkStatus();
}

absl::Status SetMoment(const char* flag, const std::string& text, google::protobuf::Timestamp* moment) {
  ASSIGN_OR_RETURN(const absl::Time time, OfFlag(flag, ParseTime(text)));
  const int64_t micros = absl::ToUnixMicros(time);
  moment->set_seconds(micros / 1'000'000);
  moment->set_nanos(static_cast<int32_t>(micros % 1'000'000 * 1000));
  return absl::OkStatus();
}

// "now" and "never" take an end of the window away.
absl::Status SetWindow(const UpdateFlags& flags, UpdateSkuRequest& request) {
  if (flags.opens_at == "now") {
    request.set_clear_open_time(true);
  } else if (!flags.opens_at.empty()) {
    RETURN_IF_ERROR(SetMoment("--opens-at", flags.opens_at, request.mutable_open_time()));
  }
  if (flags.closes_at == "never") {
    request.set_clear_close_time(true);
  } else if (!flags.closes_at.empty()) {
    RETURN_IF_ERROR(SetMoment("--closes-at", flags.closes_at, request.mutable_close_time()));
  }
  return absl::OkStatus();
}

// `given`: was the flag on the command line?
template <typename Given>
absl::StatusOr<UpdateSkuRequest> ToRequest(const UpdateFlags& flags, const std::string& currency, const Given& given) {
  UpdateSkuRequest request;
  request.set_sku_id(flags.sku_id);
  if (given("--title")) request.set_title(flags.title);
  if (given("--price")) {
    ASSIGN_OR_RETURN(const int64_t price, OfFlag("--price", ParsePriceMinor(flags.price, currency)));
    request.set_price_minor(price);
  }
  if (given("--per-user-limit")) request.set_per_user_limit(flags.per_user_limit);
  if (given("--max-extensions")) request.set_max_extensions(flags.max_extensions);
  if (given("--hold")) RETURN_IF_ERROR(SetSeconds("--hold", flags.hold, request.mutable_hold()));
  if (flags.max_hold == "none") {
    request.mutable_max_hold();  // zero
  } else if (given("--max-hold")) {
    RETURN_IF_ERROR(SetSeconds("--max-hold", flags.max_hold, request.mutable_max_hold()));
  }
  if (flags.presplit || flags.no_presplit) request.set_on_demand(flags.no_presplit);
  request.set_claim_path(ClaimPathNamed(flags.path));
  RETURN_IF_ERROR(SetWindow(flags, request));
  return request;
}

// Nothing if the node cannot tell: it is only a warning.
void WarnOfItsRoom(Session& session, const tranche::v1::UpdateSkuResponse& response) {
  tranche::v1::ListRoomsRequest request;
  request.set_sku_id(response.sku().sku_id());
  const auto rooms = session.Admin(&AdminService::Stub::ListRooms, request);
  if (!rooms.ok()) return;
  const std::string warning = WarningOfLaterOpening(response.before(), response.sku(), *rooms);
  if (!warning.empty()) session.err() << warning << "\n";
}

void PrintUpdate(Session& session, const UpdateFlags& flags, const tranche::v1::UpdateSkuResponse& response) {
  const std::string expectation = absl::StrCat("--expect-version ", response.before().terms_version());
  PrintWarnings(session, response);
  PrintSkuTermsChange(
      session, response.before(), response.sku(),
      {.preview = !flags.yes, .more_flags = expectation, .more = {{"warnings", WarningsJson(response)}}});
  const bool other_price = response.before().price_minor() != response.sku().price_minor();
  if (other_price) session.err() << "The price is that of later reservations: earlier ones keep their amount.\n";
  if (!flags.opens_at.empty()) WarnOfItsRoom(session, response);
}

// Previewed first, and made only if the terms are still those that were previewed.
template <typename Given>
void Update(Session& session, const UpdateFlags& flags, const Given& given) {
  tranche::v1::GetSkuRequest get;
  get.set_sku_id(flags.sku_id);
  const auto sku = session.Admin(&AdminService::Stub::GetSku, get);
  if (!sku.ok()) return session.FailRemotely(sku.status());
  absl::StatusOr<UpdateSkuRequest> request = ToRequest(flags, sku->sku().currency(), given);
  if (!request.ok()) return session.FailLocally(request.status().message());
  request->set_preview(true);
  if (flags.expected_version > 0) request->set_expected_terms_version(flags.expected_version);
  const auto preview = session.Admin(&AdminService::Stub::UpdateSku, *request);
  if (!preview.ok()) return session.FailRemotely(preview.status());
  if (!flags.yes) return PrintUpdate(session, flags, *preview);
  request->set_preview(false);
  request->set_expected_terms_version(preview->before().terms_version());
  const auto done = session.Admin(&AdminService::Stub::UpdateSku, *request);
  if (!done.ok()) return session.FailRemotely(done.status());
  PrintUpdate(session, flags, *done);
}

void Reopen(Session& session, const std::string& sku_id, bool yes) {
  tranche::v1::ReopenSkuRequest request;
  request.set_sku_id(sku_id);
  request.set_preview(!yes);
  const auto response = session.Admin(&AdminService::Stub::ReopenSku, request);
  if (!response.ok()) return session.FailRemotely(response.status());
  PrintWarnings(session, *response);
  PrintSkuTermsChange(session, response->before(), response->sku(),
                      {.preview = !yes, .more = {{"warnings", WarningsJson(*response)}}});
  const bool over = response->sku().state() == tranche::v1::SKU_STATE_ENDED;
  if (over) {
    session.err() << "Its window is over: `tranchectl sku update " << sku_id << " --closes-at TIME` makes it longer.\n";
  }
  if (response->sku().paused()) session.err() << "It is paused: `tranchectl sku resume " << sku_id << "` sells it.\n";
}

void AddUpdate(CLI::App* sku, Session& session) {
  auto flags = std::make_shared<UpdateFlags>();
  CLI::App* command = sku->add_subcommand("update", "Change the terms of a sale, for reservations from then on");
  AddSkuArgument(command, flags->sku_id);
  command->add_option("--title", flags->title, "For people");
  command->add_option("--price", flags->price, "Per unit, in the SKU's currency, such as 19.99");
  command
      ->add_option("--per-user-limit", flags->per_user_limit, "Units that one buyer may have; who has more keeps them")
      ->check(CLI::Range(1, 1000));
  command->add_option("--hold", flags->hold, "How long a unit is held unpaid");
  command->add_option("--max-extensions", flags->max_extensions, "How often a hold may be extended")
      ->check(CLI::Range(0, 100));
  command->add_option("--max-hold", flags->max_hold,
                      "How long a hold may last with its extensions; none: --hold for each");
  command->add_option("--opens-at", flags->opens_at, "RFC 3339, or now");
  command->add_option("--closes-at", flags->closes_at, "RFC 3339, or never");
  CLI::Option* presplit = command->add_flag("--presplit", flags->presplit, "Split its units over all nodes");
  command->add_flag("--no-presplit", flags->no_presplit, "Keep units in the pool until a node has buyers for them")
      ->excludes(presplit);
  TakesOneOf(command->add_option("--path", flags->path, kPathHelp), {"direct", "queue", "auto"});
  command
      ->add_option("--expect-version", flags->expected_version,
                   "Refuse unless the terms still have this version, as printed by the preview")
      ->check(CLI::Range(int64_t{1}, std::numeric_limits<int64_t>::max()));
  AddYesFlag(command, flags->yes);
  command->footer(
      "What is reserved keeps its amount and the end of its hold. Extensions go by the present terms.\n"
      "Currency, stock, slots and shard are not changed here: see stock add, stock reduce and sku move.\n"
      "Examples:\n"
      "  tranchectl sku update tv --price 449.00                       shows what would change\n"
      "  tranchectl sku update tv --price 449.00 --yes --expect-version 3\n"
      "  tranchectl sku update tv --closes-at 2026-11-28T00:00:00Z --per-user-limit 2 --yes\n"
      "  tranchectl sku update tv --path queue --yes                   see `tranchectl queue list`");
  command->callback([&session, flags, command] {
    Update(session, *flags, [command](const char* flag) { return command->count(flag) > 0; });
  });
}

}  // namespace

void AddSkuUpdateCommands(CLI::App* sku, Session& session) {
  AddUpdate(sku, session);

  auto sku_id = std::make_shared<std::string>();
  auto yes = std::make_shared<bool>(false);
  CLI::App* reopen = sku->add_subcommand("reopen", "Sell a closed SKU again");
  AddSkuArgument(reopen, *sku_id);
  AddYesFlag(reopen, *yes);
  reopen->footer(
      "Buyers whose paid reservations retention has removed meanwhile may buy up to their limit again.\n"
      "Example:\n  tranchectl sku reopen tv --yes");
  reopen->callback([&session, sku_id, yes] { Reopen(session, *sku_id, *yes); });
}

}  // namespace tranche::ctl
