// Dead letters: read by a consumer that acknowledges only what is to go, for asking for them one by one would cost the
// broker a write each.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
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

}  // namespace

absl::StatusOr<std::vector<AmqpEvent>> RabbitClaimQueueAdmin::Borrow(AmqpConnection& connection,
                                                                     const std::string& queue, int limit,
                                                                     absl::Time deadline) {
  const std::string dead = DeadLetterQueueName(queue);
  ASSIGN_OR_RETURN(const AmqpConnection::QueueCount count, connection.CountQueue(kLetterChannel, dead));
  const auto expected = static_cast<size_t>(std::clamp<int64_t>(count.ready, 0, limit));
  std::vector<AmqpEvent> letters;
  if (expected == 0) return letters;
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
