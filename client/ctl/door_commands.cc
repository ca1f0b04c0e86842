// tranchectl door show|set|remove|round|rounds; lists are in door_list_commands.cc, keys in door_key_commands.cc,
// waiting rooms in door_room_commands.cc, the service mode in door_mode_command.cc, tests in door_test_command.cc

#include <cstdint>
#include <fstream>
#include <iostream>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/ctl/commands.h"
#include "client/ctl/door_policy_arguments.h"
#include "client/ctl/door_view.h"
#include "storage/base/status_macros.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;
using tranche::v1::FrontDoorService;
using tranche::v1::SetFrontPolicyRequest;
using tranche::v1::StoredFrontPolicy;

// The policy of all SKUs without one of their own.
constexpr char kOfEverySku[] = "*";
constexpr char kStandardInput[] = "-";
// Much more than any policy has: a node takes no larger message.
constexpr size_t kMostBytesOfAPolicy = 64 * 1024;

struct DoorSetFlags {
  std::string sku_id;
  std::string policy_file;
  std::string risk_file;  // its text becomes policy.risk
  PolicyFlags policy;
  bool new_round = false;
  int64_t expected_version = -1;  // -1: the one that was read
  bool yes = false;
};

absl::StatusOr<tranche::v1::ListFrontPoliciesResponse> ReadPolicies(Session& session, const std::string& sku_id) {
  tranche::v1::ListFrontPoliciesRequest request;
  request.set_sku_id(sku_id);
  return session.Admin(&AdminService::Stub::ListFrontPolicies, request);
}

// The SKU's own one; nullopt if it has none.
absl::StatusOr<std::optional<StoredFrontPolicy>> ReadPolicy(Session& session, const std::string& sku_id) {
  ASSIGN_OR_RETURN(const auto policies, ReadPolicies(session, sku_id));
  if (policies.policies().empty()) return std::nullopt;
  return std::optional(policies.policies(0));
}

void ShowAllPolicies(Session& session) {
  const auto policies = ReadPolicies(session, "");
  if (!policies.ok()) return session.FailRemotely(policies.status());
  PrintPolicies(session, *policies);
  if (policies->policies().empty()) session.err() << "There is no policy: everybody may try to buy.\n";
}

// The one that counts, which may be that of all SKUs.
void ShowPolicy(Session& session, const std::string& sku_id) {
  auto policies = ReadPolicies(session, sku_id);
  const bool own = !policies.ok() || !policies->policies().empty();
  if (!own && sku_id != kOfEverySku) policies = ReadPolicies(session, kOfEverySku);
  if (!policies.ok()) return session.FailRemotely(policies.status());
  const bool none = policies->policies().empty();
  if (session.json()) {
    session.PrintJson(*policies);
  } else if (!none) {
    PrintPolicy(session, policies->policies(0));
  }
  if (none) {
    session.err() << "There is no policy: everybody may try to buy.\n";
  } else if (!own) {
    session.err() << sku_id << " has no policy of its own: that of all SKUs counts.\n";
  }
}

absl::StatusOr<std::string> ReadRuleFile(const std::string& flag, const std::string& path) {
  std::ifstream file;
  if (path != kStandardInput) file.open(path, std::ios::binary);
  std::istream& in = path == kStandardInput ? std::cin : file;
  std::string text(kMostBytesOfAPolicy + 1, '\0');
  // Unlike an iterator, it does not throw where `path` is a directory.
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  const bool opened = path == kStandardInput || file.is_open();
  if (!opened || in.bad()) return absl::NotFoundError(absl::StrCat(flag, ": ", path, " cannot be read"));
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.size() <= kMostBytesOfAPolicy) return text;
  return absl::InvalidArgumentError(
      absl::StrCat(flag, ": ", path, " is no policy: it has more than ", kMostBytesOfAPolicy, " bytes"));
}

// What cannot be read cannot be kept, either.
absl::Status CheckReadable(const StoredFrontPolicy& stored, absl::string_view what_to_do) {
  if (stored.unreadable().empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("the node that was asked cannot read the stored policy (",
                                                    stored.unreadable(), "), so it cannot keep what it asks: ask a ",
                                                    "newer node", what_to_do));
}

