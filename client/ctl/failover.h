// Asking one front node after the other, until one answers.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/internal/channel_security.h"

namespace tranche::ctl {

enum class CallKind {
  kChange,     // not sent to a second node, unless the first one cannot have done anything
  kLongRead,   // changes nothing, and takes its time
  kQuickRead,  // changes nothing: a node that is silent for a second is left for the next one
};

// Who is asked, and for how long:
//   - A node that takes no connection within a second is left for the next one. Nothing was sent to it.
//   - So is one that does not answer a quick read within a second, and one that cannot serve: it drains, or for a read,
//     its ledger is silent, the connection broke, or it is of a version that does not know the read.
//   - When all have been asked in vain, those that were silent are asked once more, for as long as there is time.
// Not thread-safe.
class Failover {
 public:
  using Attempt = absl::FunctionRef<grpc::Status(const std::shared_ptr<grpc::Channel>&, grpc::ClientContext*)>;

  // `addresses` are HOST:PORT, at least one. Connects when a call is made. `reason`: why, for the audit log; "": they
  // gave none.
  Failover(const std::vector<std::string>& addresses, const std::string& reason,
           std::unique_ptr<internal::ChannelSecurity> security);

  // The status of the first node that answers; when there is none, the error that says most. Begins with the node that
  // answered last time.
  absl::Status Call(CallKind kind, absl::Duration limit, Attempt attempt);

  // When the last call was in vain at several nodes: what the others than the one in its status said, a line for each.
  const std::vector<std::string>& other_errors() const { return other_errors_; }

  // Did the last call reach a node, which may have carried it out?
  bool reached() const { return reached_; }

  std::vector<std::shared_ptr<grpc::Channel>> channels() const;
  // For a call on one of them: with who acts and why in its metadata, and with the token, if there is one.
  std::unique_ptr<grpc::ClientContext> NewContext() const;

 private:
  struct Endpoint {
    std::string address;
    std::shared_ptr<grpc::Channel> channel;
    // Of this call.
    absl::Status status;
    bool silent = true;
  };

  // Makes the channels, anew if certificates have changed.
  void Connect();
  void Ask(CallKind kind, absl::Time patience_end, absl::Time end, Attempt attempt, Endpoint& endpoint);
  absl::Status MostTelling();

  const std::string reason_;
  const std::unique_ptr<internal::ChannelSecurity> security_;
  std::shared_ptr<grpc::ChannelCredentials> credentials_;  // of the channels
  std::vector<Endpoint> endpoints_;
  std::vector<std::string> other_errors_;
  bool reached_ = false;
};

}  // namespace tranche::ctl
