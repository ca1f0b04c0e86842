// An AmqpTable as librabbitmq wants it.
#pragma once

#include <amqp.h>

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "server/queue/amqp_message.h"
#include "server/queue/amqp_reply.h"

namespace tranche::server {

// A view of the table, which must outlive it.
class AmqpTableView {
 public:
  explicit AmqpTableView(const AmqpTable& table) {
    entries_.reserve(table.size());
    for (const auto& [name, value] : table) {
      amqp_table_entry_t entry = {};
      entry.key = AmqpView(name);
      if (const std::string* const text = std::get_if<std::string>(&value); text != nullptr) {
        entry.value.kind = AMQP_FIELD_KIND_UTF8;
        entry.value.value.bytes = AmqpView(*text);
      } else {
        entry.value.kind = AMQP_FIELD_KIND_I64;
        entry.value.value.i64 = std::get<int64_t>(value);
      }
      entries_.push_back(entry);
    }
  }

  amqp_table_t get() { return {.num_entries = static_cast<int>(entries_.size()), .entries = entries_.data()}; }

 private:
  std::vector<amqp_table_entry_t> entries_;
};

}  // namespace tranche::server
