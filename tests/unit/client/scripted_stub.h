// A front node with scripted answers, and a clock that moves only when told: for tests of the client.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "client/internal/scheduler.h"
#include "client/internal/status_translation.h"
#include "client/internal/stub.h"

namespace tranche::internal {

// Runs tasks when the test moves the time. One thread only.
class ManualScheduler : public Scheduler {
 public:
  absl::Time Now() const override { return now_; }
  void RunAt(absl::Time when, Task task) override {
    if (stopped_) return task();
    tasks_.push_back({when, std::move(task)});
  }
  void Shutdown() override {
    stopped_ = true;
    while (!tasks_.empty()) RunNext();
  }

  // Time passes while an attempt runs.
  void Pass(absl::Duration duration) { now_ += duration; }
  // Moves to the next task and runs it. False: there was none.
  bool RunNext() {
    if (tasks_.empty()) return false;
    size_t next = 0;
    for (size_t i = 1; i < tasks_.size(); ++i) {
      if (tasks_[i].first < tasks_[next].first) next = i;
    }
    auto [when, task] = std::move(tasks_[next]);
    tasks_.erase(tasks_.begin() + static_cast<std::ptrdiff_t>(next));
    if (when > now_) {
      waits_.push_back(when - now_);
      now_ = when;
    }
    task();
    return true;
  }
  void RunAll() {
    while (RunNext()) {
    }
  }
  // How long each task had to wait.
  const std::vector<absl::Duration>& waits() const { return waits_; }
  size_t waiting() const { return tasks_.size(); }

 private:
  absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
  bool stopped_ = false;
  std::vector<std::pair<absl::Time, Task>> tasks_;
  std::vector<absl::Duration> waits_;
};

// The requests to one node.
struct SeenCreate {
  int node;
  tranche::v1::CreateReservationRequest request;
  absl::Time deadline;
};

// Answers the calls of one method: first with the scripted answers, then with OK. Remembers the requests.
template <typename Request, typename Response>
struct ScriptedMethod {
  std::deque<absl::StatusOr<Response>> answers;
  std::vector<Request> requests;
  std::vector<int> nodes;

  void Call(int node, const Request& request, Response* response, AttemptObserver* observer) {
    requests.push_back(request);
    nodes.push_back(node);
    absl::StatusOr<Response> answer = Response();
    if (!answers.empty()) {
      answer = std::move(answers.front());
      answers.pop_front();
    }
    if (answer.ok()) *response = *answer;
    observer->OnAttemptDone(answer.status());
  }
};

// Tells these outcomes and then ends.
class ScriptedClaimWatch final : public grpc::ClientCallbackReader<tranche::v1::WatchClaimResponse> {
 public:
  ScriptedClaimWatch(ClaimWatchReactor* reactor, std::vector<tranche::v1::GetClaimResponse> told, grpc::Status end)
      : reactor_(reactor), told_(std::move(told)), end_(std::move(end)) {
    BindReactor(reactor);
  }
  void StartCall() override {
    for (const tranche::v1::GetClaimResponse& outcome : told_) {
      *read_->mutable_claim() = outcome;
      reactor_->OnReadDone(true);
    }
    reactor_->OnReadDone(false);
  }
  void Read(tranche::v1::WatchClaimResponse* response) override { read_ = response; }
  void AddHold(int holds) override { holds_ += holds; }
  void RemoveHold() override {
    if (--holds_ == 0) reactor_->OnDone(end_);
  }

 private:
  ClaimWatchReactor* const reactor_;
  const std::vector<tranche::v1::GetClaimResponse> told_;
  const grpc::Status end_;
  tranche::v1::WatchClaimResponse* read_ = nullptr;
  int holds_ = 0;
};

// Tells what the test says when it says it; not inline, since a session that opens a stream holds its lock.
class ScriptedGroupWatch final : public grpc::ClientCallbackReader<tranche::v1::WatchGroupResponse> {
 public:
  ScriptedGroupWatch(int node, GroupWatchReactor* reactor) : node(node), reactor_(reactor) { BindReactor(reactor); }

