#include "storage/postgres/postgres_shard_ledger.h"

#include <exception>
#include <pqxx/pqxx>

#include "absl/strings/str_cat.h"
#include "storage/base/status_macros.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/array_literal.h"
#include "storage/postgres/call.h"
#include "storage/postgres/columns.h"

namespace tranche::storage {

absl::StatusOr<SchemaRange> PostgresShardLedger::Schema() {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "schema_range"));
  return ReadAnswer(Repeat::kRead, [&] {
    const pqxx::row row = rows.at(0);
    return SchemaRange{.version = row.at(0).as<int>(), .oldest_server = row.at(1).as<int>()};
  });
}

absl::StatusOr<ShardIdentity> PostgresShardLedger::Identity() {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "shard_identity"));
  return ReadAnswer(Repeat::kRead, [&] {
    const pqxx::row row = rows.at(0);
    return ShardIdentity{.ledger_id = row.at(0).as<std::string>(),
                         .name = row.at(1).as<std::string>(),
                         .home_id = row.at(2).as<std::string>(""),
                         .used = row.at(3).as<bool>()};
  });
}

absl::StatusOr<absl::Time> PostgresShardLedger::ReadClock() {
  ASSIGN_OR_RETURN(auto lease, pool_->Acquire());
  try {
    pqxx::nontransaction query(lease->pq);
    constexpr const char* kMicros = "SELECT (date_part('epoch', clock_timestamp()) * 1000000)::bigint";
    return absl::FromUnixMicros(query.exec1(kMicros)[0].as<int64_t>());
  } catch (const std::exception& error) {
    return lease.Failed(error);
  }
}

absl::StatusOr<std::vector<Shard>> PostgresShardLedger::ListShards() {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "list_shards"));
  return ReadAnswer(Repeat::kRead, [&] {
    std::vector<Shard> shards;
    for (const pqxx::row& row : rows) {
      shards.push_back({row.at(0).as<std::string>(), row.at(1).as<std::string>(), TimeOf(row.at(2))});
    }
    return shards;
  });
}

absl::StatusOr<bool> PostgresShardLedger::AddShard(const std::string& name, const std::string& dsn,
                                                   const Actor& actor) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kIfAnswerLost, "add_shard", name, dsn, actor.ForLedger()));
  return ReadValue<bool>(Repeat::kIfAnswerLost, rows);
}

absl::Status PostgresShardLedger::ReserveSku(const std::string& sku_id, const std::string& shard) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kIfAnswerLost, "reserve_sku", sku_id, shard));
  ASSIGN_OR_RETURN(const bool reserved, ReadValue<bool>(Repeat::kIfAnswerLost, rows));
  if (reserved) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat("SKU ", sku_id, " exists"));
}

absl::StatusOr<bool> PostgresShardLedger::Adopt(const std::string& name, const std::string& home_id,
                                                const std::vector<std::string>& sinks, const Actor& actor) {
  ArrayLiteral names;
  for (const std::string& sink : sinks) names.AddText(sink);
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kIfAnswerLost, "adopt_shard", name, home_id,
                                         std::move(names).Finish(), actor.ForLedger()));
  return ReadValue<bool>(Repeat::kIfAnswerLost, rows);
}

absl::StatusOr<bool> PostgresShardLedger::RegisterIncarnationAs(const Incarnation& incarnation) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kIfAnswerLost, "register_incarnation_as", incarnation.id,
                                         incarnation.node_name, incarnation.address, incarnation.draining));
  return ReadValue<bool>(Repeat::kIfAnswerLost, rows);
}

}  // namespace tranche::storage
