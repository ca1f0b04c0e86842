// tranchectl group list|show|cancel; what groups are offered in is in group_offer_commands.cc

#include <algorithm>
#include <cstddef>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/ctl/commands.h"
#include "client/ctl/group_view.h"
#include "storage/base/status_macros.h"
#include "tranche/error.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;
using tranche::v1::GroupService;

constexpr int kLargestGroupPage = 1000;
// So many groups of a SKU form at the same time, at most.
constexpr int kMostGroupsThatForm = 10'000;
// How often a long run says how far it is, in groups.
constexpr int kGroupsPerLine = 500;
// Then the cluster does not answer, or the SKU is locked: the others would fail as well.
constexpr size_t kMostGroupFailures = 20;

// With its members: then it is not what a node remembers of it, but as the ledger has it now.
absl::StatusOr<tranche::v1::GetGroupResponse> FindGroup(Session& session, const std::string& group_id,
                                                        const std::string& sku_id) {
  tranche::v1::GetGroupRequest request;
  request.set_group_id(group_id);
  request.set_sku_id(sku_id);
  request.set_with_members(true);
  return session.Groups(&GroupService::Stub::GetGroup, request);
}

// By deadline, page by page; with a next_page_token if there may be more than the limit.
absl::StatusOr<tranche::v1::ListGroupsResponse> FindGroups(Session& session, tranche::v1::ListGroupsRequest request,
                                                           int limit) {
  tranche::v1::ListGroupsResponse all;
  do {
    request.set_page_size(std::min(kLargestGroupPage, limit - all.groups_size()));
    ASSIGN_OR_RETURN(const auto page, session.Groups(&GroupService::Stub::ListGroups, request));
    all.mutable_groups()->MergeFrom(page.groups());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty() && all.groups_size() < limit);
  all.set_next_page_token(request.page_token());
  return all;
}

struct GroupListFlags {
  std::string sku_id;
  std::string offer_id;
  std::vector<std::string> states;
  int limit = 1000;
};

tranche::v1::ListGroupsRequest GroupsMeant(const GroupListFlags& flags) {
  tranche::v1::ListGroupsRequest request;
  request.set_sku_id(flags.sku_id);
  request.set_offer_id(flags.offer_id);
  for (const std::string& name : flags.states) {
    tranche::v1::GroupState state;
    // The flag's own check has validated it.
    if (tranche::v1::GroupState_Parse(absl::StrCat("GROUP_STATE_", name), &state)) request.add_states(state);
  }
  return request;
}

void ListGroups(Session& session, const GroupListFlags& flags) {
  auto all = FindGroups(session, GroupsMeant(flags), flags.limit);
  if (!all.ok()) return session.FailRemotely(all.status());
  const bool more = !all->next_page_token().empty();
  all->clear_next_page_token();  // of the page, not of what is shown
  if (all->groups().empty() && !session.SkuExists(flags.sku_id)) return;
  PrintGroups(session, *all);
  if (more) {
    session.err() << "There may be more than these " << all->groups_size() << ": --limit shows more.\n";
  } else if (all->groups().empty()) {
    session.err() << (flags.states.empty() ? "No group forms; --state shows those that are over.\n"
                                           : "There is no such group.\n");
  }
}

struct GroupShowFlags {
  std::string group_id;
  std::string sku_id;
};

void ShowGroup(Session& session, const GroupShowFlags& flags) {
  const auto group = FindGroup(session, flags.group_id, flags.sku_id);
  if (!group.ok()) return session.FailRemotely(group.status());
  PrintGroup(session, *group);
}

struct GroupCancelFlags {
  std::string group_id;
  std::string sku_id;
  std::string offer_id;  // all of it that form, instead of one
  std::string reason;
  bool yes = false;
};

void CancelGroup(Session& session, const GroupCancelFlags& flags) {
  const auto before = FindGroup(session, flags.group_id, flags.sku_id);
  if (!before.ok()) return session.FailRemotely(before.status());
  tranche::v1::CancelGroupRequest request;
  request.set_group_id(flags.group_id);
  request.set_sku_id(flags.sku_id);
  request.set_reason(flags.reason);
  request.set_preview(!flags.yes);
  const auto cancelled = session.Admin(&AdminService::Stub::CancelGroup, request);
  if (!cancelled.ok()) return session.FailRemotely(cancelled.status());
  PrintCancelledGroup(session, before->group(), cancelled->group(), !flags.yes);
}

// One after the other: each needs the row of the SKU, which is the same.
CancelledGroups CancelEach(Session& session, const GroupCancelFlags& flags,
                           const tranche::v1::ListGroupsResponse& forming) {
  CancelledGroups done;
  tranche::v1::CancelGroupRequest request;
  request.set_sku_id(flags.sku_id);
  request.set_reason(flags.reason);
  for (int i = 0; i < forming.groups_size() && done.failures.size() < kMostGroupFailures; ++i) {
    request.set_group_id(forming.groups(i).group_id());
    const auto cancelled = session.Admin(&AdminService::Stub::CancelGroup, request);
    const Reason why = ReasonOf(cancelled.status());
    if (cancelled.ok()) {
      *done.groups.add_groups() = cancelled->group();
    } else if (why == Reason::kGroupOver || why == Reason::kGroupNotFound) {
      ++done.over;
    } else {
      done.failures.push_back({request.group_id(), DescribeError(cancelled.status())});
    }
    if ((i + 1) % kGroupsPerLine == 0) session.err() << i + 1 << " groups so far\n" << std::flush;
  }
  return done;
}

