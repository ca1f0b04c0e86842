// Admin calls about the outbox: messages that are not delivered yet, and their sinks. Blocking: not on gRPC's threads.
// Thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "storage/ledger/outbox_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class OutboxHandler {
 public:
  explicit OutboxHandler(storage::OutboxLedger* ledger) : ledger_(ledger) {}

  absl::StatusOr<v1::ListOutboxMessagesResponse> ListMessages(const v1::ListOutboxMessagesRequest& request);
  absl::StatusOr<v1::GetOutboxMessageResponse> GetMessage(const v1::GetOutboxMessageRequest& request);
  absl::StatusOr<v1::RetryOutboxMessagesResponse> Retry(const v1::RetryOutboxMessagesRequest& request,
                                                        const storage::Actor& actor);
  absl::StatusOr<v1::DiscardOutboxMessageResponse> Discard(const v1::DiscardOutboxMessageRequest& request,
                                                           const storage::Actor& actor);

  absl::StatusOr<v1::ListSinksResponse> ListSinks(const v1::ListSinksRequest& request);
  absl::StatusOr<v1::AddSinkResponse> AddSink(const v1::AddSinkRequest& request, const storage::Actor& actor);
  absl::StatusOr<v1::RemoveSinkResponse> RemoveSink(const v1::RemoveSinkRequest& request, const storage::Actor& actor);

 private:
  absl::StatusOr<int64_t> RetryAll(const std::string& sink, bool preview, const storage::Actor& actor);
  absl::StatusOr<int64_t> RetryOne(const v1::OutboxKey& key, bool preview, const storage::Actor& actor);
  absl::StatusOr<storage::OutboxMessage> Find(const storage::OutboxKey& key);
  // SINK_NOT_FOUND when there is no such sink.
  absl::Status CheckSinkExists(const std::string& name);

  storage::OutboxLedger* const ledger_;
};

}  // namespace tranche::server
