#include "tests/support/lent_database.h"

#include <glog/logging.h>

#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "tests/support/saved_state.h"

namespace tranche::testing {
namespace {

// At most as many as were ever used at the same time.
class IdleDatabases {
 public:
  // nullptr: there is none.
  std::unique_ptr<TestDatabase> Take() {
    absl::MutexLock lock(&mutex_);
    any_made_ = true;
    if (idle_.empty()) return nullptr;
    std::unique_ptr<TestDatabase> taken = std::move(idle_.back());
    idle_.pop_back();
    return taken;
  }
  void Give(std::unique_ptr<TestDatabase> database) {
    absl::MutexLock lock(&mutex_);
    idle_.push_back(std::move(database));
  }
  bool any_made() {
    absl::MutexLock lock(&mutex_);
    return any_made_;
  }

 private:
  absl::Mutex mutex_;
  std::vector<std::unique_ptr<TestDatabase>> idle_ ABSL_GUARDED_BY(mutex_);
  bool any_made_ ABSL_GUARDED_BY(mutex_) = false;
};

IdleDatabases& Idle() {
  static IdleDatabases idle;
  return idle;
}

}  // namespace

LentDatabase::LentDatabase() {
  SharedPostgres();  // constructed before Idle(), hence destroyed after the databases
  database_ = Idle().Take();
  if (database_ != nullptr) {
    const absl::Status restored = RestoreState(database_->owner_dsn());
    CHECK(restored.ok()) << "a database cannot be lent again: " << restored;
    return;
  }
  database_ = std::make_unique<TestDatabase>();
  const absl::Status saved = SaveState(database_->owner_dsn());
  CHECK(saved.ok()) << saved;
}

LentDatabase::~LentDatabase() {
  if (lent_again_) Idle().Give(std::move(database_));
}

// Must not start a server only to ask.
bool LentDatabase::AnyMade() { return Idle().any_made(); }

}  // namespace tranche::testing
