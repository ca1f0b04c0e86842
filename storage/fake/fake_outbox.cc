#include "storage/fake/fake_outbox.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/trace_text.h"

namespace tranche::storage {
namespace {

constexpr size_t kMaxError = 1000;

const char* NameOf(ReservationState state) {
  switch (state) {
    case ReservationState::kPending:
      return "PENDING";
    case ReservationState::kConfirmed:
      return "CONFIRMED";
    case ReservationState::kCancelled:
      return "CANCELLED";
    case ReservationState::kExpired:
      return "EXPIRED";
  }
  return "";
}

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted.push_back('\\');
    if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppend(&quoted, "\\u", absl::Hex(c, absl::kZeroPad4));
    } else {
      quoted.push_back(c);
    }
  }
  quoted.push_back('"');
  return quoted;
}

std::string TimeText(absl::Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone()); }

std::string Payload(const std::string& kind, const Reservation& row, absl::Time now, FakeOutbox::Extra members) {
  std::string json = absl::StrCat("{\"revision\": ", row.revision, ", \"quantity\": ", row.quantity,
                                  ", \"amount_minor\": ", row.amount_minor);
  members.emplace_back("kind", kind);
  members.emplace_back("occurred_at", TimeText(now));
  members.emplace_back("reservation_id", row.reservation_id.ToString());
  members.emplace_back("sku_id", row.sku_id);
  members.emplace_back("user_id", row.user_id);
  members.emplace_back("currency", row.currency);
  members.emplace_back("state", NameOf(row.state));
  const bool unpaid = row.state == ReservationState::kPending || row.state == ReservationState::kExpired;
  if (unpaid) members.emplace_back("expires_at", TimeText(row.expires_at));
  for (const auto& [name, value] : members) {
    const auto* const text = std::get_if<std::string>(&value);
    const std::string shown = text != nullptr ? Quoted(*text) : absl::StrCat(std::get<int64_t>(value));
    absl::StrAppend(&json, ", ", Quoted(name), ": ", shown);
  }
  json.push_back('}');
  return json;
}

bool ValidSink(const std::string& sink) {
  const auto plain = [](unsigned char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c); };
  return !sink.empty() && sink.size() <= 32 && plain(static_cast<unsigned char>(sink[0])) &&
         std::all_of(sink.begin(), sink.end(), [&](unsigned char c) { return plain(c) || c == '_' || c == '-'; });
}

}  // namespace

absl::Time FakeOutbox::DatabaseNow() const { return absl::FromUnixMicros(absl::ToUnixMicros(clock_->Now())); }

absl::Status FakeOutbox::Enter() {
  if (fail_next_ == 0) return absl::OkStatus();
  --fail_next_;
  return absl::UnavailableError("the fake outbox was told to fail");
}

void FakeOutbox::FailNext(int calls) {
  absl::MutexLock lock(&mutex_);
  fail_next_ = calls;
}

void FakeOutbox::Write(const std::string& kind, const Reservation& reservation, const Extra& extra,
                       const TraceTag& trace) {
  absl::MutexLock lock(&mutex_);
  const absl::Time now = DatabaseNow();
  const TraceTag kept = TraceOfText(TraceText(trace));  // as in the database
  for (const std::string& sink : sinks_) {
    OutboxMessage message;
    message.key = {reservation.reservation_id, reservation.revision, sink};
    message.sku_id = reservation.sku_id;
    message.kind = kind;
    message.payload = Payload(kind, reservation, now, extra);
    message.created_at = now;
    message.next_attempt_at = now;
    message.trace = kept;
    messages_[KeyOf(message.key)] = std::move(message);
  }
}

bool FakeOutbox::HasMessages(const Uuid& reservation_id) {
  absl::MutexLock lock(&mutex_);
  const auto first = messages_.lower_bound({reservation_id, 0, ""});
  return first != messages_.end() && std::get<0>(first->first) == reservation_id;
}

absl::StatusOr<std::vector<OutboxMessage>> FakeOutbox::ClaimMessages(const std::string& sink, int limit,
                                                                     absl::Duration lease, bool fresh) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  const absl::Time now = DatabaseNow();
  std::vector<OutboxMessage*> due;
  const Uuid* previous = nullptr;
  for (auto& [key, message] : messages_) {
    if (message.key.sink != sink || message.state != OutboxState::kPending) continue;
    // Only the first one that waits, due or not.
    const bool first = previous == nullptr || !(*previous == message.key.reservation_id);
    previous = &message.key.reservation_id;
    if (first && message.next_attempt_at <= now && !(fresh && message.attempts > 0)) due.push_back(&message);
  }
  std::stable_sort(due.begin(), due.end(), [fresh](const OutboxMessage* a, const OutboxMessage* b) {
    return fresh ? b->next_attempt_at < a->next_attempt_at : a->next_attempt_at < b->next_attempt_at;
  });
  std::vector<OutboxMessage> claimed;
  for (OutboxMessage* message : due) {
    if (static_cast<int>(claimed.size()) == limit) break;
    ++message->attempts;
    message->next_attempt_at = now + lease;
    claimed.push_back(*message);
  }
  return claimed;
}

