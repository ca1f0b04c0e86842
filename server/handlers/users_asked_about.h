// The users about whom somebody outside is being asked: at most one visit of each at a time. Limits count a visit only
// after the question, so without this, one user's visits at once could take all places of the scorer and the captcha's
// provider.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"

namespace tranche::server {

// Thread-safe. Outlives its places.
class UsersAskedAbout {
 public:
  // More than the scorer and the captcha's provider are asked about at once, which have bounds of their own.
  static constexpr size_t kMost = 1024;

  // Is given back when it ends.
  class Place {
   public:
    Place(UsersAskedAbout* users, std::string user_id);
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    UsersAskedAbout* const users_;
    const std::string user_id_;
  };

  // Null: a visit of theirs has one, or there are too many.
  std::unique_ptr<const Place> Take(const std::string& user_id);

 private:
  absl::Mutex mutex_;
  absl::flat_hash_set<std::string> users_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
