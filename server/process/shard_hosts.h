// Which databases an operator may add as shards. Every node, balancer and worker connects to an added shard with its
// own credentials, so it must not be possible to name just any server, nor to tell libpq to read files.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tranche::server {

// Thread-safe: never changes.
class ShardHosts {
 public:
  // `listed`: HOST,HOST. A host is a name, an IP address, *.SUFFIX for all names that end in .SUFFIX, or the folder of
  // a Unix-domain socket. Upper and lower case are the same, and so are the spellings of an IPv6 address. If it is "":
  // the hosts of `home_dsn`. kInvalidArgument, with what is wrong, for anything else.
  static absl::StatusOr<ShardHosts> Of(const std::string& listed, const std::string& home_dsn);

  // OK for a connection string that libpq can read, that names only these hosts, and that has only keywords which every
  // server may take from an operator. kInvalidArgument for another keyword, kFailedPrecondition for another host; the
  // message says what to do.
  absl::Status Check(const std::string& dsn) const;

 private:
  bool Allows(const std::string& host) const;

  std::vector<std::string> hosts_;  // in the form that NormalHost gives them
};

}  // namespace tranche::server
