// Where the ZooKeeper client's own log goes.
#pragma once

namespace tranche::quota {

// A log callback for the ZooKeeper client: its warnings and errors become warnings of glog, each cause once a
// minute (a client without a server complains at every attempt); the rest shows with --v=2.
void LogFromZookeeper(const char* message) noexcept;

// Tells the client, once for the process, to log no more than warnings.
void LimitZookeeperLog();

}  // namespace tranche::quota
