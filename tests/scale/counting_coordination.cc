#include "tests/scale/counting_coordination.h"

#include <string>
#include <utility>
#include <vector>

namespace tranche::testing {
namespace {

using quota::Coordination;
using quota::CreateMode;
using quota::Watch;
using quota::WriteOp;
using quota::Znode;

class CountingSession : public Coordination {
 public:
  CountingSession(std::unique_ptr<Coordination> inner, Traffic* traffic)
      : inner_(std::move(inner)), traffic_(traffic) {}

  absl::StatusOr<Znode> Get(const std::string& path, Watch watch) override {
    const InsideTimer timer(traffic_);
    auto read = inner_->Get(path, watch);
    ++traffic_->zk_waits;
    CountRead(read);
    return read;
  }

  absl::StatusOr<std::vector<std::string>> List(const std::string& path, Watch watch) override {
    const InsideTimer timer(traffic_);
    auto names = inner_->List(path, watch);
    ++traffic_->zk_waits;
    ++traffic_->zk_lists;
    if (names.ok()) traffic_->bytes_read += ListReplyBytes(*names);
    return names;
  }

  absl::Status Create(const std::string& path, const std::string& data, CreateMode mode) override {
    const InsideTimer timer(traffic_);
    CountWrite(data);
    ++traffic_->zk_waits;
    return inner_->Create(path, data, mode);
  }

  absl::Status Set(const std::string& path, const std::string& data, int32_t version) override {
    const InsideTimer timer(traffic_);
    CountWrite(data);
    ++traffic_->zk_waits;
    return inner_->Set(path, data, version);
  }

  absl::Status Delete(const std::string& path, int32_t version) override {
    const InsideTimer timer(traffic_);
    CountWrite("");
    ++traffic_->zk_waits;
    return inner_->Delete(path, version);
  }

  std::vector<absl::StatusOr<Znode>> GetMany(absl::Span<const std::string> paths, Watch watch) override {
    const InsideTimer timer(traffic_);
    auto read = inner_->GetMany(paths, watch);
    if (!paths.empty()) ++traffic_->zk_waits;
    for (const auto& znode : read) CountRead(znode);
    return read;
  }

  std::vector<absl::Status> Apply(absl::Span<const WriteOp> ops) override {
    const InsideTimer timer(traffic_);
    for (const WriteOp& op : ops) CountWrite(op.data);
    if (!ops.empty()) ++traffic_->zk_waits;
    return inner_->Apply(ops);
  }

  absl::Status EnsureFixedPaths() override { return inner_->EnsureFixedPaths(); }
  int64_t SessionId() const override { return inner_->SessionId(); }

 private:
  void CountRead(const absl::StatusOr<Znode>& read) {
    ++traffic_->zk_reads;
    if (read.ok()) traffic_->bytes_read += static_cast<int64_t>(read->data.size());
  }
  void CountWrite(const std::string& data) {
    ++traffic_->zk_writes;
    traffic_->bytes_written += static_cast<int64_t>(data.size());
  }

  const std::unique_ptr<Coordination> inner_;
  Traffic* const traffic_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Coordination>> CountingConnector::Connect(quota::CoordinationObserver* observer) {
  auto session = inner_->Connect(observer);
  if (!session.ok()) return session.status();
  return std::unique_ptr<Coordination>(std::make_unique<CountingSession>(*std::move(session), traffic_));
}

int64_t ListReplyBytes(const std::vector<std::string>& names) {
  constexpr int64_t kHeaderAndStat = 16 + 4 + 68;
  int64_t bytes = kHeaderAndStat;
  for (const std::string& name : names) bytes += 4 + static_cast<int64_t>(name.size());
  return bytes;
}

}  // namespace tranche::testing