// `stored`: what the flags change.
absl::StatusOr<tranche::v1::FrontPolicy> PolicyMeant(const DoorSetFlags& flags,
                                                     const std::optional<StoredFrontPolicy>& stored) {
  if (!flags.policy_file.empty()) {
    ASSIGN_OR_RETURN(const std::string text, ReadRuleFile("--policy", flags.policy_file));
    return OfFlag("--policy", ParsePolicyJson(text));
  }
  if (stored.has_value()) RETURN_IF_ERROR(CheckReadable(*stored, ", or replace it with --policy"));
  PolicyFlags changes = flags.policy;
  if (!flags.risk_file.empty()) {
    ASSIGN_OR_RETURN(changes.risk, ReadRuleFile("--risk", flags.risk_file));
    // An empty text would say nothing, and so be taken for no flag.
    if (changes.risk.empty()) return absl::InvalidArgumentError("--risk: it is empty; --no-risk takes rules away");
  }
  return ApplyPolicyFlags(stored.has_value() ? stored->policy() : tranche::v1::FrontPolicy(), changes);
}

// Previewed first, and made only if the policy is still the one that was previewed. True: it was done.
bool ChangePolicy(Session& session, SetFrontPolicyRequest request, bool yes) {
  request.set_preview(true);
  auto change = session.Admin(&AdminService::Stub::SetFrontPolicy, request);
  if (change.ok() && yes) {
    request.set_preview(false);
    request.set_expected_version(change->before().version());
    change = session.Admin(&AdminService::Stub::SetFrontPolicy, request);
  }
  if (!change.ok()) {
    session.FailRemotely(change.status());
    return false;
  }
  PrintPolicyChange(session, request.sku_id(), *change, !yes);
  return yes;
}

// A policy of its own replaces that of all SKUs, which nobody should notice only in the sale.
void TellOfTheOtherPolicy(Session& session, const std::string& sku_id) {
  if (sku_id == kOfEverySku) return;
  const auto of_all = ReadPolicy(session, kOfEverySku);
  if (!of_all.ok() || !of_all->has_value()) return;
  session.err() << "note: " << sku_id
                << " has no policy of its own yet. This one takes the place of all that \"*\" asks: "
                << "`tranchectl door show '*'`.\n";
}

void SetPolicy(Session& session, const DoorSetFlags& flags) {
  const bool from_file = !flags.policy_file.empty();
  const bool changes_parts = flags.policy.Any() || !flags.risk_file.empty();
  if (!from_file && !changes_parts && !flags.new_round) {
    return session.FailLocally(
        "say what to ask of buyers: --limit, --lottery, --room, --token, --challenge, --draw, --risk or --policy FILE");
  }
  if (from_file && changes_parts) return session.FailLocally("--policy replaces all: it goes with no other flag");
  const auto stored = ReadPolicy(session, flags.sku_id);
  if (!stored.ok()) return session.FailRemotely(stored.status());
  auto policy = PolicyMeant(flags, *stored);
  if (!policy.ok()) return session.FailLocally(policy.status().message());
  if (flags.sku_id == kOfEverySku && policy->has_room()) {
    return session.FailLocally("'*' takes no waiting room: each room is of one SKU");
  }
  SetFrontPolicyRequest request;
  request.set_sku_id(flags.sku_id);
  *request.mutable_policy() = *std::move(policy);
  request.set_new_lottery_round(flags.new_round);
  const int64_t read = stored->has_value() ? (*stored)->version() : 0;
  request.set_expected_version(flags.expected_version >= 0 ? flags.expected_version : read);
  if (!stored->has_value()) TellOfTheOtherPolicy(session, flags.sku_id);
  ChangePolicy(session, std::move(request), flags.yes);
}

struct DoorPolicyFlags {
  std::string sku_id;
  int64_t expected_version = -1;  // -1: any
  bool yes = false;
};

void RemovePolicy(Session& session, const DoorPolicyFlags& flags) {
  SetFrontPolicyRequest request;
  request.set_sku_id(flags.sku_id);
  if (flags.expected_version >= 0) request.set_expected_version(flags.expected_version);
  ChangePolicy(session, std::move(request), flags.yes);
}

