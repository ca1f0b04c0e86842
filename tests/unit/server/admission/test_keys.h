// Front keys that every run of a test has.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/admission/front_keys.h"
#include "storage/ledger/front_ledger.h"

namespace tranche::server {

// The key that most tests use. Its secret is 0, 1, ... 31; each other key's begins with another number.
inline constexpr int64_t kTestKeyId = 7;

inline storage::FrontKey TestKey(int64_t id, storage::FrontKey::Use use) {
  storage::FrontKey key = {.id = id, .secret = {}, .use = use, .since = {}};
  for (size_t i = 0; i < storage::kFrontKeyBytes; ++i) key.secret.push_back(static_cast<char>(id - kTestKeyId + i));
  return key;
}

inline FrontKeys CurrentTestKey(int64_t id = kTestKeyId) {
  return FrontKeys(std::vector<storage::FrontKey>{TestKey(id, storage::FrontKey::Use::kCurrent)});
}

// After the rotation that made `id` the current one.
inline FrontKeys RotatedTestKeys(int64_t id) {
  using Use = storage::FrontKey::Use;
  return FrontKeys(std::vector<storage::FrontKey>{TestKey(id + 1, Use::kNext), TestKey(id, Use::kCurrent),
                                                  TestKey(id - 1, Use::kPrevious)});
}

}  // namespace tranche::server
