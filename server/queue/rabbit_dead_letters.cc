// Dead letters: read by a consumer that acknowledges only what is to go, for asking for them one by one would cost the
// broker a write each.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/queue/rabbit_claim_queue.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

constexpr uint16_t kLetterChannel = 1;
constexpr int kMostLetters = 1000;
constexpr int kMostLettersSearched = 10'000;
// Besides what the others get of it: the broker counts letters that it is about to give to somebody else.
constexpr absl::Duration kLetterSilence = absl::Seconds(1);
constexpr absl::Duration kLetterCall = absl::Milliseconds(4000);

DeadClaim ToDeadClaim(const std::string& queue, const AmqpEvent& letter) {
  return {.queue = queue,
          .id = letter.message.message_id,
          .body = letter.message.body,
          .reason = letter.death_reason,
          .died_at = letter.died_at,
          .deliveries = letter.death_reason == "delivery_limit" ? kDeliveryLimit : 0};
}

absl::Status SomebodyElse(const std::string& queue) {
  return absl::UnavailableError(
      absl::StrCat("somebody else looks at the dead letters of ", queue, " now; ask again in a moment"));
}

// How many letters can be had. Those of a look that has just ended come back within moments.
absl::StatusOr<int64_t> CountLetters(AmqpConnection& connection, const std::string& dead, absl::Time deadline) {
  const absl::Time patient_until = std::min(deadline, absl::Now() + kLetterSilence);
  while (true) {
    connection.LimitWaits(deadline - absl::Now());
    ASSIGN_OR_RETURN(const AmqpConnection::QueueCount count, connection.CountQueue(kLetterChannel, dead));
    if (count.consumers == 0) return count.ready;
    if (absl::Now() >= patient_until) {
      if (count.ready > 0) return count.ready;
      return SomebodyElse(dead);
    }
    absl::SleepFor(absl::Milliseconds(20));
  }
}

// That there are none is also what the broker says of a queue whose leader does not answer it. A leader that answers
// counts this consumer.
absl::Status CheckEmpty(AmqpConnection& connection, const std::string& dead, absl::Time deadline) {
  connection.LimitWaits(deadline - absl::Now());
  RETURN_IF_ERROR(connection.Consume(kLetterChannel, dead, "letters", 1));
  connection.LimitWaits(deadline - absl::Now());
  ASSIGN_OR_RETURN(const AmqpConnection::QueueCount count, connection.CountQueue(kLetterChannel, dead));
  if (count.ready == 0 && count.consumers > 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("the queue ", dead, " has no leader, or just a new one; ask again"));
}

}  // namespace

absl::StatusOr<std::vector<AmqpEvent>> RabbitClaimQueueAdmin::Borrow(AmqpConnection& connection,
                                                                     const std::string& queue, int limit,
                                                                     absl::Time deadline) {
  const std::string dead = DeadLetterQueueName(queue);
  std::vector<AmqpEvent> letters;
  if (limit <= 0) return letters;
  ASSIGN_OR_RETURN(const int64_t count, CountLetters(connection, dead, deadline));
  if (count == 0) {
    RETURN_IF_ERROR(CheckEmpty(connection, dead, deadline));
    return letters;
  }
  const auto expected = static_cast<size_t>(std::min<int64_t>(count, limit));
  connection.LimitWaits(deadline - absl::Now());
  RETURN_IF_ERROR(connection.Consume(kLetterChannel, dead, "letters", static_cast<uint16_t>(expected)));
  absl::Time silent_at = absl::Now() + kLetterSilence;
  while (letters.size() < expected && absl::Now() < std::min(deadline, silent_at)) {
    ASSIGN_OR_RETURN(std::optional<AmqpEvent> event, connection.Next());
    if (!event.has_value()) {
      absl::SleepFor(absl::Milliseconds(1));
      continue;
    }
    if (event->kind != AmqpEvent::Kind::kDelivery) continue;
    letters.push_back(*std::move(event));
    silent_at = absl::Now() + kLetterSilence;
  }
  return letters;
}

absl::StatusOr<std::vector<DeadClaim>> RabbitClaimQueueAdmin::ListDead(const std::string& queue, int limit) {
  const absl::Time deadline = absl::Now() + kLetterCall;
  if (!letters_turns_.Begin(deadline)) return SomebodyElse(queue);
  const absl::Cleanup end = [this] { letters_turns_.End(); };
  return ListLetters(queue, limit, deadline);
}

absl::StatusOr<std::vector<DeadClaim>> RabbitClaimQueueAdmin::ListLetters(const std::string& queue, int limit,
                                                                          absl::Time deadline) {
  ASSIGN_OR_RETURN(const std::unique_ptr<AmqpConnection> connection, Connect(deadline));
  ASSIGN_OR_RETURN(const std::vector<AmqpEvent> letters,
                   Borrow(*connection, queue, std::clamp(limit, 0, kMostLetters), deadline));
  std::vector<DeadClaim> claims;
  claims.reserve(letters.size());
  for (const AmqpEvent& letter : letters) claims.push_back(ToDeadClaim(queue, letter));
  connection->Close(absl::Milliseconds(300));
  return claims;
}

absl::StatusOr<int> RabbitClaimQueueAdmin::TakeDead(const std::string& queue, absl::Span<const std::string> ids,
                                                    Each each) {
  const absl::Time deadline = absl::Now() + kLetterCall;
  if (!letters_turns_.Begin(deadline)) return SomebodyElse(queue);
  const absl::Cleanup end = [this] { letters_turns_.End(); };
  return TakeLetters(queue, ids, std::move(each), deadline);
}

absl::StatusOr<int> RabbitClaimQueueAdmin::TakeLetters(const std::string& queue, absl::Span<const std::string> ids,
                                                       Each each, absl::Time deadline) {
  ASSIGN_OR_RETURN(const std::unique_ptr<AmqpConnection> connection, Connect(deadline));
  ASSIGN_OR_RETURN(const std::vector<AmqpEvent> letters,
                   Borrow(*connection, queue, ids.empty() ? kMostLetters : kMostLettersSearched, deadline));
  const absl::flat_hash_set<std::string> wanted(ids.begin(), ids.end());
  int taken = 0;
  for (const AmqpEvent& letter : letters) {
    if (absl::Now() >= deadline || taken == kMostLetters) break;
    if (!wanted.empty() && !wanted.contains(letter.message.message_id)) continue;
    if (!each(ToDeadClaim(queue, letter)).ok()) continue;
    RETURN_IF_ERROR(connection->Ack(kLetterChannel, letter.tag, /*multiple=*/false));
    ++taken;
  }
  connection->LimitWaits(absl::Milliseconds(500));
  RETURN_IF_ERROR(connection->CloseChannel(kLetterChannel));
  connection->Close(absl::Milliseconds(300));
  return taken;
}

}  // namespace tranche::server