// The same policy again, with new ranks.
void BeginRound(Session& session, const DoorPolicyFlags& flags) {
  const auto stored = ReadPolicy(session, flags.sku_id);
  if (!stored.ok()) return session.FailRemotely(stored.status());
  if (stored->has_value()) {
    if (const auto readable = CheckReadable(**stored, ""); !readable.ok()) {
      return session.FailLocally(readable.message());
    }
  }
  const bool has_ranks = stored->has_value() && ((*stored)->policy().has_lottery() || (*stored)->policy().has_room());
  if (!has_ranks) {
    return session.FailLocally(
        absl::StrCat(flags.sku_id, " has no policy of its own with a lottery or a waiting room: `tranchectl door set ",
                     flags.sku_id, " --lottery 10%`, or --room 200/s, makes one"));
  }
  SetFrontPolicyRequest request;
  request.set_sku_id(flags.sku_id);
  *request.mutable_policy() = (*stored)->policy();
  request.set_new_lottery_round(true);
  request.set_expected_version(flags.expected_version >= 0 ? flags.expected_version : (*stored)->version());
  const bool done = ChangePolicy(session, std::move(request), flags.yes);
  if (!done) return;
  session.err() << "The key of the round before is told now: `tranchectl door rounds "
                << (flags.sku_id == kOfEverySku ? "SKU" : flags.sku_id) << "`\n";
}

void ShowRounds(Session& session, const std::string& sku_id) {
  if (sku_id == kOfEverySku) {
    return session.FailLocally("name a SKU: the rounds of '*' are told with those of each SKU");
  }
  tranche::v1::ListLotteryRoundsRequest request;
  request.set_sku_id(sku_id);
  const auto rounds = session.FrontDoor(&FrontDoorService::Stub::ListLotteryRounds, request);
  if (!rounds.ok()) return session.FailRemotely(rounds.status());
  PrintRounds(session, *rounds);
  if (!session.json() && !session.wide()) session.err() << "-o wide shows the keys, and their hashes.\n";
}

void AddExpectVersion(CLI::App* command, int64_t& version) {
  command
      ->add_option("--expect-version", version,
                   "Refuse unless the policy still has this version, as printed by the preview; 0: there is none")
      ->check(CLI::Range(int64_t{0}, std::numeric_limits<int64_t>::max()));
}

CLI::Option* AddDoorSkuArgument(CLI::App* command, std::string& sku_id) {
  return TakesNameOf(NameKind::kSku,
                     command->add_option("SKU", sku_id, "A SKU, or '*' for all that have no policy of their own"))
      ->required();
}

// One value per flag; otherwise a SKU after it would be taken for another value.
void AddRepeatedOption(CLI::App* command, const char* name, std::vector<std::string>& values, const char* text) {
  command->add_option(name, values, text)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
}

void AddDoorShow(CLI::App* door, Session& session) {
  auto sku_id = std::make_shared<std::string>();
  auto all = std::make_shared<bool>(false);
  CLI::App* show = door->add_subcommand("show", "What the front door asks of those who want to buy");
  CLI::Option* argument = AddDoorSkuArgument(show, *sku_id)->required(false);
  show->add_flag("--all", *all, "Every policy; the same as without a SKU")->excludes(argument);
  show->footer(
      "A SKU has its own policy, or that of '*', or none. The two are not mixed.\n"
      "Examples:\n"
      "  tranchectl door show\n"
      "  tranchectl door show tv\n"
      "  tranchectl door show tv -o json | jq '.policies[0].policy' > policy.json   for door set tv --policy\n"
      "  tranchectl door show tv -o json | jq '.policies[0].policy.risk' > risk.json   for door set tv --risk");
  show->callback(
      [&session, sku_id, all] { *all || sku_id->empty() ? ShowAllPolicies(session) : ShowPolicy(session, *sku_id); });
}

