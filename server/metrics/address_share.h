// How many callers of one address are served at a time: one address must not take all threads of a door.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstring>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace tranche::server {

// The bytes that tell one caller's machine from another's: an address of IPv4, also if it comes mapped into IPv6, or
// the first half of one of IPv6, since a machine has all of the second.
inline std::string ShareKey(const sockaddr_storage& peer) {
  constexpr size_t kIpv6Network = 8, kMappedAt = 12;
  if (peer.ss_family == AF_INET6) {
    in6_addr six;
    std::memcpy(&six, &reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr, sizeof(six));
    const auto* const bytes = reinterpret_cast<const char*>(six.s6_addr);
    return IN6_IS_ADDR_V4MAPPED(&six) ? std::string(bytes + kMappedAt, bytes + sizeof(six.s6_addr))
                                      : std::string(bytes, kIpv6Network);
  }
  in_addr four;
  std::memcpy(&four, &reinterpret_cast<const sockaddr_in&>(peer).sin_addr, sizeof(four));
  return std::string(reinterpret_cast<const char*>(&four), sizeof(four));
}

// Thread-safe. Keeps only what is being served.
class AddressShare {
 public:
  explicit AddressShare(int most) : most_(most) {}

  // False: `key` has its share already. Otherwise Leave follows.
  bool Enter(const std::string& key) {
    absl::MutexLock lock(&mutex_);
    int& served = served_[key];
    if (served >= most_) return false;
    ++served;
    return true;
  }
  void Leave(const std::string& key) {
    absl::MutexLock lock(&mutex_);
    if (--served_[key] == 0) served_.erase(key);
  }

 private:
  const int most_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, int> served_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
