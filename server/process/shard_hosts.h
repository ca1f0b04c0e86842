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
  // `listed`: HOST[:PORT],... A host is a name, an IP address (with a port in brackets if it is of IPv6), *.SUFFIX for
  // all names that end in .SUFFIX, or the folder of a Unix-domain socket, which has no port. Without a port it is 5432.
  // Upper and lower case are the same, and so are the spellings of an IPv6 address. If it is "": the hosts of
  // `home_dsn`, with their ports. kInvalidArgument, with what is wrong, for anything else.
  static absl::StatusOr<ShardHosts> Of(const std::string& listed, const std::string& home_dsn);

  // OK for a connection string that libpq can read, that names only these hosts at these ports, that has only keywords
  // which every server may take from an operator, and that checks its server at least as well as `home_dsn` does: a
  // libpq that does not would tell whoever asks for it the servers' password. kFailedPrecondition for another host,
  // kInvalidArgument for the rest; the message says what to do.
  absl::Status Check(const std::string& dsn) const;

 private:
  struct Place {
    std::string host;  // in the form that NormalHost gives it
    std::string port;  // of a listed folder ""
  };

  static std::vector<Place> PlacesOf(const std::string& host, const std::string& address, const std::string& port);
  absl::Status CheckPlaces(const std::vector<Place>& places) const;
  bool Allows(const Place& place) const;
  std::string Allowed() const;

  std::vector<Place> places_;
  std::string sslmode_, channel_binding_;  // home's
};

}  // namespace tranche::server
