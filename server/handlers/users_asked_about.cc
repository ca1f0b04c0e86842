#include "server/handlers/users_asked_about.h"

#include <utility>

namespace tranche::server {

UsersAskedAbout::Place::Place(UsersAskedAbout* users, std::string user_id)
    : users_(users), user_id_(std::move(user_id)) {}

UsersAskedAbout::Place::~Place() {
  absl::MutexLock lock(&users_->mutex_);
  users_->users_.erase(user_id_);
}

std::unique_ptr<const UsersAskedAbout::Place> UsersAskedAbout::Take(const std::string& user_id) {
  {
    absl::MutexLock lock(&mutex_);
    if (users_.size() >= kMost || !users_.insert(user_id).second) return nullptr;
  }
  return std::make_unique<const Place>(this, user_id);
}

}  // namespace tranche::server
