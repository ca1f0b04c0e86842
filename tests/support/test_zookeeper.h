// The ZooKeeper that tests share if they do not need to break it.
#pragma once

#include <string>

namespace tranche::testing {

// "host:port,...": the servers in the environment variable TRANCHE_TEST_ZOOKEEPER if it is set, otherwise a private
// server that is started once and lives as long as this process. Call it first from the main thread.
const std::string& SharedZookeeper();

// A root in SharedZookeeper() that nobody else uses; removed with everything below it at the end.
class TestRoot {
 public:
  TestRoot();
  ~TestRoot();
  TestRoot(const TestRoot&) = delete;
  TestRoot& operator=(const TestRoot&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace tranche::testing