  void Tell(const tranche::v1::WatchGroupResponse& response) {
    *read_ = response;
    reactor_->OnReadDone(true);
  }
  void End(const grpc::Status& status) {
    reactor_->OnReadDone(false);
    reactor_->OnDone(status);
  }

  const int node;

 private:
  void StartCall() override {}
  void Read(tranche::v1::WatchGroupResponse* response) override { read_ = response; }
  void AddHold(int holds) override {}
  void RemoveHold() override {}

  GroupWatchReactor* const reactor_;
  tranche::v1::WatchGroupResponse* read_ = nullptr;
};

// Shared by the stubs of one test: answers are given in the order of the calls, whichever node is called.
struct Script {
  std::deque<absl::Status> create;                     // empty: OK
  std::optional<tranche::v1::QueuedClaim> queued;      // then OK means this
  std::vector<tranche::v1::GetClaimResponse> watched;  // what each watch of a claim tells
  grpc::Status watch_end = grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "");
  std::vector<std::string> watched_tickets;
  std::vector<std::unique_ptr<ScriptedClaimWatch>> watches;
  std::deque<absl::StatusOr<tranche::v1::Reservation>> get;
  std::function<void()> during_create = [] {};
  std::vector<SeenCreate> creates;
  std::vector<std::string> gets;
  size_t gets_after_lost_answer = 0;
  ScriptedMethod<tranche::v1::GetClaimRequest, tranche::v1::GetClaimResponse> get_claim;
  ScriptedMethod<tranche::v1::CreateReservationsRequest, tranche::v1::CreateReservationsResponse> cart;
  ScriptedMethod<tranche::v1::ConfirmReservationRequest, tranche::v1::ConfirmReservationResponse> confirm;
  ScriptedMethod<tranche::v1::CancelReservationRequest, tranche::v1::CancelReservationResponse> cancel;
  ScriptedMethod<tranche::v1::ExtendReservationRequest, tranche::v1::ExtendReservationResponse> extend;
  ScriptedMethod<tranche::v1::ListReservationsRequest, tranche::v1::ListReservationsResponse> list;
  ScriptedMethod<tranche::v1::BatchGetReservationsRequest, tranche::v1::BatchGetReservationsResponse> batch_get;
  ScriptedMethod<tranche::v1::CatalogServiceGetSkuRequest, tranche::v1::CatalogServiceGetSkuResponse> get_sku;
  ScriptedMethod<tranche::v1::CatalogServiceListSkusRequest, tranche::v1::CatalogServiceListSkusResponse> list_skus;
  ScriptedMethod<tranche::v1::EnterSaleRequest, tranche::v1::EnterSaleResponse> enter_sale;
  ScriptedMethod<tranche::v1::EnterDrawRequest, tranche::v1::EnterDrawResponse> enter_draw;
  ScriptedMethod<tranche::v1::GetDrawEntryRequest, tranche::v1::GetDrawEntryResponse> get_draw_entry;
  ScriptedMethod<tranche::v1::OpenGroupRequest, tranche::v1::OpenGroupResponse> open_group;
  ScriptedMethod<tranche::v1::JoinGroupRequest, tranche::v1::JoinGroupResponse> join_group;
  ScriptedMethod<tranche::v1::LeaveGroupRequest, tranche::v1::LeaveGroupResponse> leave_group;
  ScriptedMethod<tranche::v1::GetGroupRequest, tranche::v1::GetGroupResponse> get_group;
  ScriptedMethod<tranche::v1::ListGroupsRequest, tranche::v1::ListGroupsResponse> list_groups;
  ScriptedMethod<tranche::v1::ListGroupOffersRequest, tranche::v1::ListGroupOffersResponse> list_group_offers;
  std::vector<tranche::v1::WatchGroupRequest> watched_groups;
  std::vector<std::unique_ptr<ScriptedGroupWatch>> group_watches;
};

class ScriptedStub : public Stub {
 public:
  ScriptedStub(int node, Script& script) : node_(node), script_(script) {}

