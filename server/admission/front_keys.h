// The keys that are live, and what is made with them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/ledger/front_ledger.h"

namespace tranche::server {

// Immutable, so thread-safe. Each use has a key of its own, derived from the ledger's.
class FrontKeys {
 public:
  struct Key {
    int64_t id = 0;
    std::string token_key;      // 32 bytes: keyed BLAKE2b of "tranche-purchase-token-v1"
    std::string challenge_key;  // 32 bytes: keyed BLAKE2b of "tranche-challenge-v1"
    std::string ticket_key;     // 32 bytes: keyed BLAKE2b of "tranche-waiting-ticket-v1"
    std::string delay_key;      // 32 bytes: keyed BLAKE2b of "tranche-delay-ticket-v1"
    std::string claim_key;      // 32 bytes: keyed BLAKE2b of "tranche-queued-claim-v1"
  };

  FrontKeys() = default;
  // What has not kFrontKeyBytes is left out.
  explicit FrontKeys(absl::Span<const storage::FrontKey> keys);

  // Null: there is none.
  const Key* current() const;
  const Key* Find(int64_t id) const;
  // The key that a PASETO says in its footer it was made with. Null: it says none, or that one is gone.
  const Key* KeyOfPaseto(absl::string_view text) const;

 private:
  std::vector<Key> keys_;
  int64_t current_ = 0;
};

}  // namespace tranche::server
