// A unary call whose caller does not read the answer until it is told to.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace tranche::testing {

// With a connection of its own, which takes 64 KiB of what is not read.
inline std::shared_ptr<grpc::Channel> UnreadChannel(const std::string& endpoint) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Otherwise gRPC's client widens its windows, and takes all answers into its own memory.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  return grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), arguments);
}

// Begins when it is made, without a deadline. Its destructor cancels it.
class UnreadCall final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  // `method` as in "/tranche.v1.AdminService/ListSkus"; `request` serialized.
  UnreadCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method, const std::string& request) {
    const grpc::Slice bytes(request);
    request_ = grpc::ByteBuffer(&bytes, 1);
    grpc::GenericStub(channel).PrepareBidiStreamingCall(&context_, method, grpc::StubOptions(), this);
    AddHold();  // until Read
    StartWriteLast(&request_, grpc::WriteOptions());
    StartCall();
  }
  ~UnreadCall() override {
    Cancel();
    if (!read_) Read();
    ended_.WaitForNotification();
  }

  // Until the server has answered, or refused.
  bool AwaitAnswer(absl::Duration patience) { return answered_.WaitForNotificationWithTimeout(patience); }
  void Cancel() { context_.TryCancel(); }
  // Once.
  void Read() {
    read_ = true;
    StartRead(&response_);
    RemoveHold();
  }
  // After Read: "OK", or the code and the reason, such as "14 OVERLOADED"; "" if it does not end in time.
  std::string AwaitEnd(absl::Duration patience) {
    if (!ended_.WaitForNotificationWithTimeout(patience)) return "";
    if (status_.ok()) return "OK";
    google::rpc::Status rpc;
    google::rpc::ErrorInfo info;
    const bool told = rpc.ParseFromString(status_.error_details()) && rpc.details_size() > 0;
    return absl::StrCat(status_.error_code(), " ", told && rpc.details(0).UnpackTo(&info) ? info.reason() : "");
  }
  // Of the answer, after its end.
  size_t bytes() const { return received_.Length(); }

  void OnReadInitialMetadataDone(bool) override { answered_.Notify(); }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    received_.Swap(&response_);
    response_.Clear();
    StartRead(&response_);
  }
  void OnDone(const grpc::Status& status) override {
    status_ = status;
    ended_.Notify();
  }

 private:
  grpc::ClientContext context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  grpc::ByteBuffer received_;
  bool read_ = false;
  grpc::Status status_;
  absl::Notification answered_;
  absl::Notification ended_;
};

}  // namespace tranche::testing