void AddPolicyFlags(CLI::App* set, PolicyFlags& flags) {
  AddRepeatedOption(
      set, "--limit", flags.limits,
      "KEY=TRIES/TIME[,burst=N][,wait=TIME], once for each KEY: user, address (its /24, or /56 of IPv6), "
      "token or sku. burst: so many at once (otherwise TRIES for user and token, and what comes in 100ms for "
      "address and sku); wait: who is too early waits so long, at most 3s");
  AddRepeatedOption(set, "--no-limit", flags.no_limits, "Take the limit of this KEY away");
  CLI::Option* no_lottery = set->add_flag("--no-lottery", flags.no_lottery, "Admit everybody");
  set->add_option("--lottery", flags.lottery,
                  "Admit so many of all buyers, by lot: 10%, or 2500/1000000. It only grows within a round")
      ->excludes(no_lottery);
  CLI::Option* no_token = set->add_flag("--no-token", flags.no_token, "Claims need no purchase token");
  set->add_flag("--token", flags.token,
                "Claims need a purchase token, which EnterSale gives; --token=90s says how long one is good for "
                "(10s to 10m; otherwise 2m)")
      ->excludes(no_token);
  CLI::Option* no_challenge = set->add_flag("--no-challenge", flags.no_challenge, "Nobody must solve a challenge");
  set->add_option("--challenge", flags.challenge,
                  "BITS[,lifetime=TIME][,delay=TIME]: a token must be earned by a challenge of 2^BITS tries, 4 to 20. "
                  "delay: browsers without scripts wait so long instead, 5s to 10m, or none. Needs a token")
      ->excludes(no_challenge);
  CLI::Option* no_draw = set->add_flag("--no-draw", flags.no_draw, "Whoever is first gets units again");
  set->add_flag("--draw", flags.draw,
                "Units go to the winners of a draw (`tranchectl draw create`): claims are refused. Not with a lottery")
      ->excludes(no_draw);
}

void AddRoomFlags(CLI::App* set, PolicyFlags& flags) {
  CLI::Option* no_room = set->add_flag("--no-room", flags.no_room, "Nobody waits in a room");
  CLI::Option* room =
      set->add_option("--room", flags.room,
                      "BUYERS/s[,ahead=PERCENT][,poll=TIME]: buyers wait in a room, and are let in at this rate; "
                      "ahead: only so many at a time as buy this part of what is unsold (otherwise 200%); poll: they "
                      "ask again after it, 2s to 1m (otherwise 20s). Needs --token and --limit user=...; not with a "
                      "lottery or a draw")
          ->excludes(no_room);
  set->add_flag("--hold-room", flags.hold_room,
                "Let nobody in from the waiting room, as --room 0/s; who waits keeps their place")
      ->excludes(room)
      ->excludes(no_room);
}

void AddRiskFlags(CLI::App* set, DoorSetFlags& flags) {
  CLI::Option* no_risk = set->add_flag("--no-risk", flags.policy.no_risk, "All buyers are asked for the same");
  set->add_option("--risk", flags.risk_file,
                  "Ask buyers for more the less they are trusted: replace the risk rules by those of this JSON file, "
                  "as below; -: standard input. Needs a token; tiers with challenge_bits or captcha need a challenge")
      ->excludes(no_risk);
}

// A file for --risk, to begin with.
constexpr char kRiskExample[] =
    "A file for --risk: points are added to a buyer's score, from 0 (trusted) to 100, and the score chooses the tier:\n"
    "  {\"points\": [{\"points\": 30, \"account_younger_than\": \"604800s\"},\n"
    "              {\"points\": -20, \"label\": \"vip\"},\n"
    "              {\"points\": 20, \"orders_fewer_than\": 1}, {\"points\": 10, \"address_refusals\": 200},\n"
    "              {\"points\": 10, \"no_hints\": true}, {\"points\": 10, \"without_scripts\": true}],\n"
    "   \"tiers\": [{\"from_score\": 0, \"challenge_bits\": 0}, {\"from_score\": 30},\n"
    "             {\"from_score\": 60, \"captcha\": true, \"tries\": 2}, {\"from_score\": 95, \"refuse\": true}],\n"
    "   \"unscored\": 20}\n"
    "  also \"ask_scorer\": true (nodes with --risk-scorer), and \"lottery_percent\": 50 of a tier (a lottery)\n";

