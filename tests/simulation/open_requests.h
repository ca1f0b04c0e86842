// The unanswered requests of one run of a node.
//
// Whatever the ledger does, a node answers a request soon after its deadline. Time in which it cannot work does not
// count: the owner only passes time that the node had for itself.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/time/time.h"

namespace tranche::simulation {

class OpenRequests {
 public:
  // One request. Open until it is closed or destroyed. Outlived by the OpenRequests.
  class Ticket {
   public:
    Ticket(OpenRequests* requests, uint64_t number) : requests_(requests), number_(number) {}
    Ticket(Ticket&& other) noexcept : requests_(other.requests_), number_(other.number_) { other.requests_ = nullptr; }
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket() { Close(); }

    void Close() {
      if (requests_ != nullptr) requests_->open_.erase(number_);
      requests_ = nullptr;
    }

   private:
    OpenRequests* requests_;
    const uint64_t number_;
  };

  // `kind` is a literal: what the request is for.
  Ticket Open(const char* kind, absl::Time now, absl::Time deadline);

  // The node had another `free` for itself. Returns the first of the requests that should have been answered long ago.
  std::optional<std::string> PassTime(absl::Time now, absl::Duration free);

  bool empty() const { return open_.empty(); }
  int64_t size() const { return static_cast<int64_t>(open_.size()); }
  // Describes the oldest request; "" if there is none.
  std::string Oldest(absl::Time now) const;

 private:
  struct Request {
    const char* kind;
    absl::Time begun, deadline;
    absl::Duration overdue;  // of the node's free time since the deadline
  };
  static std::string Describe(const Request& request, absl::Time now);

  std::map<uint64_t, Request> open_;  // in the order in which they came
  uint64_t last_number_ = 0;
};

}  // namespace tranche::simulation
