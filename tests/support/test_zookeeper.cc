#include "tests/support/test_zookeeper.h"

#include <glog/logging.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

#include <atomic>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/support/mini_zookeeper.h"

namespace tranche::testing {
namespace {

void IgnoreEvents(zhandle_t*, int, int, const char*, void*) {}

void DeleteTree(zhandle_t* handle, const std::string& path) {
  String_vector children = {0, nullptr};
  if (zoo_get_children(handle, path.c_str(), 0, &children) != ZOK) return;
  for (int i = 0; i < children.count; ++i) DeleteTree(handle, absl::StrCat(path, "/", children.data[i]));
  deallocate_String_vector(&children);
  const int rc = zoo_delete(handle, path.c_str(), -1);
  LOG_IF(WARNING, rc != ZOK && rc != ZNONODE) << "cannot delete " << path << ": " << zerror(rc);
}

}  // namespace

const std::string& SharedZookeeper() {
  static const std::string servers = [] {
    if (const char* const given = std::getenv("TRANCHE_TEST_ZOOKEEPER"); given != nullptr && *given != '\0') {
      return std::string(given);
    }
    static MiniZookeeper server;
    const absl::Status started = server.Start();
    CHECK(started.ok()) << started;
    return server.connect_string();
  }();
  return servers;
}

TestRoot::TestRoot() {
  static std::atomic<int> count{0};
  path_ = absl::StrCat("/tranche-test-", absl::ToUnixMicros(absl::Now()), "-", getpid(), "-", ++count);
}

TestRoot::~TestRoot() {
  // The private server's data goes with it.
  if (std::getenv("TRANCHE_TEST_ZOOKEEPER") == nullptr) return;
  zhandle_t* const handle = zookeeper_init(SharedZookeeper().c_str(), IgnoreEvents, 10'000, nullptr, nullptr, 0);
  CHECK(handle != nullptr) << "cannot use ZooKeeper at " << SharedZookeeper();
  DeleteTree(handle, path_);
  zookeeper_close(handle);
}

}  // namespace tranche::testing
