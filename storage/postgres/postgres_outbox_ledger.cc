#include "storage/postgres/postgres_outbox_ledger.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/trace_text.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/array_literal.h"
#include "storage/postgres/call.h"
#include "storage/postgres/columns.h"

namespace tranche::storage {
namespace {

constexpr size_t kMaxError = 1000;

const char* NameOf(OutboxState state) { return state == OutboxState::kPending ? "PENDING" : "DEAD"; }

constexpr Column<OutboxMessage> kMessageTable[] = {
    {"reservation_id", [](const pqxx::field& field, OutboxMessage* to) { to->key.reservation_id = UuidOf(field); }},
    {"revision", [](const pqxx::field& field, OutboxMessage* to) { to->key.revision = field.as<int32_t>(); }},
    {"sink", [](const pqxx::field& field, OutboxMessage* to) { to->key.sink = field.c_str(); }},
    {"sku_id", [](const pqxx::field& field, OutboxMessage* to) { to->sku_id = field.c_str(); }},
    {"kind", [](const pqxx::field& field, OutboxMessage* to) { to->kind = field.c_str(); }},
    {"payload", [](const pqxx::field& field, OutboxMessage* to) { to->payload = field.c_str(); }},
    {"created_us", [](const pqxx::field& field, OutboxMessage* to) { to->created_at = TimeOf(field); }},
    {"state",
     [](const pqxx::field& field, OutboxMessage* to) {
       const bool dead = TextOf(field) == "DEAD";
       RequireOfAnswer(dead || TextOf(field) == "PENDING", "the state of a message is known");
       to->state = dead ? OutboxState::kDead : OutboxState::kPending;
     }},
    {"attempts", [](const pqxx::field& field, OutboxMessage* to) { to->attempts = field.as<int32_t>(); }},
    {"next_us", [](const pqxx::field& field, OutboxMessage* to) { to->next_attempt_at = TimeOf(field); }},
    {"last_error", [](const pqxx::field& field, OutboxMessage* to) { to->last_error = field.c_str(); }},
    {"trace", [](const pqxx::field& field, OutboxMessage* to) { to->trace = TraceOfText(TextOf(field)); }},
};

absl::StatusOr<std::vector<OutboxMessage>> ReadMessages(Repeat repeat, const absl::StatusOr<pqxx::result>& rows) {
  if (!rows.ok()) return rows.status();
  return ReadAnswer(repeat, [&] {
    ColumnOf(*rows, "payload");
    const Columns<OutboxMessage> columns(*rows, kMessageTable);
    std::vector<OutboxMessage> messages;
    for (const pqxx::row& row : *rows) messages.push_back(columns.Read(row));
    return messages;
  });
}

// How many messages an operator's change was made to.
absl::StatusOr<int64_t> ReadCount(const absl::StatusOr<pqxx::result>& rows) {
  if (!rows.ok()) return rows.status();
  return ReadValue<int64_t>(Repeat::kNever, *rows);
}

// Parallel array literals.
struct KeyLiterals {
  ArrayLiteral ids, revisions, sinks;

  void Add(const OutboxKey& key) {
    ids.AddPlain(key.reservation_id.ToString());
    revisions.AddInt(key.revision);
    sinks.AddText(key.sink);
  }
};

// Another server's text may be any bytes, and the database only accepts characters.
std::string Readable(absl::string_view text) {
  std::string readable(text.substr(0, kMaxError));
  for (char& c : readable) c = absl::ascii_isprint(static_cast<unsigned char>(c)) ? c : '?';
  return readable;
}

}  // namespace

absl::StatusOr<std::vector<OutboxMessage>> PostgresOutboxLedger::ClaimMessages(const std::string& sink, int limit,
                                                                               absl::Duration lease, bool fresh) {
  // Messages that were claimed by a call whose answer was lost are handed out again when their lease is over.
  return ReadMessages(Repeat::kNever, Call(*pool_, Repeat::kNever, "claim_outbox", sink, limit,
                                           absl::ToInt64Milliseconds(lease), fresh));
}

absl::Status PostgresOutboxLedger::MarkDelivered(absl::Span<const OutboxKey> keys) {
  KeyLiterals literals;
  for (const OutboxKey& key : keys) literals.Add(key);
  return Call(*pool_, Repeat::kIfAnswerLost, "finish_outbox", std::move(literals.ids).Finish(),
              std::move(literals.revisions).Finish(), std::move(literals.sinks).Finish())
      .status();
}

absl::Status PostgresOutboxLedger::MarkFailed(absl::Span<const OutboxFailure> failures) {
  KeyLiterals literals;
  ArrayLiteral errors, retries;
  for (const OutboxFailure& failure : failures) {
    literals.Add(failure.key);
    errors.AddText(Readable(failure.error));
    if (failure.dead) {
      retries.AddPlain("NULL");
    } else {
      retries.AddInt(absl::ToInt64Milliseconds(failure.retry_after));
    }
  }
  return Call(*pool_, Repeat::kIfAnswerLost, "fail_outbox", std::move(literals.ids).Finish(),
              std::move(literals.revisions).Finish(), std::move(literals.sinks).Finish(), std::move(errors).Finish(),
              std::move(retries).Finish())
      .status();
}

absl::StatusOr<std::vector<std::string>> PostgresOutboxLedger::ListSinks() {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "list_outbox_sinks"));
  return ReadTexts(Repeat::kRead, rows);
}