  void CreateReservation(Context& context, absl::Time deadline, const tranche::v1::CreateReservationRequest& request,
                         tranche::v1::CreateReservationResponse* response, AttemptObserver* observer) override {
    script_.creates.push_back({node_, request, deadline});
    script_.during_create();
    absl::Status status;
    if (!script_.create.empty()) {
      status = std::move(script_.create.front());
      script_.create.pop_front();
    }
    if (status.ok() && script_.queued.has_value()) {
      *response->mutable_queued() = *script_.queued;
    } else if (status.ok()) {
      *response->mutable_reservation() = Claim(request);
    }
    observer->OnAttemptDone(status);
  }

  void GetReservation(Context& context, absl::Time deadline, const tranche::v1::GetReservationRequest& request,
                      tranche::v1::GetReservationResponse* response, AttemptObserver* observer) override {
    script_.gets.push_back(request.reservation_id());
    script_.gets_after_lost_answer += request.after_lost_answer() ? 1 : 0;
    absl::StatusOr<tranche::v1::Reservation> answer = absl::UnimplementedError("the test has no answer to Get");
    if (!script_.get.empty()) {
      answer = std::move(script_.get.front());
      script_.get.pop_front();
    }
    if (answer.ok()) *response->mutable_reservation() = *answer;
    observer->OnAttemptDone(answer.status());
  }

  void GetClaim(Context& context, absl::Time deadline, const tranche::v1::GetClaimRequest& request,
                tranche::v1::GetClaimResponse* response, AttemptObserver* observer) override {
    script_.get_claim.Call(node_, request, response, observer);
  }

  void CreateReservations(Context& context, absl::Time deadline, const tranche::v1::CreateReservationsRequest& request,
                          tranche::v1::CreateReservationsResponse* response, AttemptObserver* observer) override {
    script_.cart.Call(node_, request, response, observer);
  }

  void ConfirmReservation(Context& context, absl::Time deadline, const tranche::v1::ConfirmReservationRequest& request,
                          tranche::v1::ConfirmReservationResponse* response, AttemptObserver* observer) override {
    script_.confirm.Call(node_, request, response, observer);
  }

  void CancelReservation(Context& context, absl::Time deadline, const tranche::v1::CancelReservationRequest& request,
                         tranche::v1::CancelReservationResponse* response, AttemptObserver* observer) override {
    script_.cancel.Call(node_, request, response, observer);
  }

  void ExtendReservation(Context& context, absl::Time deadline, const tranche::v1::ExtendReservationRequest& request,
                         tranche::v1::ExtendReservationResponse* response, AttemptObserver* observer) override {
    script_.extend.Call(node_, request, response, observer);
  }

  void ListReservations(Context& context, absl::Time deadline, const tranche::v1::ListReservationsRequest& request,
                        tranche::v1::ListReservationsResponse* response, AttemptObserver* observer) override {
    script_.list.Call(node_, request, response, observer);
  }

  void BatchGetReservations(Context& context, absl::Time deadline,
                            const tranche::v1::BatchGetReservationsRequest& request,
                            tranche::v1::BatchGetReservationsResponse* response, AttemptObserver* observer) override {
    script_.batch_get.Call(node_, request, response, observer);
  }

  void GetSku(Context& context, absl::Time deadline, const tranche::v1::CatalogServiceGetSkuRequest& request,
              tranche::v1::CatalogServiceGetSkuResponse* response, AttemptObserver* observer) override {
    script_.get_sku.Call(node_, request, response, observer);
  }

  void ListSkus(Context& context, absl::Time deadline, const tranche::v1::CatalogServiceListSkusRequest& request,
                tranche::v1::CatalogServiceListSkusResponse* response, AttemptObserver* observer) override {
    script_.list_skus.Call(node_, request, response, observer);
  }

  void EnterSale(Context& context, absl::Time deadline, const tranche::v1::EnterSaleRequest& request,
                 tranche::v1::EnterSaleResponse* response, AttemptObserver* observer) override {
    script_.enter_sale.Call(node_, request, response, observer);
  }

  void EnterDraw(Context& context, absl::Time deadline, const tranche::v1::EnterDrawRequest& request,
                 tranche::v1::EnterDrawResponse* response, AttemptObserver* observer) override {
    script_.enter_draw.Call(node_, request, response, observer);
  }

