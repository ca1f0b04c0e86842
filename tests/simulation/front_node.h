// One run of a front node's process: the real sellers, pipeline lanes, directory and agent, each on fibers.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "quota/node/node_agent.h"
#include "quota/node/node_host.h"
#include "quota/sale/cart_seller.h"
#include "quota/sale/pool_taker.h"
#include "quota/sale/seller.h"
#include "quota/sale/sku_directory.h"
#include "quota/sale/waiting_room.h"
#include "quota/slices/slice_table.h"
#include "storage/pipeline/change_pipeline.h"
#include "storage/pipeline/commit_lane.h"
#include "storage/pipeline/commit_pipeline.h"
#include "tests/simulation/open_requests.h"
#include "tests/simulation/process.h"
#include "tests/simulation/queue/consumer_part.h"
#include "tests/simulation/queue/node_intake.h"
#include "tests/simulation/sim_coordination.h"
#include "tests/simulation/sim_executor.h"
#include "tests/simulation/sim_ledger.h"
#include "tests/support/one_shard.h"

namespace tranche::simulation {

class FrontNode : public quota::NodeHost {
 public:
  enum class Role {
    kFront,
    kConsumer,  // no buyer comes: it decides what is queued
  };

  // `ended` is called once, when the process has ended and nothing of it runs any more.
  FrontNode(World* world, ActorId actor, const std::string& name, Role role, std::function<void()> ended);
  ~FrontNode() override;

  void Launch();

  // Like an arriving request. When the process dies, `done` is destroyed unanswered.
  void Sell(storage::ReservationClaim claim, absl::Time deadline, bool may_exist, quota::SaleDone done,
            quota::Visitor visitor = {});
  void SellCart(std::vector<storage::ReservationClaim> lines, absl::Time deadline, bool may_exist, quota::CartDone done,
                std::vector<quota::Visitor> visitors = {});
  // What became of the claim with this ticket: those of its rows that exist.
  void Ask(const std::string& ticket, absl::Time deadline, storage::Books::ReadDone done);
  // A request to change a reservation. Distinguishes late payments from those in time, as the server does.
  void Apply(Change change, absl::Time deadline, storage::ChangeDone done);
  // Drains and ends, as after SIGTERM.
  void StopInOrder();

  bool serving() const { return serving_ && !process_.crashed(); }
  Process& process() { return process_; }
  const SimConnector& connector() const { return connector_; }
  const quota::SliceTable& slices() const { return slices_; }
  storage::IncarnationId incarnation() const { return agent_->incarnation(); }
  bool draining() const { return draining_; }
  bool consumes() const { return consumer_ != nullptr; }
  // Of a consumer.
  void CutOffFromBroker(absl::Duration unnoticed) { consumer_->CutOff(unnoticed); }
  const OpenRequests& requests() const { return requests_; }
  const std::string& name() const { return name_; }
  // Claims and carts that were granted units and are not decided.
  bool busy() const { return shard_->claims().Stats().unanswered > 0 || carts_->unanswered() > 0; }

  // NodeHost.
  void SetDraining(bool draining) override;
  bool Idle() override { return !busy() && (consumer_ == nullptr || consumer_->idle()); }
  void ExitAfterDrain() override { StopInOrder(); }
  bool LedgerAnswers() override { return shard_->claims().Stats().ledger_answers; }

 private:
  void Spawn(std::function<void()> body);
  void RunAgent();
  template <typename Lane, typename Pipeline>
  void RunLane(Lane& lane, const Pipeline& pipeline);
  void CheckQueue(const storage::PipelineStats& stats);
  bool Drained() {
    return shard_->claims().Drain(absl::ZeroDuration()) && carts_->unanswered() == 0 &&
           shard_->changes().Drain(absl::ZeroDuration());
  }
  void SetAccepting(bool accepting);
  void AnswerOverdue();
  void TrySlowCarts();
  void LookAtQueues();
  void DecideQueued();
  void DrainQueues(absl::Time deadline);
  std::unique_ptr<ConsumerPart> MakeConsumer();
  void WatchRequests();
  int64_t Waiting() const;
  void ReleaseInOrder();
  void AwaitCalls();
  void CheckWaiting();
  void CheckNothingHeld(const quota::Slice& slice);

  Process process_;
  const std::string name_;
  OpenRequests requests_;  // for the parts below, all of which may hold some
  const std::function<void()> ended_;
  int fibers_ = 0;
  bool serving_ = false;
  bool draining_ = false;
  bool stop_requested_ = false;

  SimLedger ledger_;
  SimConnector connector_;
  quota::SliceTable slices_;
  SimExecutor executor_;
  // Null in the other role, or where no claims are queued. They outlive what they have begun below.
  std::unique_ptr<NodeIntake> intake_;
  std::unique_ptr<ConsumerPart> consumer_;
  // Destroyed one by one, see the destructor.
  std::unique_ptr<testing::OneShard> shard_;
  std::vector<std::unique_ptr<storage::CommitLane>> lanes_;
  std::unique_ptr<storage::ChangeLane> change_lane_;
  quota::SkuDirectory directory_;
  quota::PoolTaker pools_;
  quota::WaitingRoom room_;
  std::unique_ptr<quota::Seller> seller_;
  std::unique_ptr<quota::CartSeller> carts_;
  std::unique_ptr<quota::NodeAgent> agent_;
};

}  // namespace tranche::simulation
