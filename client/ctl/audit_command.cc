// tranchectl audit

#include <algorithm>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/ctl/audit_view.h"
#include "client/ctl/commands.h"
#include "client/ctl/parse.h"

namespace tranche::ctl {
namespace {

struct AuditFlags {
  std::string sku_id;
  std::string actor;
  std::string action;
  std::string since;
  std::string until;
  bool automatic = false;
  int limit = 50;
  bool all = false;
  std::string page_token;
};

constexpr int kLargestPage = 1000;
// A slow list is not asked again at every other node.
constexpr absl::Duration kListPatience = absl::Seconds(30);

absl::Status SetWhen(absl::string_view flag, const std::string& text, google::protobuf::Timestamp* time) {
  ASSIGN_OR_RETURN(const absl::Time when, OfFlag(flag, ParseWhen(text, absl::Now())));
  const int64_t seconds = absl::ToUnixSeconds(when);
  time->set_seconds(seconds);
  time->set_nanos(static_cast<int32_t>((when - absl::FromUnixSeconds(seconds)) / absl::Nanoseconds(1)));
  return absl::OkStatus();
}

absl::StatusOr<tranche::v1::ListAuditRequest> AuditRequestFor(const AuditFlags& flags) {
  tranche::v1::ListAuditRequest request;
  request.set_sku_id(flags.sku_id);
  request.set_actor(flags.actor);
  request.set_action(flags.action);
  request.set_automatic(flags.automatic);
  request.set_page_token(flags.page_token);
  if (!flags.since.empty()) RETURN_IF_ERROR(SetWhen("--since", flags.since, request.mutable_since()));
  if (!flags.until.empty()) RETURN_IF_ERROR(SetWhen("--until", flags.until, request.mutable_until()));
  return request;
}

// The request then asks for the next one; without a token, there is none.
absl::StatusOr<tranche::v1::ListAuditResponse> NextPage(Session& session, tranche::v1::ListAuditRequest& request) {
  ASSIGN_OR_RETURN(tranche::v1::ListAuditResponse page,
                   session.Admin(&tranche::v1::AdminService::Stub::ListAudit, request, kListPatience));
  request.set_page_token(page.next_page_token());
  return page;
}

void List(Session& session, tranche::v1::ListAuditRequest request, int limit) {
  tranche::v1::ListAuditResponse all;
  std::set<std::string> silent;
  do {
    request.set_page_size(std::min(limit - all.entries_size(), kLargestPage));
    const auto page = NextPage(session, request);
    if (!page.ok()) return session.FailRemotely(page.status());
    all.mutable_entries()->MergeFrom(page->entries());
    silent.insert(page->silent_shards().begin(), page->silent_shards().end());
  } while (!request.page_token().empty() && all.entries_size() < limit);
  all.set_next_page_token(request.page_token());
  for (const std::string& shard : silent) all.add_silent_shards(shard);
  PrintAudit(session, all);
  for (const std::string& shard : silent) {
    session.err() << "warning: the shard " << shard << " does not answer: its entries are missing\n";
  }
  if (!request.page_token().empty()) {
    session.err() << "There are more: --limit N shows more, --page-token " << request.page_token() << " goes on.\n";
  } else if (all.entries().empty() && !request.automatic()) {
    session.err() << "No person did anything like that. --automatic also shows what processes did.\n";
  }
}

void SayWhyNotComplete(Session& session, const absl::StatusOr<tranche::v1::ListAuditResponse>& page) {
  if (!page.ok()) return session.FailRemotely(page.status());
  session.err() << "tranchectl: shards do not answer: " << absl::StrJoin(page->silent_shards(), ", ") << "\n";
  session.exit_code = kExitRemote;
}

// Page by page, so of any length. An entry a line: what was written before an error is whole.
void Export(Session& session, tranche::v1::ListAuditRequest request) {
  request.set_page_size(kLargestPage);
  int64_t written = 0;
  do {
    const std::string from = request.page_token();
    const auto page = NextPage(session, request);
    if (!page.ok() || !page->silent_shards().empty()) {
      SayWhyNotComplete(session, page);
      session.err() << "NOT COMPLETE: " << written << " entries were written. "
                    << (from.empty() ? "Run it again." : absl::StrCat("To go on: --page-token ", from)) << "\n";
      return;
    }
    for (const tranche::v1::AuditEntry& entry : page->entries()) session.PrintJsonLine(entry);
    written += page->entries_size();
    if (!session.out().flush()) return;  // as on a full disk: told at the end
  } while (!request.page_token().empty());
}

void Audit(Session& session, const AuditFlags& flags) {
  if (flags.all && !session.json()) return session.FailLocally("--all writes JSON, an entry a line: add -o json");
  const auto request = AuditRequestFor(flags);
  if (!request.ok()) return session.FailLocally(request.status().message());
  if (flags.all) return Export(session, *request);
  List(session, *request, flags.limit);
}

}  // namespace

void AddAuditCommand(CLI::App& app, Session& session) {
  auto flags = std::make_shared<AuditFlags>();
  CLI::App* audit = app.add_subcommand("audit", "Who changed what, when, why, from what to what");
  TakesNameOf(NameKind::kSku, audit->add_option("--sku", flags->sku_id, "Only what concerns this SKU"));
  audit->add_option("--actor", flags->actor,
                    "Only what they did, whomever they acted for: alice, or alice@laptop for one machine");
  audit->add_option("--action", flags->action, "Only this, as in the column ACTION: add_stock");
  // Every other list has this verb.
  audit->add_subcommand("list", "The same")->group("");
  audit->add_option("--since", flags->since, "Not before: a time (RFC 3339), or how long ago, such as 2h");
  audit->add_option("--until", flags->until, "Before: likewise");
  audit->add_flag("--automatic", flags->automatic, "Also what processes did by themselves");
  CLI::Option* const limit = audit->add_option("--limit", flags->limit, "How many entries, the newest first")
                                 ->capture_default_str()
                                 ->check(CLI::Range(1, 100000));
  audit->add_flag("--all", flags->all, "Every entry, however many: an export, with -o json an entry a line")
      ->excludes(limit);
  audit->add_option("--page-token", flags->page_token,
                    "Goes on where a list of before ended, with the same filters: the token that it told");
  audit->footer(
      "#17 is incarnation 17, as in `tranchectl node list`. Moves that no person asked for are in no log.\n"
      "With --automatic also \"reclaim\", which took back what a node that has ended had left; \"balancer\",\n"
      "which acted after a restore, or on an announcement that the ledger had not made; workers and nodes.\n"
      "Actions of SKUs: create_sku, update_sku, pause_sku, resume_sku, close_sku, reopen_sku, add_stock,\n"
      "reduce_stock, move_units (every change of quota), freeze_quota, thaw_quota, begin_move_sku, move_sku,\n"
      "abort_move_sku; of callers who may not: denied_call; of nodes and shards: drain_incarnation,\n"
      "undrain_incarnation, freeze_cluster, thaw_cluster, add_shard, adopt_shard, rebuild_coordination; of\n"
      "reservations: create_reservation, confirm_reservation, cancel_reservation, extend_reservation,\n"
      "reconcile_payment, mark_refunded; of messages: retry_outbox, retry_outbox_message, discard_outbox_message,\n"
      "add_outbox_sink, remove_outbox_sink; of the front door: set_front_policy, remove_front_policy,\n"
      "begin_lottery_round, add_access_entries, remove_access_entries, rotate_front_keys, replace_front_keys, "
      "set_service_mode;\n"
      "of draws: create_draw, close_draw, seed_draw, finish_draw, cancel_draw, remove_draw;\n"
      "of groups: create_group_offer, close_group_offer, cancel_group;\n"
      "of claim queues: pause_claim_queues, resume_claim_queues, retry_dead_claims, discard_dead_claims;\n"
      "of processes: reclaim_incarnation, begin_history, give_up_copy, raise_version, register_incarnation.\n"
      "OUTCOME UNKNOWN: the node could not write down what came of it. Look at the reservation.\n"
      "With --since or --until, an entry is left out if the database's clock was an hour wrong, or more, when it\n"
      "was written, or others were written near it. Without them, nothing is.\n"
      "Examples:\n"
      "  tranchectl audit --sku tv --limit 20\n"
      "  tranchectl audit --actor alice --since 24h\n"
      "  tranchectl audit --action cancel_reservation --since 2026-11-27T09:00:00Z -o json | jq -r "
      "'.entries[].reason'\n"
      "  tranchectl audit --automatic --all -o json > audit.jsonl    before workers delete what is old");
  audit->callback([&session, flags] { Audit(session, *flags); });
}

}  // namespace tranche::ctl