  void GetDrawEntry(Context& context, absl::Time deadline, const tranche::v1::GetDrawEntryRequest& request,
                    tranche::v1::GetDrawEntryResponse* response, AttemptObserver* observer) override {
    script_.get_draw_entry.Call(node_, request, response, observer);
  }

  void OpenGroup(Context& context, absl::Time deadline, const tranche::v1::OpenGroupRequest& request,
                 tranche::v1::OpenGroupResponse* response, AttemptObserver* observer) override {
    script_.open_group.Call(node_, request, response, observer);
  }

  void JoinGroup(Context& context, absl::Time deadline, const tranche::v1::JoinGroupRequest& request,
                 tranche::v1::JoinGroupResponse* response, AttemptObserver* observer) override {
    script_.join_group.Call(node_, request, response, observer);
  }

  void LeaveGroup(Context& context, absl::Time deadline, const tranche::v1::LeaveGroupRequest& request,
                  tranche::v1::LeaveGroupResponse* response, AttemptObserver* observer) override {
    script_.leave_group.Call(node_, request, response, observer);
  }

  void GetGroup(Context& context, absl::Time deadline, const tranche::v1::GetGroupRequest& request,
                tranche::v1::GetGroupResponse* response, AttemptObserver* observer) override {
    script_.get_group.Call(node_, request, response, observer);
  }

  void ListGroups(Context& context, absl::Time deadline, const tranche::v1::ListGroupsRequest& request,
                  tranche::v1::ListGroupsResponse* response, AttemptObserver* observer) override {
    script_.list_groups.Call(node_, request, response, observer);
  }

  void ListGroupOffers(Context& context, absl::Time deadline, const tranche::v1::ListGroupOffersRequest& request,
                       tranche::v1::ListGroupOffersResponse* response, AttemptObserver* observer) override {
    script_.list_group_offers.Call(node_, request, response, observer);
  }

  void WatchReservation(Context& context, const tranche::v1::WatchReservationRequest& request,
                        WatchReactor* reactor) override {}
  void WatchGroup(Context& context, const tranche::v1::WatchGroupRequest& request,
                  GroupWatchReactor* reactor) override {
    context.emplace();
    script_.watched_groups.push_back(request);
    script_.group_watches.push_back(std::make_unique<ScriptedGroupWatch>(node_, reactor));
  }
  void WatchClaim(Context& context, const tranche::v1::WatchClaimRequest& request,
                  ClaimWatchReactor* reactor) override {
    script_.watched_tickets.push_back(request.ticket());
    script_.watches.push_back(std::make_unique<ScriptedClaimWatch>(reactor, script_.watched, script_.watch_end));
  }
  void StreamReservations(Context& context, StreamReactor* reactor) override {}

  static tranche::v1::Reservation Claim(const tranche::v1::CreateReservationRequest& request) {
    tranche::v1::Reservation claim;
    claim.set_reservation_id(request.reservation_id());
    claim.set_sku_id(request.sku_id());
    claim.set_user_id(request.user_id());
    claim.set_quantity(request.quantity());
    claim.set_state(tranche::v1::RESERVATION_STATE_PENDING);
    return claim;
  }

 private:
  const int node_;
  Script& script_;
};

// An error as a front node makes it.
inline absl::Status NodeError(absl::StatusCode code, const std::string& reason,
                              absl::Duration retry_delay = absl::ZeroDuration()) {
  absl::Status status(code, "scripted " + reason);
  SetReason(status, reason);
  if (retry_delay > absl::ZeroDuration()) SetRetryDelay(status, retry_delay);
  return status;
}

// What a client sees of one node.
inline absl::Status Refused() { return absl::UnavailableError("failed to connect to all addresses"); }
inline absl::Status ConnectionLost() { return absl::UnavailableError("Socket closed"); }
inline absl::Status NotFound() { return NodeError(absl::StatusCode::kNotFound, "RESERVATION_NOT_FOUND"); }
inline absl::Status SoldOut() { return NodeError(absl::StatusCode::kResourceExhausted, "SOLD_OUT"); }

}  // namespace tranche::internal
