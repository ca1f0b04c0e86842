// A call by its method's name and the bytes of its messages: for services without stubs, and for bytes that no stub
// would send.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/synchronization/notification.h"

namespace tranche::testing {

// One message there, at most one back; the method may also be a stream. `response` is left alone when there is none.
inline grpc::Status RawCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                            const std::string& request, std::string* response = nullptr,
                            const std::map<std::string, std::string>& metadata = {}) {
  grpc::ClientContext context;
  for (const auto& [key, value] : metadata) context.AddMetadata(key, value);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  const grpc::Slice bytes(request);
  const grpc::ByteBuffer sent(&bytes, 1);
  grpc::ByteBuffer received;
  grpc::Status status;
  absl::Notification done;
  grpc::GenericStub stub(channel);
  stub.UnaryCall(&context, method, grpc::StubOptions(), &sent, &received, [&](grpc::Status answer) {
    status = std::move(answer);
    done.Notify();
  });
  done.WaitForNotification();
  grpc::Slice slice;
  if (response != nullptr && received.Valid() && received.DumpToSingleSlice(&slice).ok()) {
    response->assign(slice.begin(), slice.end());
  }
  return status;
}

}  // namespace tranche::testing
