// Redis in front of PostgreSQL, as is done for flash sales: a script in Redis checks the buyer and takes the unit, and
// the order goes to PostgreSQL by a stream and a consumer.
//
// A claim is answered after the script: PostgreSQL has it a moment later. So it is as durable as Redis' own file, and
// an order that Redis forgets is lost, or its unit is sold once more. With "appendfsync always" Redis answers after the
// file is on disk. With "everysec" the last second is lost when the machine fails; when Redis alone is killed, only
// what it had not written yet because the disk was slow.
#pragma once

#include <memory>
#include <string>

#include "tests/benchmark/peers/peer.h"

namespace tranche::peers {

// Redis' setting appendfsync. Who starts the server sets it; the peer refuses to serve with another one.
enum class RedisFsync { kEverySecond, kAlways };

// `redis`: HOST:PORT of a server that nobody else uses: Prepare empties it. `postgres`: of an owner of the database,
// who may make the schema "redis_peer" there. From now on the program ignores SIGPIPE.
std::unique_ptr<Peer> MakeRedisPeer(RedisFsync fsync, std::string redis, std::string postgres);

}  // namespace tranche::peers
