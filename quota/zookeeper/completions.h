// The completions of the ZooKeeper client's asynchronous calls: each finishes its PendingCalls token.
#pragma once

#include <zookeeper/zookeeper.h>

namespace tranche::quota {

void FinishData(int rc, const char* value, int value_len, const Stat* stat, const void* token) noexcept;
void FinishStat(int rc, const Stat* stat, const void* token) noexcept;
void FinishString(int rc, const char* value, const void* token) noexcept;
void FinishStrings(int rc, const String_vector* strings, const void* token) noexcept;
void FinishAcl(int rc, ACL_vector* acl, Stat* stat, const void* token) noexcept;
void FinishVoid(int rc, const void* token) noexcept;

}  // namespace tranche::quota
