#include "client/ctl/outbox_view.h"

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/ctl/parse.h"

namespace tranche::ctl {
namespace {

// Enough to recognise an error, in a table with and without -o wide; `outbox show` shows all of it.
constexpr size_t kWideErrorBytes = 60;
constexpr size_t kErrorBytes = 28;

std::string State(const tranche::v1::OutboxMessage& message) {
  return message.state() == tranche::v1::OUTBOX_STATE_DEAD ? "DEAD" : "PENDING";
}

std::string Id(const tranche::v1::OutboxKey& key) { return absl::StrCat(key.reservation_id(), "/", key.revision()); }

std::string NextAttempt(const tranche::v1::OutboxMessage& message) {
  return message.state() == tranche::v1::OUTBOX_STATE_DEAD ? "" : FormatTime(message.next_attempt_time());
}

// "" if there is none.
std::string TraceId(const tranche::v1::OutboxMessage& message) {
  constexpr size_t kTraceId = 3, kTraceIdLength = 32;  // within a traceparent
  const std::string& traceparent = message.traceparent();
  return traceparent.size() < kTraceId ? "" : traceparent.substr(kTraceId, kTraceIdLength);
}

}  // namespace

void PrintOutbox(Session& session, const tranche::v1::ListOutboxMessagesResponse& messages) {
  if (session.json()) return session.PrintJson(messages);
  if (!session.wide()) {
    Table table({"MESSAGE", "SINK", "KIND", "ATTEMPTS", "LAST ERROR"});
    for (const tranche::v1::OutboxMessage& message : messages.messages()) {
      table.AddRow({Id(message.key()), message.key().sink(), message.kind(), absl::StrCat(message.attempts()),
                    message.last_error().substr(0, kErrorBytes)});
    }
    return session.Print(table);
  }
  Table table(
      {"MESSAGE", "SINK", "KIND", "SKU", "STATE", "CREATED", "ATTEMPTS", "NEXT ATTEMPT", "TRACE", "LAST ERROR"});
  for (const tranche::v1::OutboxMessage& message : messages.messages()) {
    table.AddRow({Id(message.key()), message.key().sink(), message.kind(), message.sku_id(), State(message),
                  FormatTime(message.create_time()), absl::StrCat(message.attempts()), NextAttempt(message),
                  TraceId(message), message.last_error().substr(0, kWideErrorBytes)});
  }
  session.Print(table);
}

void PrintOutboxMessage(Session& session, const tranche::v1::OutboxMessage& message) {
  if (session.json()) return session.PrintJson(message);
  Table table({"FIELD", "VALUE"});
  table.AddRow({"message", Id(message.key())});
  table.AddRow({"sink", message.key().sink()});
  table.AddRow({"kind", message.kind()});
  table.AddRow({"sku", message.sku_id()});
  table.AddRow({"state", State(message)});
  table.AddRow({"created", FormatTime(message.create_time())});
  table.AddRow({"attempts", absl::StrCat(message.attempts())});
  table.AddRow({"next attempt", NextAttempt(message)});
  table.AddRow({"trace", TraceId(message)});
  table.AddRow({"request", message.request_id()});
  table.AddRow({"last error", message.last_error()});
  table.AddRow({"payload", message.payload()});
  session.Print(table);
}

void PrintSinks(Session& session, const tranche::v1::ListSinksResponse& sinks) {
  if (session.json()) return session.PrintJson(sinks);
  Table table({"SINK", "PENDING", "DEAD", "OLDEST PENDING"});
  for (const tranche::v1::OutboxSink& sink : sinks.sinks()) {
    const absl::Duration age =
        absl::Seconds(sink.oldest_pending().seconds()) + absl::Nanoseconds(sink.oldest_pending().nanos());
    table.AddRow({sink.name(), absl::StrCat(sink.pending()), absl::StrCat(sink.dead()),
                  sink.pending() == 0 ? "" : FormatAge(age)});
  }
  session.Print(table);
}

}  // namespace tranche::ctl
