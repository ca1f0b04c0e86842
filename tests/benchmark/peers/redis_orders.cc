#include "tests/benchmark/peers/redis_orders.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "storage/base/status_macros.h"

namespace tranche::peers {
namespace {

constexpr int kMostRedisEntries = 512;  // of a batch
// As sell.lua writes them: each name is followed by its value.
constexpr size_t kRedisFields = 4;

absl::Status UnknownRedisReply() { return absl::InternalError("Redis answers in an unknown form"); }

}  // namespace

absl::Status RedisBooker::Connect() {
  if (connection_ != nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(connection_, RedisConnection::Open(redis_));
  return absl::OkStatus();
}

absl::StatusOr<size_t> RedisBooker::BookBatch(absl::Duration wait) {
  absl::StatusOr<size_t> booked = TryToBook(wait);
  if (!booked.ok()) {
    connection_.reset();
    left_over_ = true;
  }
  return booked;
}

absl::StatusOr<size_t> RedisBooker::TryToBook(absl::Duration wait) {
  RETURN_IF_ERROR(Connect());
  ASSIGN_OR_RETURN(std::vector<Entry> entries, ReadEntries(wait));
  if (entries.empty() && left_over_) {
    left_over_ = false;
    ASSIGN_OR_RETURN(entries, ReadEntries(wait));
  }
  if (entries.empty()) return size_t{0};
  std::vector<Claim> claims;
  for (const Entry& entry : entries) {
    if (!entry.gone) claims.push_back(entry.claim);
  }
  if (!claims.empty()) {
    const ClaimArrays arrays = ToArrays(claims);
    RETURN_IF_ERROR(postgres_.Run("redis/book.sql", arrays.ids, arrays.skus, arrays.users, arrays.quantities).status());
  }
  RETURN_IF_ERROR(Acknowledge(entries));
  return entries.size();
}

absl::StatusOr<std::vector<RedisBooker::Entry>> RedisBooker::ReadEntries(absl::Duration wait) {
  std::vector<std::string> command = {"XREADGROUP",   "GROUP", kRedisGroup,
                                      kRedisConsumer, "COUNT", absl::StrCat(kMostRedisEntries)};
  if (!left_over_) {
    // Zero would be for ever.
    const int64_t wait_ms = std::max<int64_t>(absl::ToInt64Milliseconds(wait), 1);
    command.insert(command.end(), {"BLOCK", absl::StrCat(wait_ms)});
  }
  // "0": what this consumer has read and not acknowledged; ">": what nobody has read.
  command.insert(command.end(), {"STREAMS", kRedisOrders, left_over_ ? "0" : ">"});
  ASSIGN_OR_RETURN(const RedisReply reply, connection_->Command(command));
  std::vector<Entry> entries;
  if (reply->type == REDIS_REPLY_NIL) return entries;
  // An array of streams; each is its name and an array of entries.
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 1 || reply->element[0]->elements != 2) {
    return UnknownRedisReply();
  }
  const redisReply& list = *reply->element[0]->element[1];
  for (size_t i = 0; i < list.elements; ++i) {
    ASSIGN_OR_RETURN(Entry entry, ToEntry(*list.element[i]));
    entries.push_back(std::move(entry));
  }
  return entries;
}

absl::StatusOr<RedisBooker::Entry> RedisBooker::ToEntry(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements != 2) return UnknownRedisReply();
  Entry entry;
  entry.name = RedisText(*reply.element[0]);
  const redisReply& fields = *reply.element[1];
  if (fields.type == REDIS_REPLY_NIL) {
    entry.gone = true;
    return entry;
  }
  if (fields.type != REDIS_REPLY_ARRAY || fields.elements != 2 * kRedisFields) return UnknownRedisReply();
  entry.claim.reservation_id = RedisText(*fields.element[1]);
  entry.claim.sku_id = RedisText(*fields.element[3]);
  entry.claim.user_id = RedisText(*fields.element[5]);
  if (!absl::SimpleAtoi(RedisText(*fields.element[7]), &entry.claim.quantity)) return UnknownRedisReply();
  return entry;
}

// Deleted first: what is acknowledged and still in the stream would be read by nobody.
absl::Status RedisBooker::Acknowledge(const std::vector<Entry>& entries) {
  std::vector<std::string> remove = {"XDEL", kRedisOrders};
  std::vector<std::string> acknowledge = {"XACK", kRedisOrders, kRedisGroup};
  for (const Entry& entry : entries) {
    remove.push_back(entry.name);
    acknowledge.push_back(entry.name);
  }
  RETURN_IF_ERROR(connection_->Command(remove).status());
  return connection_->Command(acknowledge).status();
}

absl::StatusOr<int64_t> RedisBooker::Waiting() {
  RETURN_IF_ERROR(Connect());
  ASSIGN_OR_RETURN(const RedisReply reply, connection_->Command({"XLEN", kRedisOrders}));
  if (reply->type != REDIS_REPLY_INTEGER) return UnknownRedisReply();
  return int64_t{reply->integer};
}

}  // namespace tranche::peers
