#include "client/ctl/queue_view.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/ctl/change_view.h"
#include "client/ctl/parse.h"

namespace tranche::ctl {
namespace {

using tranche::v1::DeadClaim;

std::string SkuText(const DeadClaim& dead) {
  if (dead.lines() == 0) return "(unreadable)";
  return dead.lines() == 1 ? dead.sku_id() : absl::StrCat(dead.sku_id(), " +", dead.lines() - 1);
}

std::string TimeOf(bool known, const google::protobuf::Timestamp& time) { return known ? FormatTime(time) : ""; }

Table DeadTable(const Session& session, const google::protobuf::RepeatedPtrField<DeadClaim>& claims) {
  std::vector<std::string> columns = {"CLAIM", "QUEUE", "SKU", "USER", "REASON"};
  if (session.wide()) columns.insert(columns.end(), {"DELIVERED", "QUEUED", "DIED", "DEADLINE"});
  Table table(columns);
  for (const DeadClaim& dead : claims) {
    std::vector<std::string> row = {dead.message_id(), dead.queue(), SkuText(dead), dead.user_id(), dead.reason()};
    if (session.wide()) {
      row.insert(row.end(),
                 {absl::StrCat(dead.deliveries()), TimeOf(dead.has_enqueue_time(), dead.enqueue_time()),
                  TimeOf(dead.has_dead_time(), dead.dead_time()), TimeOf(dead.has_deadline(), dead.deadline())});
    }
    table.AddRow(std::move(row));
  }
  return table;
}

}  // namespace

void PrintClaimQueues(Session& session, const tranche::v1::ListClaimQueuesResponse& queues, bool one_line) {
  if (session.json()) return one_line ? session.PrintJsonLine(queues) : session.PrintJson(queues);
  Table table({"QUEUE", "SHARD", "READY", "CONSUMERS", "DEAD"});
  for (const tranche::v1::ClaimQueueState& queue : queues.queues()) {
    table.AddRow({queue.queue(), queue.shard(), absl::StrCat(queue.ready()), absl::StrCat(queue.consumers()),
                  absl::StrCat(queue.dead())});
  }
  session.Print(table);
  if (!queues.has_paused()) {
    session.err() << "Whether consumers rest is not known: home's ledger does not answer.\n";
  } else if (queues.paused()) {
    session.err() << "Consumers rest: `tranchectl queue resume --yes` lets them go on.\n";
  }
}

void PrintDeadClaims(Session& session, const tranche::v1::ListDeadClaimsResponse& dead) {
  if (session.json()) return session.PrintJson(dead);
  session.Print(DeadTable(session, dead.claims()));
}

void PrintDeadClaim(Session& session, const DeadClaim& dead) {
  if (session.json()) return session.PrintJson(dead);
  Table table({"FIELD", "VALUE"});
  table.AddRow({"claim", dead.message_id()});
  table.AddRow({"queue", dead.queue()});
  table.AddRow({"reason", dead.reason()});
  table.AddRow({"delivered", absl::StrCat(dead.deliveries())});
  table.AddRow({"died", TimeOf(dead.has_dead_time(), dead.dead_time())});
  table.AddRow({"sku", SkuText(dead)});
  if (dead.lines() > 0) {
    table.AddRow({"reservation", dead.reservation_id()});
    if (!dead.group_id().empty()) table.AddRow({"group", dead.group_id()});
    table.AddRow({"user", dead.user_id()});
    table.AddRow({"units", absl::StrCat(dead.quantity())});
    table.AddRow({"lines", absl::StrCat(dead.lines())});
    table.AddRow({"queued", TimeOf(dead.has_enqueue_time(), dead.enqueue_time())});
    table.AddRow({"deadline", TimeOf(dead.has_deadline(), dead.deadline())});
  }
  session.Print(table);
}

void PrintSettled(Session& session, const tranche::v1::SettleDeadClaimsResponse& settled, bool preview) {
  PrintWarnings(session, settled);
  if (session.json()) {
    nlohmann::ordered_json all = {{"preview", preview}};
    all.update(ToJson(settled));
    session.out() << all.dump(1) << "\n";
    return;
  }
  session.Print(DeadTable(session, settled.claims()));
  const int more = settled.settled() - settled.claims_size();
  if (more > 0) session.out() << "and " << more << " more\n";
}

}  // namespace tranche::ctl
