// tranchectl quota show|set|move|rebalance|freeze|thaw

#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/ctl/change_view.h"
#include "client/ctl/commands.h"
#include "client/ctl/hints.h"
#include "client/ctl/live_view.h"
#include "client/ctl/parse.h"
#include "client/ctl/quota_view.h"
#include "client/ctl/sku_view.h"
#include "storage/base/status_macros.h"
#include "tranche/error.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;

struct ChangeFlags {
  std::string sku_id;
  int64_t expected_version = 0;
  bool yes = false;
};

absl::StatusOr<tranche::v1::Quota> Look(Session& session, const std::string& sku_id) {
  tranche::v1::GetQuotaRequest request;
  request.set_sku_id(sku_id);
  ASSIGN_OR_RETURN(const auto response, session.Admin(&AdminService::Stub::GetQuota, request));
  return response.quota();
}

void ShowOnce(Session& session, const std::string& sku_id) {
  const auto quota = Look(session, sku_id);
  if (!quota.ok()) return session.FailRemotely(quota.status());
  PrintQuota(session, *quota);
  if (!LooksStuck(*quota)) return;
  const auto sku = session.AskForSku(sku_id);
  if (!sku.has_value()) return;
  const auto state = session.AskForStatus();
  if (!state.has_value()) return;
  for (const Cause& cause : CausesOf(*quota, *sku, *state)) {
    session.err() << "note: " << cause.text << "\nnext: " << cause.next_step << "\n";
  }
}

void Watch(Session& session, const std::string& sku_id, const std::string& interval_text) {
  const absl::StatusOr<absl::Duration> interval = OfFlag("--interval", ParseDuration(interval_text));
  if (!interval.ok()) return session.FailLocally(interval.status().message());
  WatchLive<tranche::v1::Quota>(
      session, *interval, [&] { return Look(session, sku_id); },
      [&](const tranche::v1::Quota& quota) { PrintQuota(session, quota, JsonForm::kOneLine); });
}

template <typename Response>
void PrintChange(Session& session, const Response& response, bool preview) {
  nlohmann::ordered_json more = nlohmann::ordered_json::object();
  if constexpr (requires { response.units_moved(); }) more["units_moved"] = absl::StrCat(response.units_moved());
  if constexpr (requires { response.warnings(); }) {
    more["warnings"] = WarningsJson(response);
    PrintWarnings(session, response);
  }
  PrintQuotaChange(session, response.before(), response.after(), preview, more);
}

// Balancers and nodes may move units of the SKU all the time.
constexpr int kMostPreviews = 10;

// A change is always previewed first; it is carried out only if the quota is still the one that was previewed. If it is
// not, nothing was changed: unless the operator insists on a version, the new quota is previewed.
template <typename Request, typename Response>
void Change(Session& session, Request request, const ChangeFlags& flags,
            grpc::Status (AdminService::Stub::*method)(grpc::ClientContext*, const Request&, Response*)) {
  request.set_sku_id(flags.sku_id);
  for (int previews = 1;; ++previews) {
    request.set_preview(true);
    request.set_expected_quota_version(flags.expected_version);
    const auto preview = session.Admin(method, request);
    if (!preview.ok()) return session.FailRemotely(preview.status());
    if (!flags.yes) return PrintChange(session, *preview, /*preview=*/true);
    request.set_preview(false);
    request.set_expected_quota_version(preview->before().quota_version());
    const auto done = session.Admin(method, request);
    if (done.ok()) return PrintChange(session, *done, /*preview=*/false);
    const bool again = flags.expected_version == 0 && ReasonOf(done.status()) == Reason::kQuotaVersionChanged;
    if (!again || previews == kMostPreviews) return session.FailRemotely(done.status());
  }
}

void SetFrozen(Session& session, const std::string& sku_id, bool frozen, bool yes) {
  tranche::v1::SetQuotaFrozenRequest request;
  request.set_sku_id(sku_id);
  request.set_frozen(frozen);
  request.set_preview(!yes);
  const auto response = session.Admin(&AdminService::Stub::SetQuotaFrozen, request);
  if (!response.ok()) return session.FailRemotely(response.status());
  PrintSkuChange(session, response->before(), response->sku(), {.preview = !yes});
}