void AddDoorSet(CLI::App* door, Session& session) {
  auto flags = std::make_shared<DoorSetFlags>();
  CLI::App* set = door->add_subcommand("set", "Change what the front door asks: what is named, the rest stays");
  AddDoorSkuArgument(set, flags->sku_id);
  AddPolicyFlags(set, flags->policy);
  AddRoomFlags(set, flags->policy);
  AddRiskFlags(set, *flags);
  set->add_option("--policy", flags->policy_file,
                  "Replace the whole policy by that of this JSON file; -: standard input");
  set->add_flag("--new-round", flags->new_round,
                "Draw new ranks for the lottery or the waiting room, and tell the key of the round before");
  AddExpectVersion(set, flags->expected_version);
  AddYesFlag(set, flags->yes);
  set->footer(absl::StrCat(
      "Nodes follow within a moment by ZooKeeper, otherwise within 6 s. It is not necessary that the SKU exists yet.\n",
      kRiskExample,
      "Examples:\n"
      "  tranchectl door set tv --limit user=5/1s,burst=3 --limit address=50/1s,wait=2s   shows what would change\n"
      "  tranchectl door set tv --lottery 10% --yes        one of ten buyers; 20% later admits these and as many more\n"
      "  tranchectl door set tv --token --challenge 12,delay=60s --yes\n"
      "  tranchectl door set tv --risk risk.json --yes     door test says which tier a buyer is in\n"
      "  tranchectl door set tv --room 200/s --token --limit user=10/10s --yes   a waiting room: see door rooms\n"
      "  tranchectl door set tv --hold-room --yes\n"
      "  tranchectl door set tv --no-lottery --no-limit address --yes\n"
      "  tranchectl door set '*' --policy policy.json --yes"));
  set->callback([&session, flags] { SetPolicy(session, *flags); });
}

// Of a command about a policy as a whole.
void AddDoorPolicyCommand(CLI::App* door, Session& session, const char* name, const char* description,
                          const char* footer, void (*run)(Session&, const DoorPolicyFlags&)) {
  auto flags = std::make_shared<DoorPolicyFlags>();
  CLI::App* command = door->add_subcommand(name, description);
  AddDoorSkuArgument(command, flags->sku_id);
  AddExpectVersion(command, flags->expected_version);
  AddYesFlag(command, flags->yes);
  command->footer(footer);
  command->callback([&session, flags, run] { run(session, *flags); });
}

void AddDoorRounds(CLI::App* door, Session& session) {
  auto sku_id = std::make_shared<std::string>();
  CLI::App* rounds = door->add_subcommand(
      "rounds", "A SKU's rounds of its lottery or waiting room, also those of '*': all to check a rank with");
  AddSkuArgument(rounds, *sku_id);
  rounds->footer(
      "The key of a round is told when it has ended; until then only its hash (SHA-256), which buyers see, too.\n"
      "Example:\n  tranchectl door rounds tv -o wide");
  rounds->callback([&session, sku_id] { ShowRounds(session, *sku_id); });
}

}  // namespace

void AddDoorCommands(CLI::App& app, Session& session) {
  CLI::App* door = app.add_subcommand("door", "The front door: who may try to buy");
  door->require_subcommand(1);
  door->footer(
      "Example:\n"
      "  tranchectl door set tv --limit user=5/1s --token --yes\n"
      "  tranchectl door test --sku tv --user alice");
  AddDoorShow(door, session);
  AddDoorSet(door, session);
  AddDoorPolicyCommand(door, session, "remove", "Remove the policy of a SKU: that of '*' counts, if there is one",
                       "The round of its lottery ends, and its key is told.\n"
                       "Example:\n  tranchectl door remove tv --yes",
                       &RemovePolicy);
  AddDoorPolicyCommand(door, session, "round", "Begin a new round of the lottery, or of the waiting room: new ranks",
                       "The round before ends, and its key is told. Tokens that buyers have stay good. In a waiting\n"
                       "room all places end: before the sale opens all are shuffled anew, after it they join at\n"
                       "the end. That cannot be taken back: docs/waiting-room.md says what to do after a round that\n"
                       "nobody wanted.\n"
                       "To admit fewer: door set SKU --lottery 5% --new-round.\n"
                       "Example:\n  tranchectl door round tv --yes",
                       &BeginRound);
  AddDoorRounds(door, session);
  AddDoorRoomCommands(door, session);
  AddDoorListCommands(door, session);
  AddDoorKeyCommands(door, session);
  AddDoorModeCommand(door, session);
  AddDoorTestCommand(door, session);
}

}  // namespace tranche::ctl
