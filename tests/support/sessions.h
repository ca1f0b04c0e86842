// Sessions with the coordination tree for whoever is not under test.
#pragma once

#include <memory>
#include <string>

#include "quota/coordination/announcer.h"
#include "quota/coordination/coordination.h"

namespace tranche::testing {

// Of somebody who only reads or writes, and to whom nothing of what happens matters.
class DeafObserver : public quota::CoordinationObserver {
 public:
  void OnChanged(const std::string&) override {}
  void OnConnected() override {}
  void OnDisconnected() override {}
  void OnSessionExpired() override {}
};

// Always the session that it was given; null is none.
class FixedSession : public quota::SessionSource {
 public:
  std::shared_ptr<quota::Coordination> Session() override { return session; }
  std::shared_ptr<quota::Coordination> session;
};

}  // namespace tranche::testing
