#include "storage/postgres/postgres_health_ledger.h"

#include <algorithm>
#include <exception>
#include <pqxx/pqxx>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "storage/base/status_macros.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/array_literal.h"
#include "storage/postgres/call.h"
#include "storage/postgres/columns.h"

namespace tranche::storage {
namespace {

const char* NameOf(Heartbeat::Kind kind) { return kind == Heartbeat::Kind::kBalancer ? "balancer" : "worker"; }

absl::Duration DurationOf(const pqxx::field& field) { return absl::Microseconds(field.as<int64_t>()); }

constexpr Column<Heartbeat> kHeartbeatTable[] = {
    {"kind",
     [](const pqxx::field& field, Heartbeat* to) {
       to->kind = TextOf(field) == "balancer" ? Heartbeat::Kind::kBalancer : Heartbeat::Kind::kWorker;
     }},
    {"instance", [](const pqxx::field& field, Heartbeat* to) { to->instance = UuidOf(field); }},
    {"name", [](const pqxx::field& field, Heartbeat* to) { to->name = field.c_str(); }},
    {"version", [](const pqxx::field& field, Heartbeat* to) { to->version = field.c_str(); }},
    {"started_us", [](const pqxx::field& field, Heartbeat* to) { to->started_at = TimeOf(field); }},
    {"age_us", [](const pqxx::field& field, Heartbeat* to) { to->age = DurationOf(field); }},
    {"ended", [](const pqxx::field& field, Heartbeat* to) { to->ended = field.as<bool>(); }},
    {"expires", [](const pqxx::field& field, Heartbeat* to) { to->expires = field.as<bool>(); }},
    {"retires", [](const pqxx::field& field, Heartbeat* to) { to->retires = field.as<bool>(); }},
    {"draws", [](const pqxx::field& field, Heartbeat* to) { to->draws = field.as<bool>(); }},
    {"sinks", [](const pqxx::field& field,
                 Heartbeat* to) { to->sinks = absl::StrSplit(std::string(field.c_str()), ',', absl::SkipEmpty()); }},
    {"since_expiry_us", [](const pqxx::field& field, Heartbeat* to) { to->since_expiry = DurationOf(field); }},
    {"leads", [](const pqxx::field& field, Heartbeat* to) { to->leads = field.as<bool>(); }},
    {"leads_for_us", [](const pqxx::field& field, Heartbeat* to) { to->leads_for = DurationOf(field); }},
    {"since_led_us", [](const pqxx::field& field, Heartbeat* to) { to->since_led = DurationOf(field); }},
    {"since_round_us", [](const pqxx::field& field, Heartbeat* to) { to->since_round = DurationOf(field); }},
};

constexpr Column<LedgerHealth> kHealthTable[] = {
    {"read_only", [](const pqxx::field& field, LedgerHealth* to) { to->read_only = field.as<bool>(); }},
    {"database_bytes", [](const pqxx::field& field, LedgerHealth* to) { to->database_bytes = field.as<int64_t>(); }},
    {"connections_used", [](const pqxx::field& field, LedgerHealth* to) { to->connections_used = field.as<int>(); }},
    {"connections_limit", [](const pqxx::field& field, LedgerHealth* to) { to->connections_limit = field.as<int>(); }},
    {"sync_needed", [](const pqxx::field& field, LedgerHealth* to) { to->standbys_needed = field.as<int>(); }},
    {"standbys", [](const pqxx::field& field, LedgerHealth* to) { to->standbys = field.as<int64_t>(); }},
    {"sync_standbys",
     [](const pqxx::field& field, LedgerHealth* to) { to->synchronous_standbys = field.as<int64_t>(); }},
    {"overdue", [](const pqxx::field& field, LedgerHealth* to) { to->overdue_holds = field.as<int64_t>(); }},
    {"oldest_overdue_us", [](const pqxx::field& field, LedgerHealth* to) { to->oldest_overdue = DurationOf(field); }},
    {"refunds", [](const pqxx::field& field, LedgerHealth* to) { to->refunds_waiting = field.as<int64_t>(); }},
    {"oldest_refund_us", [](const pqxx::field& field, LedgerHealth* to) { to->oldest_refund = DurationOf(field); }},
    {"stranded_units", [](const pqxx::field& field, LedgerHealth* to) { to->stranded_units = field.as<int64_t>(); }},
    {"skus", [](const pqxx::field& field, LedgerHealth* to) { to->skus = field.as<int64_t>(); }},
    {"open_skus", [](const pqxx::field& field, LedgerHealth* to) { to->open_skus = field.as<int64_t>(); }},
    {"sold_out_skus", [](const pqxx::field& field, LedgerHealth* to) { to->sold_out_skus = field.as<int64_t>(); }},
    {"paused_skus", [](const pqxx::field& field, LedgerHealth* to) { to->paused_skus = field.as<int64_t>(); }},
    {"frozen", [](const pqxx::field& field, LedgerHealth* to) { to->frozen = field.as<bool>(); }},
    {"frozen_us", [](const pqxx::field& field, LedgerHealth* to) { to->frozen_at = TimeOf(field); }},
    {"frozen_by", [](const pqxx::field& field, LedgerHealth* to) { to->frozen_by = field.c_str(); }},
    {"claims_paused", [](const pqxx::field& field, LedgerHealth* to) { to->claims_paused = field.as<bool>(); }},
};

constexpr Column<OutboxDepth> kDepthTable[] = {
    {"sink", [](const pqxx::field& field, OutboxDepth* to) { to->sink = field.c_str(); }},
    {"pending", [](const pqxx::field& field, OutboxDepth* to) { to->pending = field.as<int64_t>(); }},
    {"dead", [](const pqxx::field& field, OutboxDepth* to) { to->dead = field.as<int64_t>(); }},
    {"oldest_us", [](const pqxx::field& field, OutboxDepth* to) { to->oldest_pending = DurationOf(field); }},
};

constexpr Column<WaitingPool> kPoolTable[] = {
    {"sku_id", [](const pqxx::field& field, WaitingPool* to) { to->sku_id = field.c_str(); }},
    {"version", [](const pqxx::field& field, WaitingPool* to) { to->version = field.as<int64_t>(); }},
    {"units", [](const pqxx::field& field, WaitingPool* to) { to->units = field.as<int64_t>(); }},
};

constexpr Column<GoneIncarnation> kGoneTable[] = {
    {"incarnation_id", [](const pqxx::field& field, GoneIncarnation* to) { to->id = field.as<int64_t>(); }},
    {"node_name", [](const pqxx::field& field, GoneIncarnation* to) { to->node_name = field.c_str(); }},
    {"address", [](const pqxx::field& field, GoneIncarnation* to) { to->address = field.c_str(); }},
    {"started_us", [](const pqxx::field& field, GoneIncarnation* to) { to->started_at = TimeOf(field); }},
    {"ended_us", [](const pqxx::field& field, GoneIncarnation* to) { to->ended_at = TimeOf(field); }},
    {"units", [](const pqxx::field& field, GoneIncarnation* to) { to->units = field.as<int64_t>(); }},
};

constexpr Column<SkuHolds> kHoldsTable[] = {
    {"sku_id", [](const pqxx::field& field, SkuHolds* to) { to->sku_id = field.c_str(); }},
    {"pending", [](const pqxx::field& field, SkuHolds* to) { to->pending = field.as<int64_t>(); }},
    {"more", [](const pqxx::field& field, SkuHolds* to) { to->more = field.as<bool>(); }},
    {"overdue", [](const pqxx::field& field, SkuHolds* to) { to->overdue = field.as<int64_t>(); }},
};

// `key`: a column that the answer must have.
template <typename Struct>
absl::StatusOr<std::vector<Struct>> ReadAll(const absl::StatusOr<pqxx::result>& rows, absl::string_view key,
                                            absl::Span<const Column<Struct>> table) {
  if (!rows.ok()) return rows.status();
  return ReadAnswer(Repeat::kRead, [&] {
    ColumnOf(*rows, key);
    const Columns<Struct> columns(*rows, table);
    std::vector<Struct> read;
    for (const pqxx::row& row : *rows) read.push_back(columns.Read(row));
    return read;
  });
}

void AppendDuration(std::string* json, const char* member, const std::optional<absl::Duration>& duration) {
  if (duration.has_value()) absl::StrAppend(json, ",\"", member, "\":", absl::ToInt64Microseconds(*duration));
}

// Names of sinks need no escaping: outbox_sink lets in [a-z0-9_-] only, and others are left out.
std::string SinksAsJson(const Heartbeat& heartbeat) {
  std::vector<std::string> quoted;
  for (const std::string& sink : heartbeat.sinks) {
    const bool plain = std::all_of(sink.begin(), sink.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
    if (plain && quoted.size() < kMostSinksTold) quoted.push_back(absl::StrCat("\"", sink, "\""));
  }
  return absl::StrCat("[", absl::StrJoin(quoted, ","), "]");
}

const char* JsonOf(bool value) { return value ? "true" : "false"; }

// As list_heartbeats.sql reads it.
std::string DetailsOf(const Heartbeat& heartbeat) {
  std::string json;
  if (heartbeat.kind == Heartbeat::Kind::kWorker) {
    json = absl::StrCat("{\"expires\":", JsonOf(heartbeat.expires), ",\"retires\":", JsonOf(heartbeat.retires),
                        ",\"draws\":", JsonOf(heartbeat.draws), ",\"sinks\":", SinksAsJson(heartbeat));
    AppendDuration(&json, "since_expiry_us", heartbeat.since_expiry);
  } else {
    json = absl::StrCat("{\"leads\":", JsonOf(heartbeat.leads));
    AppendDuration(&json, "leads_for_us", heartbeat.leads_for);
    AppendDuration(&json, "since_led_us", heartbeat.since_led);
    AppendDuration(&json, "since_round_us", heartbeat.since_round);
  }
  return absl::StrCat(json, "}");
}

// From the beat to now.
void Prolong(Heartbeat* heartbeat) {
  for (std::optional<absl::Duration>* since :
       {&heartbeat->since_expiry, &heartbeat->since_led, &heartbeat->since_round}) {
    if (since->has_value()) **since += heartbeat->age;
  }
  if (!heartbeat->leads) {
    heartbeat->leads_for.reset();
  } else {
    heartbeat->since_led = absl::ZeroDuration();
    if (heartbeat->leads_for.has_value()) *heartbeat->leads_for += heartbeat->age;
  }
}

}  // namespace

absl::Status PostgresHealthLedger::Beat(const Heartbeat& heartbeat) {
  // The next one is due soon: this one is not tried again.
  return CallOnce(*pool_, "beat", NameOf(heartbeat.kind), heartbeat.instance.ToString(), heartbeat.name,
                  heartbeat.version, DetailsOf(heartbeat))
      .status();
}

absl::Status PostgresHealthLedger::EndBeat(Heartbeat::Kind kind, const Uuid& instance) {
  return CallOnce(*pool_, "end_beat", NameOf(kind), instance.ToString()).status();
}

absl::StatusOr<std::vector<Heartbeat>> PostgresHealthLedger::Heartbeats() {
  ASSIGN_OR_RETURN(std::vector<Heartbeat> heartbeats,
                   ReadAll<Heartbeat>(Call(*pool_, Repeat::kRead, "list_heartbeats"), "instance", kHeartbeatTable));
  for (Heartbeat& heartbeat : heartbeats) Prolong(&heartbeat);
  return heartbeats;
}

absl::Status PostgresHealthLedger::Ping() {
  ASSIGN_OR_RETURN(auto lease, pool_->Acquire());
  try {
    pqxx::nontransaction query(lease->pq);
    query.exec1("SELECT 1");
    return absl::OkStatus();
  } catch (const std::exception& error) {
    return lease.Failed(error);
  }
}

absl::StatusOr<LedgerHealth> PostgresHealthLedger::Health() {
  ASSIGN_OR_RETURN(auto health, ReadAll<LedgerHealth>(Call(*pool_, Repeat::kRead, "ledger_health", kMostCounted),
                                                      "overdue", kHealthTable));
  if (health.size() != 1) return absl::InternalError("ledger_health did not answer with one row");
  ASSIGN_OR_RETURN(
      health.front().sinks,
      ReadAll<OutboxDepth>(Call(*pool_, Repeat::kRead, "outbox_health", kMostCounted), "sink", kDepthTable));
  ASSIGN_OR_RETURN(
      health.front().pools,
      ReadAll<WaitingPool>(Call(*pool_, Repeat::kRead, "waiting_pools", kMostPoolsTold), "sku_id", kPoolTable));
  return std::move(health.front());
}

absl::StatusOr<std::vector<GoneIncarnation>> PostgresHealthLedger::GoneIncarnations(
    absl::Span<const IncarnationId> serving) {
  ArrayLiteral ids;
  for (const IncarnationId id : serving) ids.AddInt(id);
  return ReadAll<GoneIncarnation>(
      Call(*pool_, Repeat::kRead, "gone_incarnations", std::move(ids).Finish(), kMostGoneTold), "incarnation_id",
      kGoneTable);
}

absl::StatusOr<std::vector<SkuHolds>> PostgresHealthLedger::CountHolds(absl::Span<const std::string> sku_ids) {
  if (sku_ids.empty()) return std::vector<SkuHolds>();
  ArrayLiteral ids;
  for (const std::string& sku_id : sku_ids) ids.AddText(sku_id);
  return ReadAll<SkuHolds>(
      Call(*pool_, Repeat::kRead, "unpaid_holds", std::move(ids).Finish(), MostHoldsOfEach(sku_ids.size())), "sku_id",
      kHoldsTable);
}

}  // namespace tranche::storage
