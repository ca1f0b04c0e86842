// Sessions with the coordination tree for code that is not under test.
#pragma once

#include <memory>
#include <string>

#include "quota/coordination/announcer.h"
#include "quota/coordination/coordination.h"

namespace tranche::testing {

// For code that only reads or writes, and ignores all events.
class DeafObserver : public quota::CoordinationObserver {
 public:
  void OnChanged(const std::string&) override {}
  void OnConnected() override {}
  void OnDisconnected() override {}
  void OnSessionExpired() override {}
};

// Always gives the session that it got; null means none.
class FixedSession : public quota::SessionSource {
 public:
  std::shared_ptr<quota::Coordination> Session() override { return session; }
  std::shared_ptr<quota::Coordination> session;
};

}  // namespace tranche::testing
