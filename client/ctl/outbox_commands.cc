// tranchectl outbox list|show|retry|discard and outbox sink list|add|remove

#include <algorithm>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/ctl/change_view.h"
#include "client/ctl/commands.h"
#include "client/ctl/outbox_view.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;

struct MessageFlags {
  std::string message;
  std::string sink = "default";
  bool yes = false;
};

struct SinkFlags {
  std::string name;
  bool yes = false;
};

// "<reservation id>/<revision>", as `outbox list` shows it.
absl::StatusOr<tranche::v1::OutboxKey> ToKey(const MessageFlags& flags) {
  const size_t slash = flags.message.rfind('/');
  int32_t revision = 0;
  if (slash == std::string::npos || !absl::SimpleAtoi(flags.message.substr(slash + 1), &revision)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", flags.message, "\" is not RESERVATION/REVISION, as `tranchectl outbox list` shows it"));
  }
  tranche::v1::OutboxKey key;
  key.set_reservation_id(flags.message.substr(0, slash));
  key.set_revision(revision);
  key.set_sink(flags.sink);
  return key;
}

void List(Session& session, const std::string& sink, const std::string& state, int limit) {
  constexpr int kLargestPage = 1000;
  tranche::v1::ListOutboxMessagesRequest request;
  request.set_sink(sink);
  request.set_state(state == "dead" ? tranche::v1::OUTBOX_STATE_DEAD : tranche::v1::OUTBOX_STATE_PENDING);
  tranche::v1::ListOutboxMessagesResponse all;
  do {
    request.set_page_size(std::min(limit - all.messages_size(), kLargestPage));
    const auto page = session.Admin(&AdminService::Stub::ListOutboxMessages, request);
    if (!page.ok()) return session.FailRemotely(page.status());
    all.mutable_messages()->MergeFrom(page->messages());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty() && all.messages_size() < limit);
  PrintOutbox(session, all);
  if (!request.page_token().empty()) session.err() << "There are more; --limit shows more.\n";
}

void Show(Session& session, const MessageFlags& flags) {
  const auto key = ToKey(flags);
  if (!key.ok()) return session.FailLocally(key.status().message());
  tranche::v1::GetOutboxMessageRequest request;
  *request.mutable_key() = *key;
  const auto response = session.Admin(&AdminService::Stub::GetOutboxMessage, request);
  if (!response.ok()) return session.FailRemotely(response.status());
  PrintOutboxMessage(session, response->message());
}

void Retry(Session& session, tranche::v1::RetryOutboxMessagesRequest request, bool yes) {
  request.set_preview(!yes);
  const auto response = session.Admin(&AdminService::Stub::RetryOutboxMessages, request);
  if (!response.ok()) return session.FailRemotely(response.status());
  if (session.json()) {
    session.out() << nlohmann::ordered_json{{"preview", !yes}, {"messages", absl::StrCat(response->messages())}}.dump(1)
                  << "\n";
  } else {
    Table table({yes ? "DUE AGAIN" : "WOULD BE DUE AGAIN"});
    table.AddRow({absl::StrCat(response->messages())});
    session.Print(table);
  }
  if (yes) return;
  if (response->messages() > 0) return SayHowToApply(session);
  SayNothingWouldChange(session);
}

void RetryOneOrDead(Session& session, const MessageFlags& flags, bool sink_given) {
  tranche::v1::RetryOutboxMessagesRequest request;
  if (flags.message.empty()) {
    if (sink_given) request.set_sink(flags.sink);
  } else {
    const auto key = ToKey(flags);
    if (!key.ok()) return session.FailLocally(key.status().message());
    *request.mutable_key() = *key;
  }
  Retry(session, request, flags.yes);
}

void Discard(Session& session, const MessageFlags& flags) {
  const auto key = ToKey(flags);
  if (!key.ok()) return session.FailLocally(key.status().message());
  tranche::v1::DiscardOutboxMessageRequest request;
  *request.mutable_key() = *key;
  request.set_preview(!flags.yes);
  const auto response = session.Admin(&AdminService::Stub::DiscardOutboxMessage, request);
  if (!response.ok()) return session.FailRemotely(response.status());
  PrintOutboxMessage(session, response->message());
  if (!flags.yes) SayHowToApply(session);
}

// Prints the sink after a call that changed it, or would have.
template <typename Request, typename Response>
void ChangeSink(Session& session, const std::string& name, bool yes,
                grpc::Status (AdminService::Stub::*method)(grpc::ClientContext*, const Request&, Response*)) {
  Request request;
  request.set_name(name);
  request.set_preview(!yes);
  // Removing a sink discards its waiting messages, which may be many.
  const auto response = session.Admin(method, request, absl::Minutes(1));
  if (!response.ok()) return session.FailRemotely(response.status());
  tranche::v1::ListSinksResponse shown;
  *shown.add_sinks() = response->sink();
  PrintSinks(session, shown);
  if (yes) return;
  if constexpr (requires { response->existed(); }) {
    if (response->existed()) return SayNothingWouldChange(session);
  }
  SayHowToApply(session);
}

constexpr char kMessageHelp[] = "RESERVATION/REVISION, as `outbox list` shows it";

// Of commands about one message.
void AddMessageFlags(CLI::App* command, MessageFlags& flags) {
  command->add_option("MESSAGE", flags.message, kMessageHelp)->required();
  TakesNameOf(NameKind::kSink, command->add_option("--sink", flags.sink, "Whose copy"))->capture_default_str();
}

