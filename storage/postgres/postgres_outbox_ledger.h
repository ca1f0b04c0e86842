// The outbox on PostgreSQL: calls the procedures of storage/sql.
#pragma once

#include <string>
#include <vector>

#include "storage/ledger/outbox_ledger.h"
#include "storage/postgres/connection_pool.h"

namespace tranche::storage {

// Thread-safe. Outlived by the pool.
class PostgresOutboxLedger : public OutboxLedger {
 public:
  explicit PostgresOutboxLedger(ConnectionPool* pool) : pool_(pool) {}

  absl::StatusOr<std::vector<OutboxMessage>> ClaimMessages(const std::string& sink, int limit, absl::Duration lease,
                                                           bool fresh) override;
  absl::Status MarkDelivered(absl::Span<const OutboxKey> keys) override;
  absl::Status MarkFailed(absl::Span<const OutboxFailure> failures) override;
  absl::StatusOr<std::vector<std::string>> ListSinks() override;
  absl::Status AddSink(const std::string& sink, const Actor& actor) override;
  absl::Status RemoveSink(const std::string& sink, const Actor& actor) override;
  absl::StatusOr<std::vector<OutboxMessage>> ListMessages(const std::string& sink, OutboxState state,
                                                          const OutboxKey& after, int limit) override;
  absl::StatusOr<OutboxMessage> GetMessage(const OutboxKey& key) override;
  absl::StatusOr<int64_t> RetryDead(const std::string& sink, const Actor& actor) override;
  absl::StatusOr<int64_t> RetryMessage(const OutboxKey& key, const Actor& actor) override;
  absl::StatusOr<int64_t> DiscardMessage(const OutboxKey& key, const Actor& actor) override;
  absl::StatusOr<std::vector<OutboxDepth>> Depths() override;

 private:
  ConnectionPool* const pool_;
};

}  // namespace tranche::storage
