// RabbitMQ in front of PostgreSQL, so that a rush waits in a queue and not at the database: a claim is published into a
// durable quorum queue, with publisher confirms; one consumer in the same program takes claims in batches, decides each
// by one atomic UPDATE of the stock, all in one transaction, and acknowledges them after the commit.
//
// A claim is answered after that commit, so it is durable in PostgreSQL. Its caller waits for five seconds at most; a
// claim that is decided later is found when it is repeated.
#pragma once

#include <memory>
#include <string>

#include "tests/benchmark/peers/peer.h"

namespace tranche::peers {

// `rabbitmq`: amqp://USER:PASSWORD@HOST:PORT/VHOST; Prepare makes the queue "tranche-peer" there anew. `postgres`: of
// an owner of the database, who may make the schema "rabbitmq_peer" there.
std::unique_ptr<Peer> MakeRabbitmqPeer(std::string rabbitmq, std::string postgres);

}  // namespace tranche::peers