absl::Status FakeOutbox::MarkDelivered(absl::Span<const OutboxKey> keys) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  for (const OutboxKey& key : keys) messages_.erase(KeyOf(key));
  return absl::OkStatus();
}

absl::Status FakeOutbox::MarkFailed(absl::Span<const OutboxFailure> failures) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  for (const OutboxFailure& failure : failures) {
    const auto found = messages_.find(KeyOf(failure.key));
    if (found == messages_.end() || found->second.state != OutboxState::kPending) continue;
    OutboxMessage& message = found->second;
    message.last_error = failure.error.substr(0, kMaxError);
    if (failure.dead) {
      message.state = OutboxState::kDead;
    } else {
      message.next_attempt_at = DatabaseNow() + failure.retry_after;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> FakeOutbox::ListSinks() {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  return std::vector<std::string>(sinks_.begin(), sinks_.end());
}

absl::Status FakeOutbox::AddSink(const std::string& sink, const Actor& /*actor*/) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  if (!ValidSink(sink)) return absl::InvalidArgumentError("malformed name of a sink");
  sinks_.insert(sink);
  return absl::OkStatus();
}

absl::Status FakeOutbox::RemoveSink(const std::string& sink, const Actor& /*actor*/) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  if (sinks_.size() == 1 && sinks_.contains(sink)) return absl::InvalidArgumentError("the only sink");
  if (sinks_.erase(sink) == 0) return absl::NotFoundError(absl::StrCat("no sink ", sink));
  std::erase_if(messages_, [&](const auto& entry) { return entry.second.key.sink == sink; });
  return absl::OkStatus();
}

absl::StatusOr<std::vector<OutboxMessage>> FakeOutbox::ListMessages(const std::string& sink, OutboxState state,
                                                                    const OutboxKey& after, int limit) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  std::vector<OutboxMessage> listed;
  for (auto it = messages_.upper_bound(KeyOf(after)); it != messages_.end(); ++it) {
    if (static_cast<int>(listed.size()) == limit) break;
    const OutboxMessage& message = it->second;
    if (message.state == state && (sink.empty() || message.key.sink == sink)) listed.push_back(message);
  }
  return listed;
}

absl::StatusOr<OutboxMessage> FakeOutbox::GetMessage(const OutboxKey& key) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  const auto found = messages_.find(KeyOf(key));
  if (found == messages_.end()) return absl::NotFoundError("no such message");
  return found->second;
}

// A dead message gets all its attempts again.
void FakeOutbox::Revive(OutboxMessage& message) {
  if (message.state == OutboxState::kDead) message.attempts = 0;
  message.state = OutboxState::kPending;
  message.next_attempt_at = DatabaseNow();
}

absl::StatusOr<int64_t> FakeOutbox::RetryDead(const std::string& sink, const Actor& /*actor*/) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  int64_t retried = 0;
  for (auto& [key, message] : messages_) {
    if (message.state != OutboxState::kDead || (!sink.empty() && message.key.sink != sink)) continue;
    Revive(message);
    ++retried;
  }
  return retried;
}

absl::StatusOr<int64_t> FakeOutbox::RetryMessage(const OutboxKey& key, const Actor& /*actor*/) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  const auto found = messages_.find(KeyOf(key));
  if (found == messages_.end()) return 0;
  Revive(found->second);
  return 1;
}

absl::StatusOr<int64_t> FakeOutbox::DiscardMessage(const OutboxKey& key, const Actor& /*actor*/) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  return static_cast<int64_t>(messages_.erase(KeyOf(key)));
}

absl::StatusOr<std::vector<OutboxDepth>> FakeOutbox::Depths() {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  std::vector<OutboxDepth> depths;
  const absl::Time now = DatabaseNow();
  for (const std::string& sink : sinks_) {
    OutboxDepth depth;
    depth.sink = sink;
    for (const auto& [key, message] : messages_) {
      if (message.key.sink != sink) continue;
      const bool pending = message.state == OutboxState::kPending;
      ++(pending ? depth.pending : depth.dead);
      if (pending) depth.oldest_pending = std::max(depth.oldest_pending, now - message.created_at);
    }
    depths.push_back(depth);
  }
  return depths;
}

FakeOutbox::Backup FakeOutbox::Save() {
  absl::MutexLock lock(&mutex_);
  return {.sinks = sinks_, .messages = messages_};
}

void FakeOutbox::Restore(const Backup& backup) {
  absl::MutexLock lock(&mutex_);
  sinks_ = backup.sinks;
  messages_ = backup.messages;
}

}  // namespace tranche::storage
