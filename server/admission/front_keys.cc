#include "server/admission/front_keys.h"

#include <optional>

#include "absl/strings/numbers.h"
#include "server/admission/keyed_hash.h"
#include "server/admission/paseto.h"
#include "storage/mutation.h"

namespace tranche::server {

FrontKeys::FrontKeys(absl::Span<const storage::FrontKey> keys) {
  for (const storage::FrontKey& key : keys) {
    if (key.secret.size() != storage::kFrontKeyBytes) continue;
    const bool previous = key.use == storage::FrontKey::Use::kPrevious;
    if (previous && storage::Mutated(storage::Mutation::kPreviousKeyDropped)) continue;
    keys_.push_back({.id = key.id,
                     .token_key = KeyedBlake2b(key.secret, "tranche-purchase-token-v1", kPasetoKeyBytes),
                     .challenge_key = KeyedBlake2b(key.secret, "tranche-challenge-v1", 32),
                     .ticket_key = KeyedBlake2b(key.secret, "tranche-waiting-ticket-v1", kPasetoKeyBytes),
                     .delay_key = KeyedBlake2b(key.secret, "tranche-delay-ticket-v1", kPasetoKeyBytes),
                     .claim_key = KeyedBlake2b(key.secret, "tranche-queued-claim-v1", kPasetoKeyBytes)});
    if (key.use == storage::FrontKey::Use::kCurrent) current_ = key.id;
  }
}

const FrontKeys::Key* FrontKeys::current() const { return Find(current_); }

// There are three.
const FrontKeys::Key* FrontKeys::Find(int64_t id) const {
  for (const Key& key : keys_) {
    if (key.id == id) return &key;
  }
  return nullptr;
}

const FrontKeys::Key* FrontKeys::KeyOfPaseto(absl::string_view text) const {
  const std::optional<std::string> footer = PasetoFooter(text);
  int64_t id = 0;
  if (!footer.has_value() || !absl::SimpleAtoi(*footer, &id)) return nullptr;
  return Find(id);
}

}  // namespace tranche::server
