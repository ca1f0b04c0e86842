#include "quota/zookeeper/completions.h"

#include <algorithm>
#include <utility>

#include "absl/strings/string_view.h"
#include "quota/zookeeper/reply_batch.h"

namespace tranche::quota {
namespace {

bool IsEverybody(const Id& id) { return absl::string_view(id.scheme) == "world"; }

}  // namespace

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

void FinishAcl(int rc, ACL_vector* acl, Stat* stat, const void* token) noexcept {
  ZookeeperReply reply{.rc = rc, .node = {}, .children = {}};
  if (rc == ZOK) {
    reply.child_count = stat->numChildren;
    reply.open = std::any_of(acl->data, acl->data + acl->count,
                             [](const ACL& rule) { return rule.perms != 0 && IsEverybody(rule.id); });
  }
  PendingCalls::Finish(token, std::move(reply));
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
