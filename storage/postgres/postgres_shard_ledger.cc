#include "storage/postgres/postgres_shard_ledger.h"

#include "absl/strings/str_cat.h"
#include "storage/base/status_macros.h"
#include "storage/postgres/array_literal.h"
#include "storage/postgres/call.h"

namespace tranche::storage {

absl::StatusOr<ShardIdentity> PostgresShardLedger::Identity() {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "shard_identity"));
  const pqxx::row row = rows.front();
  return ShardIdentity{.ledger_id = row[0].c_str(),
                       .name = row[1].c_str(),
                       .home_id = row[2].is_null() ? "" : row[2].c_str(),
                       .used = row[3].as<bool>()};
}

absl::StatusOr<std::vector<Shard>> PostgresShardLedger::ListShards() {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "list_shards"));
  std::vector<Shard> shards;
  for (const pqxx::row& row : rows) {
    shards.push_back({row[0].c_str(), row[1].c_str(), absl::FromUnixMicros(row[2].as<int64_t>())});
  }
  return shards;
}

absl::StatusOr<bool> PostgresShardLedger::AddShard(const std::string& name, const std::string& dsn,
                                                   const std::string& actor) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kIfAnswerLost, "add_shard", name, dsn, actor));
  return rows.front()[0].as<bool>();
}

absl::Status PostgresShardLedger::ReserveSku(const std::string& sku_id, const std::string& shard) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kIfAnswerLost, "reserve_sku", sku_id, shard));
  if (rows.front()[0].as<bool>()) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat("SKU ", sku_id, " exists"));
}

absl::StatusOr<bool> PostgresShardLedger::Adopt(const std::string& name, const std::string& home_id,
                                                const std::vector<std::string>& sinks, const std::string& actor) {
  ArrayLiteral names;
  for (const std::string& sink : sinks) names.AddText(sink);
  ASSIGN_OR_RETURN(const auto rows,
                   Call(*pool_, Repeat::kIfAnswerLost, "adopt_shard", name, home_id, std::move(names).Finish(), actor));
  return rows.front()[0].as<bool>();
}

absl::StatusOr<bool> PostgresShardLedger::RegisterIncarnationAs(const Incarnation& incarnation) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kIfAnswerLost, "register_incarnation_as", incarnation.id,
                                         incarnation.node_name, incarnation.address, incarnation.draining));
  return rows.front()[0].as<bool>();
}

}  // namespace tranche::storage
