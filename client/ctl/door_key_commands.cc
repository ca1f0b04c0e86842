// tranchectl door key show|rotate

#include <cstdint>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "client/ctl/change_view.h"
#include "client/ctl/commands.h"
#include "client/ctl/door_view.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;

struct RotateFlags {
  bool replace_all = false;
  int64_t expected_current = 0;  // 0: the one that was read
  bool yes = false;
};

// 0: the cluster names none.
template <typename Response>
int64_t CurrentKeyOf(const Response& response) {
  for (const tranche::v1::FrontKey& key : response.keys()) {
    if (key.use() == tranche::v1::FrontKey::USE_CURRENT) return key.key_id();
  }
  return 0;
}

void ShowKeys(Session& session) {
  const auto keys = session.Admin(&AdminService::Stub::ListFrontKeys, tranche::v1::ListFrontKeysRequest());
  if (!keys.ok()) return session.FailRemotely(keys.status());
  PrintFrontKeys(session, *keys);
}

// The current key is named, so that a repetition after a lost answer does not rotate twice.
void RotateKeys(Session& session, const RotateFlags& flags) {
  const auto before = session.Admin(&AdminService::Stub::ListFrontKeys, tranche::v1::ListFrontKeysRequest());
  if (!before.ok()) return session.FailRemotely(before.status());
  const int64_t current = flags.expected_current > 0 ? flags.expected_current : CurrentKeyOf(*before);
  tranche::v1::RotateFrontKeyRequest request;
  request.set_replace_all(flags.replace_all);
  request.set_expected_current_id(current);
  request.set_preview(!flags.yes);
  const auto after = session.Admin(&AdminService::Stub::RotateFrontKey, request);
  if (!after.ok()) return session.FailRemotely(after.status());
  PrintKeyRotation(session, *before, *after, !flags.yes);
  const bool rotates = flags.yes ? after->rotated() : CurrentKeyOf(*after) != CurrentKeyOf(*before);
  if (!rotates) {
    session.err() << "The current key is not " << current << ": nothing " << (flags.yes ? "was" : "would be")
                  << " done.\n";
    if (flags.yes) session.exit_code = kExitRemote;
    return;
  }
  if (flags.replace_all && !flags.yes) {
    session.err()
        << "warning: every token and challenge that is out would be worthless: buyers would have to enter again\n";
  }
  if (!flags.yes) SayHowToApply(session, absl::StrCat("--expect-current ", current));
}

}  // namespace

void AddDoorKeyCommands(CLI::App* door, Session& session) {
  CLI::App* key = door->add_subcommand("key", "The keys that purchase tokens and challenges are made with");
  key->require_subcommand(1);
  key->footer("Example:\n  tranchectl door key show");
  CLI::App* show = key->add_subcommand("show", "Their ids, uses and ages; the keys themselves are shown nowhere");
  show->footer(
      "New tokens are made with the current key; those of the previous one are still taken. Nodes know the next one\n"
      "already.\n"
      "Example:\n  tranchectl door key show");
  show->callback([&session] { ShowKeys(session); });

  auto flags = std::make_shared<RotateFlags>();
  CLI::App* rotate = key->add_subcommand("rotate", "Make new tokens with the next key, and a new next key");
  rotate->add_flag(
      "--replace-all", flags->replace_all,
      "Somebody else knows a key: replace all at once. Every token and challenge that is out is worthless");
  rotate
      ->add_option("--expect-current", flags->expected_current,
                   "Do nothing unless this is still the current key, as printed by the preview")
      ->check(CLI::Range(int64_t{1}, std::numeric_limits<int64_t>::max()));
  AddYesFlag(rotate, flags->yes);
  rotate->footer(
      "Without --replace-all, buyers do not notice it. Keys can be rotated again after 15 minutes.\n"
      "Examples:\n"
      "  tranchectl door key rotate --yes\n"
      "  tranchectl door key rotate --replace-all --yes");
  rotate->callback([&session, flags] { RotateKeys(session, *flags); });
}

}  // namespace tranche::ctl
