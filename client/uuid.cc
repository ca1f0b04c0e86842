#include "tranche/uuid.h"

#include <cstdint>

#include "absl/random/random.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tranche {

std::string MakeUuidV7() {
  thread_local absl::BitGen random;
  const uint64_t unix_ms = static_cast<uint64_t>(absl::ToUnixMillis(absl::Now()));
  const uint64_t high = unix_ms << 16 | 0x7000 | (random() & 0x0fff);
  const uint64_t low = (random() & 0x3fff'ffff'ffff'ffff) | 0x8000'0000'0000'0000;

  constexpr char kHex[] = "0123456789abcdef";
  std::string text(36, '-');
  int digit = 0;
  for (int i = 0; i < 36; ++i) {
    if (i == 8 || i == 13 || i == 18 || i == 23) continue;
    const uint64_t word = digit < 16 ? high : low;
    text[i] = kHex[word >> (60 - 4 * (digit % 16)) & 0xf];
    ++digit;
  }
  return text;
}

}  // namespace tranche
