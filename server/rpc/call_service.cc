#include "server/rpc/call_service.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "glog/logging.h"

namespace tranche::server {
namespace {

using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;
using grpc::internal::RpcMethod;

RpcMethod::RpcType TypeOf(const MethodShape& shape) {
  if (shape.client_streaming && shape.server_streaming) return RpcMethod::BIDI_STREAMING;
  if (shape.client_streaming) return RpcMethod::CLIENT_STREAMING;
  return shape.server_streaming ? RpcMethod::SERVER_STREAMING : RpcMethod::NORMAL_RPC;
}

CallType CallTypeOf(const MethodShape& shape) {
  if (shape.client_streaming) return shape.server_streaming ? CallType::kBidiStream : CallType::kClientStream;
  return shape.server_streaming ? CallType::kServerStream : CallType::kUnary;
}

bool Fits(const MethodShape& shape, const MethodDescriptor& method) {
  return shape.request == method.input_type() && shape.response == method.output_type() &&
         shape.client_streaming == method.client_streaming() && shape.server_streaming == method.server_streaming();
}

CallFrame Serving(const ServiceDescriptor& service, CallFrame frame) {
  frame.service = service.full_name().c_str();
  return frame;
}

}  // namespace

CallService::CallService(const ServiceDescriptor& service, const CallFrame& frame, const std::vector<CallEntry>& table)
    : frame_(Serving(service, frame)) {
  const std::vector<std::string> faults = FaultsOf(table, service);
  CHECK(faults.empty()) << service.full_name() << ": " << absl::StrJoin(faults, ", ");
  for (const CallEntry& entry : table) {
    names_.push_back(absl::StrCat("/", service.full_name(), "/", entry.policy.method));
    // As generated code does: add the method first, then mark it as one of the callback API.
    AddMethod(new grpc::internal::RpcServiceMethod(names_.back().c_str(), TypeOf(entry.shape), nullptr));
    MethodMetrics* const metrics =
        frame_.metrics == nullptr
            ? nullptr
            : frame_.metrics->Add(CallTypeOf(entry.shape), service.full_name(), entry.policy.method);
    MarkMethodCallback(static_cast<int>(names_.size()) - 1, entry.bind(frame_, metrics).release());
  }
}

std::vector<std::string> FaultsOf(const std::vector<CallEntry>& table, const ServiceDescriptor& service) {
  std::vector<std::string> faults;
  std::map<std::string, int> entries;
  for (const CallEntry& entry : table) {
    const std::string name = entry.policy.method;
    ++entries[name];
    const MethodDescriptor* method = service.FindMethodByName(name);
    if (method == nullptr) {
      faults.push_back(name + " is no method");
    } else if (!Fits(entry.shape, *method)) {
      faults.push_back(name + " has other messages");
    }
    if (entry.blocks && entry.policy.runs_on == RunsOn::kInline) faults.push_back(name + " blocks, and runs inline");
  }
  for (int i = 0; i < service.method_count(); ++i) {
    const int count = entries[service.method(i)->name()];
    if (count == 0) faults.push_back(service.method(i)->name() + " is missing");
    if (count > 1) faults.push_back(service.method(i)->name() + " is there twice");
  }
  return faults;
}

}  // namespace tranche::server
