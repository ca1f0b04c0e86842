// Where the broker is, as programs are told by flags.
#pragma once

#include <string>

namespace tranche::server {

struct BrokerOptions {
  std::string brokers;    // host:port,host:port: tried in turn; "": there is no queue
  std::string user_file;  // USER:PASSWORD in a file of mode 600; read for each connection. "": guest:guest
  std::string vhost = "/";
  bool tls = false;
  bool plaintext = false;        // without tls, the password may cross a network
  std::string ca_file;           // with tls; "": the authorities of this machine
  std::string certificate_file;  // with tls; "": shows none
  std::string key_file;
  int partitions = 4;         // of each shard: the same at all nodes and consumers
  int deadline_ms = 600'000;  // how long a claim may be in the queue

  bool enabled() const { return !brokers.empty(); }
};

}  // namespace tranche::server
