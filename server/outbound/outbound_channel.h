// gRPC channels to servers of others.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "storage/base/certificate_files.h"

namespace tranche::server {

struct OutboundChannelOptions {
  std::string address = {};  // host:port
  bool tls = false;
};

// A channel without retries: who calls decides about them. Answers have at most 1 MiB. `certificates`, with TLS: the
// authorities and what to show; null: the authorities of this machine, and no certificate to show. Not used afterwards.
// Connects when it is first used; a server that is back is
// noticed within 5 s.
std::shared_ptr<grpc::Channel> OutboundChannel(const OutboundChannelOptions& options, const Certificates* certificates);

}  // namespace tranche::server
