// Databases that the tests of a process use one after the other.
#pragma once

#include <memory>
#include <string>

#include "tests/support/test_postgres.h"

namespace tranche::testing {

// As a TestDatabase: migrated, in SharedPostgres(), and nobody else uses it. But it comes from a test that has ended,
// if there is one, and holds what a new one would. This takes a fraction of the time that making and dropping one
// takes. Of roles and settings of the server, as of TestDatabase's, everybody sees everything. Thread-safe to construct
// and to destroy.
class LentDatabase {
 public:
  // Ends the connections that were left open to it.
  LentDatabase();
  // Close your connections before; what is still running there is cut off by the next test.
  ~LentDatabase();
  LentDatabase(const LentDatabase&) = delete;
  LentDatabase& operator=(const LentDatabase&) = delete;

  std::string owner_dsn() const { return database_->owner_dsn(); }
  std::string node_dsn() const { return database_->node_dsn(); }

  // Call it before you change its schema, its rights or its settings: it is dropped at the end instead of lent again.
  // The next one who got it would end the process, because these changes are not undone.
  void KeepFromOthers() { lent_again_ = false; }

  // Has this process made one?
  static bool AnyMade();

 private:
  std::unique_ptr<TestDatabase> database_;
  bool lent_again_ = true;
};

}  // namespace tranche::testing