void CancelGroupsOfOffer(Session& session, const GroupCancelFlags& flags) {
  tranche::v1::ListGroupsRequest request;
  request.set_sku_id(flags.sku_id);
  request.set_offer_id(flags.offer_id);
  const auto forming = FindGroups(session, request, kMostGroupsThatForm);
  if (!forming.ok()) return session.FailRemotely(forming.status());
  if (forming->groups().empty() && !session.SkuExists(flags.sku_id)) return;
  if (flags.yes) return PrintCancelledGroups(session, CancelEach(session, flags, *forming));
  CancelledGroups meant;
  meant.groups = *forming;
  meant.preview = true;
  PrintCancelledGroups(session, meant);
}

CLI::Option* AddGroupArgument(CLI::App* command, std::string& group_id) {
  return command->add_option("GROUP_ID", group_id, "Its UUID, as in `tranchectl group list SKU`")->required();
}

void AddSkuOfGroup(CLI::App* command, std::string& sku_id) {
  TakesNameOf(NameKind::kSku,
              command->add_option("--sku", sku_id, "Its SKU: needed if two shards have a group of this id"));
}

void AddGroupList(CLI::App* group, Session& session) {
  auto flags = std::make_shared<GroupListFlags>();
  CLI::App* list = group->add_subcommand("list", "The groups of a SKU, those that end next first");
  AddSkuArgument(list, flags->sku_id);
  list->add_option("--offer", flags->offer_id, "Only those that were opened with this offer");
  TakesOneOf(
      list->add_option("--state", flags->states, "Only these, separated by commas; without this flag, those that form")
          ->delimiter(','),
      {"FORMING", "FILLED", "FAILED", "CANCELLED"});
  list->add_option("--limit", flags->limit, "At most so many")->capture_default_str()->check(CLI::Range(1, 10000000));
  list->footer(
      "A seat is taken by a payment: members who have not paid do not count.\n"
      "Examples:\n"
      "  tranchectl group list ps5\n"
      "  tranchectl group list ps5 --offer trio --state FAILED,CANCELLED -o wide    also when, and why\n"
      "  tranchectl group list ps5 -o json | jq -r .groups[].group_id");
  list->callback([&session, flags] { ListGroups(session, *flags); });
}

void AddGroupShow(CLI::App* group, Session& session) {
  auto flags = std::make_shared<GroupShowFlags>();
  CLI::App* show = group->add_subcommand("show", "A group, how much time it has left, and its members");
  AddGroupArgument(show, flags->group_id);
  AddSkuOfGroup(show, flags->sku_id);
  show->footer(
      "Members with a seat come first, those who have left last; each in the order of joining. Who has no seat has\n"
      "not paid. A member with a seat is PENDING until the group is full. The state \"FILLED, in part\" is of a group\n"
      "that was sold at its deadline to those who had paid.\n"
      "Examples:\n"
      "  tranchectl group show 01890a5d-ac96-774b-bcce-b302099a8057\n"
      "  tranchectl group show 01890a5d-ac96-774b-bcce-b302099a8057 -o wide    also when they joined");
  show->callback([&session, flags] { ShowGroup(session, *flags); });
}

void AddGroupCancel(CLI::App* group, Session& session) {
  auto flags = std::make_shared<GroupCancelFlags>();
  CLI::App* cancel = group->add_subcommand("cancel", "End a group that forms: holds end, and payments are refunded");
  AddGroupArgument(cancel, flags->group_id)->required(false);
  AddSkuOfGroup(cancel, flags->sku_id);
  cancel->add_option("--offer", flags->offer_id, "Instead of one: all that form of this offer of --sku");
  cancel->add_option("--reason", flags->reason,
                     "Shown with the group; messages say GROUP_CANCELLED. At most 256 bytes");
  AddYesFlag(cancel, flags->yes);
  cancel->footer(
      "Refunds are asked for through the outbox, as those of late payments. A filled group is sold: its reservations\n"
      "are changed one by one. Close the offer first, so that no others are opened: `tranchectl group offer close`.\n"
      "With --offer they are ended one by one; if that breaks off, run it again.\n"
      "Examples:\n"
      "  tranchectl group cancel 01890a5d-ac96-774b-bcce-b302099a8057        shows what would change\n"
      "  tranchectl group cancel 01890a5d-ac96-774b-bcce-b302099a8057 --reason 'not delivered' --yes\n"
      "  tranchectl group cancel --sku ps5 --offer trio --reason 'the price was wrong' --yes");
  cancel->callback([&session, flags] {
    const bool all = !flags->offer_id.empty();
    if (all == !flags->group_id.empty() || (all && flags->sku_id.empty())) {
      return session.FailLocally("name a group, or --sku and --offer");
    }
    session.GiveReason(flags->reason);
    all ? CancelGroupsOfOffer(session, *flags) : CancelGroup(session, *flags);
  });
}

}  // namespace

void AddGroupCommands(CLI::App& app, Session& session) {
  CLI::App* group = app.add_subcommand("group", "Group buying: a better price for buyers who find enough others");
  group->require_subcommand(1);
  group->footer(
      "Example:\n"
      "  tranchectl group offer create ps5 trio --seats 3 --price 399.00 --open-for 24h --yes\n"
      "  tranchectl group list ps5\n"
      "  tranchectl group show 01890a5d-ac96-774b-bcce-b302099a8057");
  AddGroupOfferCommands(group, session);
  AddGroupList(group, session);
  AddGroupShow(group, session);
  AddGroupCancel(group, session);
}

}  // namespace tranche::ctl