absl::Status PostgresOutboxLedger::AddSink(const std::string& sink, const Actor& actor) {
  return Call(*pool_, Repeat::kIfAnswerLost, "add_outbox_sink", sink, actor.ForLedger()).status();
}

absl::Status PostgresOutboxLedger::RemoveSink(const std::string& sink, const Actor& actor) {
  // Piece by piece: each call says whether there was anything to remove.
  bool removed = false;
  while (true) {
    ASSIGN_OR_RETURN(const auto rows,
                     Call(*pool_, Repeat::kIfAnswerLost, "remove_outbox_sink", sink, actor.ForLedger()));
    ASSIGN_OR_RETURN(const bool more, ReadValue<bool>(Repeat::kIfAnswerLost, rows));
    if (!more) break;
    removed = true;
  }
  return removed ? absl::OkStatus() : absl::NotFoundError(absl::StrCat("no sink ", sink));
}

absl::StatusOr<std::vector<OutboxMessage>> PostgresOutboxLedger::ListMessages(const std::string& sink,
                                                                              OutboxState state, const OutboxKey& after,
                                                                              int limit) {
  return ReadMessages(Repeat::kRead, Call(*pool_, Repeat::kRead, "list_outbox", sink, NameOf(state),
                                          after.reservation_id.ToString(), after.revision, after.sink, limit));
}

absl::StatusOr<OutboxMessage> PostgresOutboxLedger::GetMessage(const OutboxKey& key) {
  ASSIGN_OR_RETURN(auto messages,
                   ReadMessages(Repeat::kRead, Call(*pool_, Repeat::kRead, "get_outbox", key.reservation_id.ToString(),
                                                    key.revision, key.sink)));
  if (messages.empty()) return absl::NotFoundError("no such message");
  return std::move(messages.front());
}

absl::StatusOr<int64_t> PostgresOutboxLedger::RetryDead(const std::string& sink, const Actor& actor) {
  return ReadCount(Call(*pool_, Repeat::kNever, "retry_outbox", sink, actor.ForLedger()));
}

absl::StatusOr<int64_t> PostgresOutboxLedger::RetryMessage(const OutboxKey& key, const Actor& actor) {
  return ReadCount(Call(*pool_, Repeat::kNever, "retry_outbox_message", key.reservation_id.ToString(), key.revision,
                        key.sink, actor.ForLedger()));
}

absl::StatusOr<int64_t> PostgresOutboxLedger::DiscardMessage(const OutboxKey& key, const Actor& actor) {
  return ReadCount(Call(*pool_, Repeat::kNever, "discard_outbox_message", key.reservation_id.ToString(), key.revision,
                        key.sink, actor.ForLedger()));
}

absl::StatusOr<std::vector<OutboxDepth>> PostgresOutboxLedger::Depths() {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "outbox_depths"));
  return ReadAnswer(Repeat::kRead, [&] {
    std::vector<OutboxDepth> depths;
    for (const pqxx::row& row : rows) {
      depths.push_back({row.at(0).as<std::string>(), row.at(1).as<int64_t>(), row.at(2).as<int64_t>(),
                        absl::Microseconds(row.at(3).as<int64_t>(0))});
    }
    return depths;
  });
}

}  // namespace tranche::storage
