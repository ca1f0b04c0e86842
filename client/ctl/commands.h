// One function per noun: adds its commands to the command line. `session` must outlive `app`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

#include "client/ctl/completer.h"
#include "client/ctl/session.h"

namespace tranche::ctl {

void AddSkuCommands(CLI::App& app, Session& session);
void AddStockCommands(CLI::App& app, Session& session);
void AddQuotaCommands(CLI::App& app, Session& session);
void AddNodeCommands(CLI::App& app, Session& session);
void AddClusterCommands(CLI::App& app, Session& session);
void AddAuditCommand(CLI::App& app, Session& session);
void AddOutboxCommands(CLI::App& app, Session& session);
void AddQueueCommands(CLI::App& app, Session& session);
void AddShardCommands(CLI::App& app, Session& session);
// To the noun "sku".
void AddSkuMoveCommand(CLI::App* sku, Session& session);
void AddSkuPauseCommands(CLI::App* sku, Session& session);
void AddSkuUpdateCommands(CLI::App* sku, Session& session);
void AddDoorCommands(CLI::App& app, Session& session);
// To the noun "door".
void AddDoorListCommands(CLI::App* door, Session& session);
void AddDoorKeyCommands(CLI::App* door, Session& session);
void AddDoorRoomCommands(CLI::App* door, Session& session);
void AddDoorModeCommand(CLI::App* door, Session& session);
void AddDoorTestCommand(CLI::App* door, Session& session);
void AddDrawCommands(CLI::App& app, Session& session);
// To the noun "draw".
void AddDrawStepCommands(CLI::App* draw, Session& session);
void AddGroupCommands(CLI::App& app, Session& session);
// To the noun "group".
void AddGroupOfferCommands(CLI::App* group, Session& session);
void AddStatusCommand(CLI::App& app, Session& session);
void AddTopCommand(CLI::App& app, Session& session);
void AddVerifyCommand(CLI::App& app, Session& session);
void AddReconcileCommand(CLI::App& app, Session& session);
void AddZkCommands(CLI::App& app, Session& session);
void AddAccessCommands(CLI::App& app, Session& session);
void AddReservationCommands(CLI::App& app, Session& session);
// To the noun "reservation".
void AddReservationChangeCommands(CLI::App* reservation, Session& session);
void AddClaimCommand(CLI::App* reservation, Session& session);
// Completes the commands that were added before it.
void AddCompletionCommand(CLI::App& app, Session& session);

// The flag takes one of these words, in either case; kept as it is written here.
inline CLI::Option* TakesOneOf(CLI::Option* option, std::vector<std::string> words) {
  return option->transform(CLI::IsMember(std::move(words), CLI::ignore_case));
}

// The argument of commands about one SKU.
inline CLI::Option* AddSkuArgument(CLI::App* command, std::string& sku_id) {
  return TakesNameOf(NameKind::kSku, command->add_option("SKU", sku_id, "Its id, as in `tranchectl sku list`"))
      ->required();
}

// The flag of all commands that preview.
inline void AddYesFlag(CLI::App* command, bool& yes) {
  command->add_flag("-y,--yes", yes, "Do it; without this flag, only show what would change");
}

}  // namespace tranche::ctl
