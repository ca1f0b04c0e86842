// The peers on MariaDB, Redis and RabbitMQ: the contract, and what is particular to queues.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "glog/logging.h"
#include "tests/benchmark/peers/mini_stores.h"
#include "tests/benchmark/peers/peer_contract.h"
#include "tests/benchmark/peers/rabbitmq_peer.h"
#include "tests/benchmark/peers/redis_connection.h"
#include "tests/benchmark/peers/redis_orders.h"
#include "tests/benchmark/peers/redis_peer.h"
#include "tests/support/test_postgres.h"
#include "tests/support/test_rabbitmq.h"

namespace tranche::peers {
namespace {

using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr char kQueuedId[] = "01890a5d-ac96-774b-9cce-000000000001";
constexpr char kOtherQueuedId[] = "01890a5d-ac96-774b-9cce-000000000002";

const std::string& QueuesPostgres() {
  static const tranche::testing::TestDatabase database;
  static const std::string dsn = database.owner_dsn();
  return dsn;
}

template <typename Store>
const Store& Started(Store& store) {
  const absl::Status started = store.Start();
  CHECK(started.ok()) << started;
  return store;
}

std::optional<Addresses> MariadbAddresses() {
  if (!MiniMariadb::Installed()) return std::nullopt;
  static MiniMariadb server;
  static const MiniMariadb& started = Started(server);
  return Addresses{.mariadb = started.socket()};
}

std::optional<Addresses> EverysecAddresses() {
  if (!MiniRedis::Installed()) return std::nullopt;
  static MiniRedis server("everysec");
  static const MiniRedis& started = Started(server);
  return Addresses{.postgres = QueuesPostgres(), .redis = started.address()};
}

std::optional<Addresses> AlwaysAddresses() {
  if (!MiniRedis::Installed()) return std::nullopt;
  static MiniRedis server("always");
  static const MiniRedis& started = Started(server);
  return Addresses{.postgres = QueuesPostgres(), .redis = started.address()};
}

std::optional<Addresses> RabbitmqAddresses() {
  if (!std::filesystem::exists("/usr/lib/rabbitmq/bin/rabbitmq-server")) return std::nullopt;
  return Addresses{.postgres = QueuesPostgres(),
                   .rabbitmq = tranche::testing::UrlOf(tranche::testing::SharedRabbitmq())};
}

INSTANTIATE_TEST_SUITE_P(Mariadb, PeerContract,
                         ::testing::Values(PeerCase{"mariadb-naive", &MariadbAddresses, /*oversells=*/true},
                                           PeerCase{"mariadb-pessimistic", &MariadbAddresses},
                                           PeerCase{"mariadb-optimistic", &MariadbAddresses},
                                           PeerCase{"mariadb-atomic", &MariadbAddresses}),
                         PeerCaseName);
INSTANTIATE_TEST_SUITE_P(Queues, PeerContract,
                         ::testing::Values(PeerCase{"redis-everysec", &EverysecAddresses},
                                           PeerCase{"redis-always", &AlwaysAddresses},
                                           PeerCase{"rabbitmq", &RabbitmqAddresses}),
                         PeerCaseName);

class RedisPeerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    addresses_ = EverysecAddresses();
    if (!addresses_.has_value()) GTEST_SKIP() << "Redis is not installed";
    peer_ = MakeRedisPeer(RedisFsync::kEverySecond, addresses_->redis, addresses_->postgres);
    const absl::Status prepared = peer_->Prepare(1, 5);
    ASSERT_TRUE(prepared.ok()) << prepared;
  }

  // Nobody books what is sold unless the peer is started.
  void Sell(const std::string& id, const std::string& user) {
    const auto seller = peer_->MakeSeller();
    ASSERT_TRUE(seller.ok()) << seller.status();
    const auto outcome = (*seller)->Sell({.reservation_id = id, .sku_id = "sku-0", .user_id = user});
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    ASSERT_EQ(*outcome, Outcome::kCreated);
  }

  std::optional<Addresses> addresses_;
  std::unique_ptr<Peer> peer_;
};

TEST_F(RedisPeerTest, RefusesToServeWithAnotherDurability) {
  const auto other = MakeRedisPeer(RedisFsync::kAlways, addresses_->redis, addresses_->postgres);
  const absl::Status refused = other->Start();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(refused.message().find("--appendfsync always"), absl::string_view::npos) << refused;
}

TEST_F(RedisPeerTest, CountsWhatNoConsumerHasBooked) {
  ASSERT_NO_FATAL_FAILURE(Sell(kQueuedId, "ann"));
  const auto stored = peer_->Count();
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_THAT(stored->order_ids, UnorderedElementsAre(kQueuedId));
  EXPECT_EQ(stored->units_sold, 1);
  EXPECT_EQ(stored->units_left, 4);
}

// As after a crash of the consumer between reading and acknowledging.
TEST_F(RedisPeerTest, BooksWhatWasReadAndNotAcknowledged) {
  ASSERT_NO_FATAL_FAILURE(Sell(kQueuedId, "ann"));
  const auto connection = RedisConnection::Open(addresses_->redis);
  ASSERT_TRUE(connection.ok()) << connection.status();
  const auto read =
      (*connection)
          ->Command({"XREADGROUP", "GROUP", kRedisGroup, kRedisConsumer, "COUNT", "10", "STREAMS", kRedisOrders, ">"});
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ((*read)->type, REDIS_REPLY_ARRAY);
  ASSERT_NO_FATAL_FAILURE(Sell(kOtherQueuedId, "bob"));
  const auto stored = peer_->Count();
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_THAT(stored->order_ids, UnorderedElementsAre(kQueuedId, kOtherQueuedId));
}

TEST_F(RedisPeerTest, RefusesWhatPostgresqlWouldNotTake) {
  const auto seller = peer_->MakeSeller();
  ASSERT_TRUE(seller.ok()) << seller.status();
  const auto no_id = (*seller)->Sell({.reservation_id = "7", .sku_id = "sku-0", .user_id = "ann"});
  EXPECT_EQ(no_id.status().code(), absl::StatusCode::kInvalidArgument);
  const auto stored = peer_->Count();
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_THAT(stored->order_ids, IsEmpty());
  EXPECT_EQ(stored->units_left, 5);
}

// The caller gives up after five seconds; the claim is in the queue.
TEST(RabbitmqPeerTest, WhatIsDecidedTooLateIsFoundWhenItIsRepeated) {
  const std::optional<Addresses> addresses = RabbitmqAddresses();
  if (!addresses.has_value()) GTEST_SKIP() << "RabbitMQ is not installed";
  const auto peer = MakeRabbitmqPeer(addresses->rabbitmq, addresses->postgres);
  const absl::Status prepared = peer->Prepare(1, 5);
  ASSERT_TRUE(prepared.ok()) << prepared;
  const auto seller = peer->MakeSeller();
  ASSERT_TRUE(seller.ok()) << seller.status();
  const Claim claim = {.reservation_id = kQueuedId, .sku_id = "sku-0", .user_id = "ann"};
  EXPECT_EQ((*seller)->Sell(claim).status().code(), absl::StatusCode::kUnavailable);  // no consumer runs
  const auto stored = peer->Count();
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_THAT(stored->order_ids, UnorderedElementsAre(kQueuedId));
  EXPECT_EQ(stored->units_left, 4);
  ASSERT_TRUE(peer->Start().ok());
  const auto repeated = (*seller)->Sell(claim);
  peer->Stop();
  ASSERT_TRUE(repeated.ok()) << repeated.status();
  EXPECT_EQ(*repeated, Outcome::kReplayed);
}

}  // namespace
}  // namespace tranche::peers