void AddChangeFlags(CLI::App* command, ChangeFlags& flags) {
  AddYesFlag(command, flags.yes);
  command->add_option("--expect-version", flags.expected_version,
                      "Refuse unless the quota version is still this one, as printed by the preview");
}

void AddShow(CLI::App* quota, Session& session) {
  struct Flags {
    std::string sku_id;
    bool watch = false;
    std::string interval = "1s";
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* show = quota->add_subcommand("show", "Who holds how many unsold units of a SKU");
  AddSkuArgument(show, flags->sku_id);
  show->add_flag("-w,--watch", flags->watch, "Show it again and again, with the time, until it is interrupted");
  show->add_option("--interval", flags->interval, "Time between two looks of --watch")->capture_default_str();
  show->footer(
      "REMAINING is the ledger's (with -o wide also ALLOTTED and SPENT); FREE and the rates, in units, are the node's "
      "own,\n"
      "as of its last REPORT. DENIALS/S: not at hand while units may be unsold elsewhere; the balancer moves some "
      "there.\n"
      "REFUSED/S: refused because no node has them; more stock would sell. LAGS marks a node that has not been told of "
      "the\n"
      "last change of its units yet.\n"
      "--watch goes on when the cluster does not answer: the last view stays, marked STALE with its time. Where it "
      "cannot\n"
      "be drawn anew, as in a file or as JSON, stderr says so.\n"
      "Examples:\n"
      "  tranchectl quota show tv --watch\n"
      "  tranchectl quota show tv -o wide\n"
      "  tranchectl quota show tv --watch -o json    one JSON object per line");
  show->callback([&session, flags] {
    if (flags->watch) {
      Watch(session, flags->sku_id, flags->interval);
    } else {
      ShowOnce(session, flags->sku_id);
    }
  });
}

void AddSet(CLI::App* quota, Session& session) {
  struct Flags : ChangeFlags {
    std::string node;
    int64_t remaining = 0;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* set =
      quota->add_subcommand("set", "Set what one node may still sell; the other nodes give or get the difference");
  AddSkuArgument(set, flags->sku_id);
  TakesNameOf(NameKind::kNode,
              set->add_option("NODE", flags->node, "Its name or incarnation, as in `tranchectl node list`"))
      ->required();
  set->add_option("UNITS", flags->remaining, "Units it shall have left")->required()->check(CLI::Range(0, 1000000000));
  AddChangeFlags(set, *flags);
  set->footer("Examples:\n  tranchectl quota set tv node-3 200\n  tranchectl quota set tv node-3 200 --yes");
  set->callback([&session, flags] {
    tranche::v1::SetQuotaRequest request;
    request.set_node(flags->node);
    request.set_remaining(flags->remaining);
    Change(session, request, *flags, &AdminService::Stub::SetQuota);
  });
}

void AddMove(CLI::App* quota, Session& session) {
  struct Flags : ChangeFlags {
    std::string from;
    std::string to;
    int64_t units = 0;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* move = quota->add_subcommand("move", "Move units from one node, or the pool, to another");
  AddSkuArgument(move, flags->sku_id);
  move->add_option("UNITS", flags->units, "How many; never more than remain at the source")
      ->required()
      ->check(CLI::Range(1, 1000000000));
  TakesNameOf(NameKind::kNodeOrPool, move->add_option("--from", flags->from, "A node's name or incarnation, or pool"))
      ->required();
  TakesNameOf(NameKind::kNodeOrPool, move->add_option("--to", flags->to, "A node's name or incarnation, or pool"))
      ->required();
  AddChangeFlags(move, *flags);
  move->footer(
      "Units in the pool go to nodes again, unless the quota is frozen.\n"
      "Examples:\n"
      "  tranchectl quota move tv --from node-1 --to node-2 100\n"
      "  tranchectl quota freeze tv --yes && tranchectl quota move tv --from node-1 --to pool 100 --yes");
  move->callback([&session, flags] {
    tranche::v1::MoveQuotaRequest request;
    request.set_from(flags->from);
    request.set_to(flags->to);
    request.set_units(flags->units);
    Change(session, request, *flags, &AdminService::Stub::MoveQuota);
  });
}

void Rebalance(Session& session, const ChangeFlags& flags, const std::string& policy,
               const std::vector<std::string>& weights) {
  tranche::v1::RebalanceQuotaRequest request;
  request.set_policy(policy == "demand"    ? tranche::v1::REBALANCE_POLICY_DEMAND
                     : policy == "weights" ? tranche::v1::REBALANCE_POLICY_WEIGHTS
                                           : tranche::v1::REBALANCE_POLICY_EQUAL);
  if (policy == "weights" && weights.empty()) return session.FailLocally("--policy weights needs --weight NODE=WEIGHT");
  if (policy != "weights" && !weights.empty()) return session.FailLocally("--weight goes with --policy weights");
  for (const std::string& text : weights) {
    const absl::StatusOr<NodeWeight> weight = OfFlag("--weight", ParseNodeWeight(text));
    if (!weight.ok()) return session.FailLocally(weight.status().message());
    tranche::v1::NodeWeight* added = request.add_weights();
    added->set_node(weight->node);
    added->set_weight(weight->weight);
  }
  Change(session, request, flags, &AdminService::Stub::RebalanceQuota);
}

void AddRebalance(CLI::App* quota, Session& session) {
  struct Flags : ChangeFlags {
    std::string policy = "equal";
    std::vector<std::string> weights;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* rebalance = quota->add_subcommand("rebalance", "Spread the unsold units over the nodes that serve");
  AddSkuArgument(rebalance, flags->sku_id);
  TakesOneOf(rebalance->add_option(
                 "--policy", flags->policy,
                 "equal; demand: in proportion to what the nodes are asked for per second; weights: to --weight"),
             {"equal", "demand", "weights"})
      ->capture_default_str();
  // One value per flag; otherwise a SKU after it would be taken for another value.
  rebalance
      ->add_option("--weight", flags->weights,
                   "NODE=WEIGHT, once for each node; nodes without one are left with nothing")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
  AddChangeFlags(rebalance, *flags);
  rebalance->footer(
      "Examples:\n"
      "  tranchectl quota rebalance tv --yes\n"
      "  tranchectl quota rebalance tv --policy demand\n"
      "  tranchectl quota rebalance tv --policy weights --weight node-1=3 --weight node-2=1");
  rebalance->callback([&session, flags] { Rebalance(session, *flags, flags->policy, flags->weights); });
}

void AddFreezeAndThaw(CLI::App* quota, Session& session) {
  struct Kind {
    const char* name;
    bool frozen;
    const char* description;
    const char* note;
  };
  for (const Kind& kind :
       {Kind{"freeze", true, "Balancer and nodes leave the units where they are; operators may still move them",
             "Units of a dead node still go to the pool.\n"},
        Kind{"thaw", false, "Balancer and nodes move units again", ""}}) {
    auto sku_id = std::make_shared<std::string>();
    auto yes = std::make_shared<bool>(false);
    CLI::App* command = quota->add_subcommand(kind.name, kind.description);
    AddSkuArgument(command, *sku_id);
    AddYesFlag(command, *yes);
    command->footer(absl::StrCat(kind.note, "Example:\n  tranchectl quota ", kind.name, " tv --yes"));
    command->callback([&session, sku_id, yes, frozen = kind.frozen] { SetFrozen(session, *sku_id, frozen, *yes); });
  }
}

}  // namespace

void AddQuotaCommands(CLI::App& app, Session& session) {
  CLI::App* quota = app.add_subcommand("quota", "How a SKU's unsold units are divided among the nodes");
  quota->require_subcommand(1);
  quota->footer("Example:\n  tranchectl quota show tv --watch");
  AddShow(quota, session);
  AddSet(quota, session);
  AddMove(quota, session);
  AddRebalance(quota, session);
  AddFreezeAndThaw(quota, session);
}

}  // namespace tranche::ctl
