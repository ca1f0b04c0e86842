// ZooKeeper as one process sees it: every call waits, and may fail, be lost or be the last thing that the process does;
// watch events come late or not at all.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "quota/coordination/coordination.h"
#include "quota/fake/fake_coordination.h"
#include "tests/simulation/process.h"

namespace tranche::simulation {

// Between the fake's session and an observer: passes events on after a delay. Shared with delayed callbacks, which find
// it closed after the session has gone.
class DelayedObserver : public quota::CoordinationObserver, public std::enable_shared_from_this<DelayedObserver> {
 public:
  DelayedObserver(Process* process, quota::CoordinationObserver* observer) : process_(process), observer_(observer) {}

  void OnChanged(const std::string& path) override;
  void OnConnected() override;
  void OnDisconnected() override;
  void OnSessionExpired() override;

  // From now on nothing is passed on.
  void Close() { observer_ = nullptr; }

 private:
  using Event = absl::AnyInvocable<void(quota::CoordinationObserver&)>;

  void Later(Event event);
  void DeliverNext();

  Process* const process_;
  quota::CoordinationObserver* observer_;
  std::deque<Event> events_;  // they keep their order
};

class SimSession : public quota::Coordination {
 public:
  SimSession(Process* process, std::unique_ptr<quota::Coordination> inner, std::shared_ptr<DelayedObserver> observer)
      : process_(process), inner_(std::move(inner)), observer_(std::move(observer)) {}
  ~SimSession() override;

  absl::StatusOr<quota::Znode> Get(const std::string& path, quota::Watch watch) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& path, quota::Watch watch) override;
  absl::Status Create(const std::string& path, const std::string& data, quota::CreateMode mode) override;
  absl::Status Set(const std::string& path, const std::string& data, int32_t version) override;
  absl::Status Delete(const std::string& path, int32_t version) override;
  std::vector<absl::StatusOr<quota::Znode>> GetMany(absl::Span<const std::string> paths, quota::Watch watch) override;
  std::vector<absl::Status> Apply(absl::Span<const quota::WriteOp> ops) override;
  absl::Status EnsureFixedPaths() override;
  int64_t SessionId() const override { return inner_->SessionId(); }

 private:
  bool Wait();
  bool ReadFails();
  // For the checker: a znode has just become this.
  void Performed(const std::string& path, const std::string& data, bool gone);
  template <typename Perform>
  absl::Status Write(Perform perform);

  Process* const process_;
  std::unique_ptr<quota::Coordination> inner_;
  const std::shared_ptr<DelayedObserver> observer_;
};

class SimConnector : public quota::CoordinationConnector {
 public:
  explicit SimConnector(Process* process) : process_(process) {}

  absl::StatusOr<std::unique_ptr<quota::Coordination>> Connect(quota::CoordinationObserver* observer) override;

  // The newest session that this process has made; 0 when it has none.
  int64_t session_id() const { return session_id_; }

 private:
  Process* const process_;
  int64_t session_id_ = 0;
};

}  // namespace tranche::simulation
