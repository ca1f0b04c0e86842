// What becomes of calls that their callers may not make: counted by method and reason, told in the log, and, if a
// principal wanted to change something, or to read everybody's reservations, written into the audit log. Callers can
// cause any number of them, so lines and entries are bounded.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/access/permission.h"
#include "server/method_name.h"
#include "server/once_per.h"
#include "storage/clock.h"

namespace tranche::server {

struct Denial {
  // As in the .proto, the service with its package; static.
  const char* service;
  const char* method;
  Permission permission;
  bool known = false;       // the caller is a principal, whose role does not do
  std::string caller = {};  // the principal's name, or the address that the call came from
  std::string actor = {};   // the caller and the person whom they name (CallContext::actor)
  std::string reason = {};  // in the actor's words; "" if they gave none

  std::string method_name() const { return MethodName(service, method); }
};

// Thread-safe.
class Denials {
 public:
  // One line in the log for each address of unknown callers (an IPv6 network of 64 bits counts as one), and a line
  // and an audit entry for each principal and method, in this time.
  static constexpr absl::Duration kInterval = absl::Minutes(1);
  // More addresses of the last minute have none, nor have more principals with methods: strangers take nothing of what
  // is for principals.
  static constexpr size_t kMaxKinds = 1000;

  // Queues an entry for the audit log, without waiting. False: it cannot be queued.
  using Audit = std::function<bool(const Denial&)>;
  struct Kind {
    std::string service;  // as in Denial
    std::string method;
    bool known;

    friend auto operator<=>(const Kind&, const Kind&) = default;
  };
  // As many as methods at most, and twice.
  using Counts = std::map<Kind, int64_t>;

  // Without `audit` there are no entries. `clock` outlives this.
  Denials(Audit audit, storage::Clock* clock)
      : audit_(std::move(audit)),
        address_lines_(kInterval, kMaxKinds, clock),
        principal_lines_(kInterval, kMaxKinds, clock),
        entries_(kInterval, kMaxKinds, clock) {}

  // Does not block.
  void Note(const Denial& denial);

  Counts counts() const;

 private:
  const Audit audit_;
  OncePer address_lines_;
  OncePer principal_lines_;
  OncePer entries_;
  mutable absl::Mutex mutex_;
  Counts counts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
