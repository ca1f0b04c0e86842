// Reads and changes the coordination tree in tests of the node agent and the balancer.
#pragma once

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "quota/coordination/announcer.h"
#include "quota/coordination/coordination.h"
#include "quota/coordination/coordination_paths.h"

namespace tranche::quota {

// A session of a process that is not under test: an operator, or the other side.
class Bystander : public CoordinationObserver, public SessionSource {
 public:
  explicit Bystander(CoordinationConnector* connector) : session_(*connector->Connect(this)) {}

  Coordination& tree() { return *session_; }
  std::shared_ptr<Coordination> Session() override { return session_; }
  void OnChanged(const std::string& path) override {}
  void OnConnected() override {}
  void OnDisconnected() override {}
  void OnSessionExpired() override {}

  bool Exists(const std::string& path) { return session_->Get(path, Watch::kNo).ok(); }

  // Like `deleteall` of ZooKeeper's shell.
  void DeleteAll(const std::string& path) {
    const auto names = session_->List(path, Watch::kNo);
    ASSERT_TRUE(names.ok()) << names.status();
    for (const std::string& name : *names) DeleteAll(path + "/" + name);
    const absl::Status deleted = session_->Delete(path, kAnyVersion);
    ASSERT_TRUE(deleted.ok()) << deleted;
  }
  void DeleteTree() {
    for (const char* path : kFixedPaths) DeleteAll(path);
  }

 private:
  std::shared_ptr<Coordination> session_;
};

}  // namespace tranche::quota
