#include "server/handlers/outbox_handler.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/reservation_messages.h"
#include "server/process/sink_name.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

absl::Status LedgerFailed(const absl::Status& status) { return LedgerError(status, "", Repeatable::kYes); }

absl::Status NoSuchMessage(const storage::OutboxKey& key) {
  return MakeError(v1::ERROR_REASON_OUTBOX_MESSAGE_NOT_FOUND, "There is no such message, or it has been delivered.",
                   {{"reservation_id", key.reservation_id.ToString()},
                    {"revision", absl::StrCat(key.revision)},
                    {"sink", key.sink}});
}

absl::Status NoSuchSink(const std::string& name) {
  return MakeError(v1::ERROR_REASON_SINK_NOT_FOUND, "There is no such sink.", {{"sink", name}});
}

absl::Status OnlySink() { return InvalidField("name", "is the only sink: add another first"); }

absl::Status CheckSinkName(absl::string_view name, absl::string_view field) {
  if (IsSinkName(name)) return absl::OkStatus();
  return InvalidField(field, "must be 1 to 32 characters of [a-z0-9_-], the first of them [a-z0-9]");
}

absl::StatusOr<storage::OutboxKey> FromMessage(const v1::OutboxKey& key) {
  ASSIGN_OR_RETURN(const storage::Uuid id, CheckReservationId(key.reservation_id(), "key.reservation_id"));
  if (key.revision() < 1) return InvalidField("key.revision", "must be at least 1");
  RETURN_IF_ERROR(CheckSinkName(key.sink(), "key.sink"));
  return storage::OutboxKey{id, key.revision(), key.sink()};
}

v1::OutboxMessage MessageOf(const storage::OutboxMessage& from) {
  v1::OutboxMessage message;
  message.mutable_key()->set_reservation_id(from.key.reservation_id.ToString());
  message.mutable_key()->set_revision(from.key.revision);
  message.mutable_key()->set_sink(from.key.sink);
  message.set_sku_id(from.sku_id);
  message.set_kind(from.kind);
  message.set_payload(from.payload);
  *message.mutable_create_time() = ToTimestamp(from.created_at);
  message.set_state(from.state == storage::OutboxState::kDead ? v1::OUTBOX_STATE_DEAD : v1::OUTBOX_STATE_PENDING);
  message.set_attempts(from.attempts);
  *message.mutable_next_attempt_time() = ToTimestamp(from.next_attempt_at);
  message.set_last_error(from.last_error);
  if (from.trace == nullptr) return message;
  message.set_traceparent(from.trace->traceparent);
  message.set_request_id(from.trace->request_id);
  return message;
}

v1::OutboxSink SinkOf(const storage::OutboxDepth& depth) {
  v1::OutboxSink sink;
  sink.set_name(depth.sink);
  sink.set_pending(depth.pending);
  sink.set_dead(depth.dead);
  *sink.mutable_oldest_pending() = ToDuration(depth.oldest_pending);
  return sink;
}

// The key of the last message: "<reservation id>/<revision>/<sink>".
absl::StatusOr<storage::OutboxKey> FromToken(const std::string& token) {
  ASSIGN_OR_RETURN(const std::string text, DecodePageToken(token));
  if (text.empty()) return storage::OutboxKey();
  const std::vector<std::string> parts = absl::StrSplit(text, '/');
  v1::OutboxKey key;
  int32_t revision = 0;
  if (parts.size() == 3 && absl::SimpleAtoi(parts[1], &revision)) {
    key.set_reservation_id(parts[0]);
    key.set_revision(revision);
    key.set_sink(parts[2]);
    if (absl::StatusOr<storage::OutboxKey> after = FromMessage(key); after.ok()) return after;
  }
  return InvalidField("page_token", "must be the next_page_token of the page before");
}

std::string ToToken(const v1::OutboxKey& key) {
  return EncodePageToken(absl::StrCat(key.reservation_id(), "/", key.revision(), "/", key.sink()));
}

}  // namespace

absl::StatusOr<v1::ListOutboxMessagesResponse> OutboxHandler::ListMessages(
    const v1::ListOutboxMessagesRequest& request) {
  ASSIGN_OR_RETURN(const int page_size, CheckPageSize(request.page_size()));
  ASSIGN_OR_RETURN(const storage::OutboxKey after, FromToken(request.page_token()));
  if (!v1::OutboxState_IsValid(request.state())) {
    return InvalidField("state", "must be a state of a message");
  }
  if (!request.sink().empty()) {
    // Without this a mistyped sink would look like one that has received everything.
    RETURN_IF_ERROR(CheckSinkExists(request.sink()));
  }
  const auto state =
      request.state() == v1::OUTBOX_STATE_PENDING ? storage::OutboxState::kPending : storage::OutboxState::kDead;
  // One more than wanted shows whether there is a next page.
  const auto messages = ledger_->ListMessages(request.sink(), state, after, page_size + 1);
  if (!messages.ok()) return LedgerFailed(messages.status());
  v1::ListOutboxMessagesResponse response;
  for (const storage::OutboxMessage& message : *messages) {
    if (response.messages_size() == page_size) {
      response.set_next_page_token(ToToken(response.messages(page_size - 1).key()));
      break;
    }
    *response.add_messages() = MessageOf(message);
  }
  return response;
}

absl::StatusOr<v1::GetOutboxMessageResponse> OutboxHandler::GetMessage(const v1::GetOutboxMessageRequest& request) {
  ASSIGN_OR_RETURN(const storage::OutboxKey key, FromMessage(request.key()));
  ASSIGN_OR_RETURN(const storage::OutboxMessage message, Find(key));
  v1::GetOutboxMessageResponse response;
  *response.mutable_message() = MessageOf(message);
  return response;
}

