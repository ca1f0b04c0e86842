#include "quota/zookeeper/completions.h"

#include <utility>

#include "quota/zookeeper/reply_batch.h"

namespace tranche::quota {

void FinishData(int rc, const char* value, int value_len, const Stat* stat, const void* token) noexcept {
  ZookeeperReply reply{.rc = rc, .node = {}, .children = {}};
  if (rc == ZOK) {
    if (value_len > 0) reply.node.data.assign(value, static_cast<size_t>(value_len));
    reply.node.version = stat->version;
    reply.node.ephemeral_owner = stat->ephemeralOwner;
  }
  PendingCalls::Finish(token, std::move(reply));
}

void FinishStat(int rc, const Stat*, const void* token) noexcept {
  PendingCalls::Finish(token, {.rc = rc, .node = {}, .children = {}});
}

void FinishString(int rc, const char*, const void* token) noexcept {
  PendingCalls::Finish(token, {.rc = rc, .node = {}, .children = {}});
}

void FinishVoid(int rc, const void* token) noexcept {
  PendingCalls::Finish(token, {.rc = rc, .node = {}, .children = {}});
}

void FinishStrings(int rc, const String_vector* strings, const void* token) noexcept {
  ZookeeperReply reply{.rc = rc, .node = {}, .children = {}};
  if (rc == ZOK) reply.children.assign(strings->data, strings->data + strings->count);
  PendingCalls::Finish(token, std::move(reply));
}

}  // namespace tranche::quota
