// The client's connection on scripted nodes, under a clock that the test moves.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "client/internal/connection.h"
#include "tests/unit/client/scripted_stub.h"

namespace tranche::internal {

class ConnectionFixture : public testing::Test {
 protected:
  void Open(int nodes) {
    std::vector<std::shared_ptr<Stub>> stubs;
    options_.endpoints.clear();
    for (int node = 0; node < nodes; ++node) {
      options_.endpoints.push_back(absl::StrCat("node-", node, ":1"));
      stubs.push_back(std::make_shared<ScriptedStub>(node, script_));
    }
    ASSERT_TRUE(Validate(options_).ok());
    connection_ = std::make_unique<Connection>(options_, std::move(stubs), scheduler_);
  }

  // Runs the call to its end.
  template <typename Answer, typename Request>
  absl::StatusOr<Answer> Run(void (Connection::*method)(Request, Connection::CallbackOf<Answer>), Request request) {
    std::optional<absl::StatusOr<Answer>> result;
    ((*connection_).*method)(std::move(request), [&](absl::StatusOr<Answer> answer) {
      EXPECT_FALSE(result.has_value()) << "answered twice";
      result = std::move(answer);
    });
    while (!result.has_value()) {
      if (!scheduler_->RunNext()) return absl::InternalError("the call has neither ended nor set a timer");
    }
    return *result;
  }

  Script script_;
  ClientOptions options_;
  std::shared_ptr<ManualScheduler> scheduler_ = std::make_shared<ManualScheduler>();
  std::unique_ptr<Connection> connection_;
};

}  // namespace tranche::internal
