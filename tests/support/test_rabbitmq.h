// The RabbitMQ that tests share if they do not need to break it.
#pragma once

#include <string>
#include <vector>

#include "tests/support/mini_rabbitmq.h"

namespace tranche::testing {

struct RabbitmqAccess {
  std::string address = {};    // "host:port"
  std::string user_file = {};  // USER:PASSWORD, or "" for guest:guest
  std::string vhost = "/";
};

// The one in the environment variable TRANCHE_TEST_RABBITMQ (amqp://user:password@host:port/vhost) if it is set,
// otherwise a private broker that is started once and lives as long as this process. Call it first from the main
// thread.
const RabbitmqAccess& SharedRabbitmq();

// The private one, or null if TRANCHE_TEST_RABBITMQ names another: then nobody may give it an alarm.
MiniRabbitmq* OwnSharedRabbitmq();

// The same as a URL: amqp://user:password@host:port/vhost, with what a URL must quote.
std::string UrlOf(const RabbitmqAccess& access);

// A shard's name that nobody else uses: for queues in SharedRabbitmq().
std::string UniqueShardName();

// Deletes the queues, if they are there, with all that they hold.
void DeleteQueues(const RabbitmqAccess& access, const std::vector<std::string>& queues);

}  // namespace tranche::testing