absl::StatusOr<v1::RetryOutboxMessagesResponse> OutboxHandler::Retry(const v1::RetryOutboxMessagesRequest& request,
                                                                     const storage::Actor& actor) {
  if (request.has_key() && !request.sink().empty()) {
    return InvalidField("sink", "goes without a key");
  }
  ASSIGN_OR_RETURN(const int64_t due, request.has_key() ? RetryOne(request.key(), request.preview(), actor)
                                                        : RetryAll(request.sink(), request.preview(), actor));
  v1::RetryOutboxMessagesResponse response;
  response.set_messages(due);
  return response;
}

absl::StatusOr<int64_t> OutboxHandler::RetryAll(const std::string& sink, bool preview, const storage::Actor& actor) {
  if (!sink.empty()) {
    RETURN_IF_ERROR(CheckSinkExists(sink));
  }
  if (preview) {
    const auto depths = ledger_->Depths();
    if (!depths.ok()) return LedgerFailed(depths.status());
    int64_t dead = 0;
    for (const storage::OutboxDepth& depth : *depths) dead += sink.empty() || depth.sink == sink ? depth.dead : 0;
    return dead;
  }
  const absl::StatusOr<int64_t> due = ledger_->RetryDead(sink, actor);
  if (!due.ok()) return LedgerFailed(due.status());
  return due;
}

absl::StatusOr<int64_t> OutboxHandler::RetryOne(const v1::OutboxKey& wanted, bool preview,
                                                const storage::Actor& actor) {
  ASSIGN_OR_RETURN(const storage::OutboxKey key, FromMessage(wanted));
  if (preview) {
    if (const auto message = Find(key); !message.ok()) return message.status();
    return 1;
  }
  const absl::StatusOr<int64_t> due = ledger_->RetryMessage(key, actor);
  if (!due.ok()) return LedgerFailed(due.status());
  if (*due == 0) return NoSuchMessage(key);
  return due;
}

absl::StatusOr<v1::DiscardOutboxMessageResponse> OutboxHandler::Discard(const v1::DiscardOutboxMessageRequest& request,
                                                                        const storage::Actor& actor) {
  ASSIGN_OR_RETURN(const storage::OutboxKey key, FromMessage(request.key()));
  ASSIGN_OR_RETURN(const storage::OutboxMessage message, Find(key));
  if (!request.preview()) {
    const absl::StatusOr<int64_t> discarded = ledger_->DiscardMessage(key, actor);
    if (!discarded.ok()) return LedgerFailed(discarded.status());
    // It was delivered meanwhile.
    if (*discarded == 0) return NoSuchMessage(key);
  }
  v1::DiscardOutboxMessageResponse response;
  *response.mutable_message() = MessageOf(message);
  return response;
}

absl::StatusOr<v1::ListSinksResponse> OutboxHandler::ListSinks(const v1::ListSinksRequest&) {
  const auto depths = ledger_->Depths();
  if (!depths.ok()) return LedgerFailed(depths.status());
  v1::ListSinksResponse response;
  for (const storage::OutboxDepth& depth : *depths) *response.add_sinks() = SinkOf(depth);
  return response;
}

absl::StatusOr<v1::AddSinkResponse> OutboxHandler::AddSink(const v1::AddSinkRequest& request,
                                                           const storage::Actor& actor) {
  RETURN_IF_ERROR(CheckSinkName(request.name(), "name"));
  const auto sinks = ledger_->ListSinks();
  if (!sinks.ok()) return LedgerFailed(sinks.status());
  v1::AddSinkResponse response;
  response.mutable_sink()->set_name(request.name());
  response.set_existed(absl::c_linear_search(*sinks, request.name()));
  if (request.preview() || response.existed()) return response;
  if (const absl::Status added = ledger_->AddSink(request.name(), actor); !added.ok()) return LedgerFailed(added);
  return response;
}

absl::StatusOr<v1::RemoveSinkResponse> OutboxHandler::RemoveSink(const v1::RemoveSinkRequest& request,
                                                                 const storage::Actor& actor) {
  RETURN_IF_ERROR(CheckSinkName(request.name(), "name"));
  const auto sinks = ledger_->Depths();
  if (!sinks.ok()) return LedgerFailed(sinks.status());
  const auto sink =
      absl::c_find_if(*sinks, [&](const storage::OutboxDepth& depth) { return depth.sink == request.name(); });
  if (sink == sinks->end()) return NoSuchSink(request.name());
  if (request.preview()) {
    if (sinks->size() == 1) return OnlySink();
  } else {
    const absl::Status removed = ledger_->RemoveSink(request.name(), actor);
    if (absl::IsInvalidArgument(removed)) return OnlySink();
    // If it is gone meanwhile, that is what was wanted.
    if (!removed.ok() && !absl::IsNotFound(removed)) return LedgerFailed(removed);
  }
  v1::RemoveSinkResponse response;
  *response.mutable_sink() = SinkOf(*sink);
  return response;
}

absl::StatusOr<storage::OutboxMessage> OutboxHandler::Find(const storage::OutboxKey& key) {
  absl::StatusOr<storage::OutboxMessage> message = ledger_->GetMessage(key);
  if (absl::IsNotFound(message.status())) return NoSuchMessage(key);
  if (!message.ok()) return LedgerFailed(message.status());
  return message;
}

absl::Status OutboxHandler::CheckSinkExists(const std::string& name) {
  RETURN_IF_ERROR(CheckSinkName(name, "sink"));
  const auto sinks = ledger_->ListSinks();
  if (!sinks.ok()) return LedgerFailed(sinks.status());
  return absl::c_linear_search(*sinks, name) ? absl::OkStatus() : NoSuchSink(name);
}

}  // namespace tranche::server