void AddListMessages(CLI::App* outbox, Session& session) {
  auto sink = std::make_shared<std::string>();
  auto state = std::make_shared<std::string>("dead");
  auto limit = std::make_shared<int>(100);
  CLI::App* list = outbox->add_subcommand("list", "Messages that are not delivered: given up, or still waiting");
  TakesNameOf(NameKind::kSink, list->add_option("--sink", *sink, "Only those for this sink"));
  TakesOneOf(list->add_option("--state", *state, "dead: given up; pending: to be delivered, or to be tried again"),
             {"dead", "pending"})
      ->capture_default_str();
  list->add_option("--limit", *limit, "How many, by reservation")->capture_default_str()->check(CLI::Range(1, 1000000));
  list->footer(
      "Examples:\n"
      "  tranchectl outbox list -o wide    also SKU, state, times and more of the error\n"
      "  tranchectl outbox list --state pending -o json | jq -r '.messages[].last_error' | sort | uniq -c");
  list->callback([&session, sink, state, limit] { List(session, *sink, *state, *limit); });
}

void AddRetry(CLI::App* outbox, Session& session) {
  auto flags = std::make_shared<MessageFlags>();
  CLI::App* retry = outbox->add_subcommand("retry", "Make dead messages due again, or one message due at once");
  retry->add_option("MESSAGE", flags->message, kMessageHelp);
  TakesNameOf(
      NameKind::kSink,
      retry->add_option("--sink", flags->sink, "Whose copy; default: \"default\" for a MESSAGE, otherwise every sink"));
  AddYesFlag(retry, flags->yes);
  retry->footer(
      "Without MESSAGE: all dead ones.\n"
      "Examples:\n"
      "  tranchectl outbox retry --sink books --yes\n"
      "  tranchectl outbox retry 018f4c3a-0000-7000-8000-000000000001/2 --sink books --yes");
  retry->callback([&session, flags, retry] { RetryOneOrDead(session, *flags, retry->count("--sink") > 0); });
}

void AddSinkCommands(CLI::App* outbox, Session& session) {
  CLI::App* sink = outbox->add_subcommand("sink", "Who is told of changes");
  sink->require_subcommand(1);
  sink->footer("Example:\n  tranchectl outbox sink list");
  CLI::App* list = sink->add_subcommand("list", "The sinks, and how many messages wait for each");
  list->footer("Example:\n  tranchectl outbox sink list");
  list->callback([&session] {
    const auto sinks = session.Admin(&AdminService::Stub::ListSinks, tranche::v1::ListSinksRequest());
    if (!sinks.ok()) return session.FailRemotely(sinks.status());
    PrintSinks(session, *sinks);
  });
  auto added = std::make_shared<SinkFlags>();
  CLI::App* add = sink->add_subcommand("add", "Add a sink; from now on it gets a copy of every message");
  add->add_option("SINK", added->name, "1 to 32 characters of a-z 0-9 _ -")->required();
  AddYesFlag(add, added->yes);
  add->footer(
      "A tranche-worker that is started with --sink NAME=... does this by itself.\n"
      "Example:\n  tranchectl outbox sink add books --yes");
  add->callback([&session, added] { ChangeSink(session, added->name, added->yes, &AdminService::Stub::AddSink); });
  auto removed = std::make_shared<SinkFlags>();
  CLI::App* remove = sink->add_subcommand("remove", "Remove a sink, and discard its waiting messages");
  TakesNameOf(NameKind::kSink,
              remove->add_option("SINK", removed->name, "Its name, as in `tranchectl outbox sink list`"))
      ->required();
  AddYesFlag(remove, removed->yes);
  remove->footer(
      "Stop the workers that have it first: at their start they add it again. The last sink cannot be removed: add the "
      "one\n"
      "that takes its place first.\n"
      "Example:\n  tranchectl outbox sink remove books --yes");
  remove->callback(
      [&session, removed] { ChangeSink(session, removed->name, removed->yes, &AdminService::Stub::RemoveSink); });
}

}  // namespace

void AddOutboxCommands(CLI::App& app, Session& session) {
  CLI::App* outbox = app.add_subcommand("outbox", "Messages about changes of reservations, and who gets them");
  outbox->require_subcommand(1);
  outbox->footer("Example:\n  tranchectl outbox list --state pending");
  AddListMessages(outbox, session);

  auto shown = std::make_shared<MessageFlags>();
  CLI::App* show = outbox->add_subcommand("show", "One message, with its payload and its last error");
  AddMessageFlags(show, *shown);
  show->footer("Example:\n  tranchectl outbox show 018f4c3a-0000-7000-8000-000000000001/2 --sink books");
  show->callback([&session, shown] { Show(session, *shown); });

  AddRetry(outbox, session);

  auto discarded = std::make_shared<MessageFlags>();
  CLI::App* discard = outbox->add_subcommand("discard", "Discard a message undelivered; the audit log keeps it");
  AddMessageFlags(discard, *discarded);
  AddYesFlag(discard, discarded->yes);
  discard->footer("Example:\n  tranchectl outbox discard 018f4c3a-0000-7000-8000-000000000001/2 --sink books --yes");
  discard->callback([&session, discarded] { Discard(session, *discarded); });

  AddSinkCommands(outbox, session);
}

}  // namespace tranche::ctl
