// Receivers of a worker's messages within the test, over HTTP and gRPC. They remember what they took.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/worker/signature.h"
#include "tests/support/http_receiver.h"
#include "tranche/v1/outbox_sink.grpc.pb.h"

namespace tranche::testing {

class Shop {
 public:
  virtual ~Shop() = default;

  // From now on, it fails for the messages of these reservations, always.
  void FailFor(std::set<std::string> reservations) {
    absl::MutexLock lock(&mutex_);
    fails_for_ = std::move(reservations);
  }
  // Waits until it has taken all of these messages; returns when it took each for the first time.
  std::vector<absl::Time> AwaitTaken(const std::vector<std::string>& ids) {
    absl::MutexLock lock(&mutex_);
    const auto all = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return std::all_of(ids.begin(), ids.end(), [&](const std::string& id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return taken_at_.contains(id);
      });
    };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&all), absl::Seconds(60))) << "some do not come";
    std::vector<absl::Time> times;
    for (const std::string& id : ids) times.push_back(taken_at_[id]);
    return times;
  }
  // Message ids in the order of acceptance.
  std::vector<std::string> taken() {
    absl::MutexLock lock(&mutex_);
    return taken_;
  }
  // By message id: the traceparent that it came with, a space, and the request id.
  std::map<std::string, std::string> traces() {
    absl::MutexLock lock(&mutex_);
    return traces_;
  }

 protected:
  bool FailsFor(const std::string& message_id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return fails_for_.contains(message_id.substr(0, 36));
  }
  void NoteTaken(const std::string& message_id, const std::string& traceparent, const std::string& request_id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    taken_.push_back(message_id);
    traces_[message_id] = absl::StrCat(traceparent, " ", request_id);
    taken_at_.emplace(message_id, absl::Now());
  }

  absl::Mutex mutex_;

 private:
  std::vector<std::string> taken_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> fails_for_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, absl::Time> taken_at_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> traces_ ABSL_GUARDED_BY(mutex_);
};

class WebShop : public Shop {
 public:
  static constexpr char kSecret[] = "the-secret-of-this-test";

  WebShop() : receiver_([this](const HttpRequestSeen& request) { return Take(request); }) {}
  ~WebShop() override {
    absl::MutexLock lock(&mutex_);
    held_ = false;
  }

  std::string url() const { return receiver_.url(); }

  // From now on, it answers with this status.
  void AnswerWith(int status) {
    absl::MutexLock lock(&mutex_);
    status_ = status;
  }
  // Does not answer, until it is false again.
  void Hold(bool held) {
    absl::MutexLock lock(&mutex_);
    held_ = held;
  }
  // By message id: how often it was delivered.
  std::map<std::string, int> asked() {
    absl::MutexLock lock(&mutex_);
    return asked_;
  }
  std::vector<std::string> unsigned_ones() {
    absl::MutexLock lock(&mutex_);
    return unsigned_;
  }

 private:
  static bool Signed(const HttpRequestSeen& request) {
    const auto header = request.headers.find("tranche-signature");
    int64_t at = 0;
    if (header == request.headers.end() || header->second.substr(0, 2) != "t=") return false;
    const size_t comma = header->second.find(',');
    return absl::SimpleAtoi(header->second.substr(2, comma - 2), &at) &&
           server::SignatureHeader({kSecret}, at, request.body) == header->second;
  }

  static std::string Header(const HttpRequestSeen& request, const std::string& name) {
    const auto found = request.headers.find(name);
    return found == request.headers.end() ? "" : found->second;
  }

  HttpAnswer Take(const HttpRequestSeen& request) {
    absl::MutexLock lock(&mutex_);
    const std::string id = request.headers.at("tranche-message-id");
    ++asked_[id];
    if (!Signed(request)) unsigned_.push_back(id);
    const auto free = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !held_; };
    mutex_.Await(absl::Condition(&free));
    HttpAnswer answer;
    answer.status = FailsFor(id) ? 500 : status_;
    if (answer.status == 200) NoteTaken(id, Header(request, "traceparent"), Header(request, "x-request-id"));
    return answer;
  }

  int status_ ABSL_GUARDED_BY(mutex_) = 200;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, int> asked_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> unsigned_ ABSL_GUARDED_BY(mutex_);
  HttpReceiver receiver_;  // last: its threads use the others
};

// Takes all messages of a call, or none: a bad one makes the call fail.
class GrpcShop : public Shop, public v1::OutboxSinkService::Service {
 public:
  GrpcShop() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  ~GrpcShop() override { server_->Shutdown(); }

  const std::string& address() const { return address_; }
  int most_in_a_failed_call() {
    absl::MutexLock lock(&mutex_);
    return most_in_a_failed_call_;
  }

  grpc::Status Deliver(grpc::ServerContext*, const v1::DeliverRequest* request,
                       v1::DeliverResponse* response) override {
    absl::MutexLock lock(&mutex_);
    for (const auto& message : request->messages()) {
      if (!FailsFor(message.message_id())) continue;
      most_in_a_failed_call_ = std::max(most_in_a_failed_call_, request->messages_size());
      return {grpc::StatusCode::INTERNAL, "cannot take one of them"};
    }
    for (const auto& message : request->messages()) {
      NoteTaken(message.message_id(), message.traceparent(), message.request_id());
      response->add_results()->set_verdict(v1::DeliverResponse::VERDICT_ACCEPTED);
    }
    return grpc::Status::OK;
  }

 private:
  int most_in_a_failed_call_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace tranche::testing
