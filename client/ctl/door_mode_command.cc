// tranchectl door mode

#include <memory>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "client/ctl/change_view.h"
#include "client/ctl/commands.h"
#include "client/ctl/parse.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;
using tranche::v1::ServiceMode;
using tranche::v1::StoredServiceMode;

struct ModeFlags {
  std::string mode;  // "": only show it
  std::string reason;
  bool yes = false;
};

ServiceMode ServiceModeOf(const std::string& word) {
  if (word == "normal") return tranche::v1::SERVICE_MODE_NORMAL;
  if (word == "changes-only") return tranche::v1::SERVICE_MODE_CHANGES_ONLY;
  if (word == "read-only") return tranche::v1::SERVICE_MODE_READ_ONLY;
  return tranche::v1::SERVICE_MODE_UNSPECIFIED;
}

// Also of one that is newer than this program.
std::string WordOf(ServiceMode mode) {
  const std::string& name = tranche::v1::ServiceMode_Name(mode);
  if (name.empty()) return absl::StrCat("unknown (", static_cast<int>(mode), ")");
  return absl::StrReplaceAll(absl::AsciiStrToLower(absl::StripPrefix(name, "SERVICE_MODE_")), {{"_", "-"}});
}

std::string EffectOf(ServiceMode mode) {
  switch (mode) {
    case tranche::v1::SERVICE_MODE_NORMAL:
      return "everything";
    case tranche::v1::SERVICE_MODE_CHANGES_ONLY:
      return "no new reservations and entries; payments, cancellations and extensions go on";
    case tranche::v1::SERVICE_MODE_READ_ONLY:
      return "nothing but reads: payments are refused, too, and no hold expires";
    default:
      return "not known to this version of tranchectl";
  }
}

void ShowMode(Session& session) {
  const auto response = session.Admin(&AdminService::Stub::GetServiceMode, tranche::v1::GetServiceModeRequest());
  if (!response.ok()) return session.FailRemotely(response.status());
  if (session.json()) return session.PrintJson(*response);
  const StoredServiceMode& mode = response->mode();
  Table table({"MODE", "BUYERS MAY", "REASON", "SINCE", "BY"});
  table.AddRow({WordOf(mode.mode()), EffectOf(mode.mode()), mode.reason(),
                mode.has_change_time() ? FormatTime(mode.change_time()) : "-", mode.changed_by()});
  session.Print(table);
}

void SetMode(Session& session, const ModeFlags& flags) {
  session.GiveReason(flags.reason);
  tranche::v1::SetServiceModeRequest request;
  request.set_mode(ServiceModeOf(flags.mode));
  request.set_reason(flags.reason);
  request.set_preview(!flags.yes);
  const auto response = session.Admin(&AdminService::Stub::SetServiceMode, request);
  if (!response.ok()) return session.FailRemotely(response.status());
  const StoredServiceMode &was = response->before(), &is = response->mode();
  if (session.json()) {
    PrintChangeJson(session, was, is, !flags.yes);
  } else {
    Table table({"MODE", "BUYERS MAY", "REASON"});
    table.AddRow({Arrow(WordOf(was.mode()), WordOf(is.mode())), EffectOf(is.mode()), Arrow(was.reason(), is.reason())});
    session.Print(table);
  }
  if (flags.yes) return;
  const bool changes = was.mode() != is.mode() || was.reason() != is.reason();
  changes ? SayHowToApply(session) : SayNothingWouldChange(session);
}

}  // namespace

void AddDoorModeCommand(CLI::App* door, Session& session) {
  auto flags = std::make_shared<ModeFlags>();
  CLI::App* mode = door->add_subcommand("mode", "What all nodes do for buyers, in an emergency");
  TakesOneOf(mode->add_option("MODE", flags->mode, "What it is to be; without it, shows what it is"),
             {"normal", "changes-only", "read-only"});
  mode->add_option("--reason", flags->reason, "What buyers are told, at most 200 characters");
  AddYesFlag(mode, flags->yes);
  mode->footer(
      "changes-only: nothing new is reserved; what is reserved can be paid, cancelled and extended. read-only: buyers\n"
      "only read; payments are refused, except late ones, and no hold expires until a minute after it. Operators can\n"
      "still confirm, cancel and extend. To stop the sale of some SKUs: `tranchectl sku pause`.\n"
      "Examples:\n"
      "  tranchectl door mode\n"
      "  tranchectl door mode changes-only --reason 'We are back at nine.' --yes\n"
      "  tranchectl door mode normal --yes");
  mode->callback([&session, flags] {
    if (!flags->mode.empty()) return SetMode(session, *flags);
    if (!flags->reason.empty() || flags->yes) return session.FailLocally("name the mode that it is to be");
    ShowMode(session);
  });
}

}  // namespace tranche::ctl
