#include "client/ctl/failover.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/internal/attempt_verdict.h"
#include "client/internal/status_translation.h"
#include "tranche/error.h"

namespace tranche::ctl {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(1);
// A node that comes back is noticed about as soon.
constexpr int kMaxReconnectBackoffMs = 1000;
// One that vanished in the middle of a stream, too.
constexpr int kKeepaliveMs = 20000;
// 10,000 policies of the front door have more than the 4 MiB that gRPC takes by itself.
constexpr int kMaxAnswerBytes = 64 << 20;

// By the process's own user id where the environment does not say, as under cron and in containers.
std::string UserName() {
  const char* user = std::getenv("USER");
  if (user != nullptr && *user != '\0') return user;
  const uid_t id = geteuid();
  std::vector<char> names(16384);
  passwd entry;
  passwd* found = nullptr;
  if (getpwuid_r(id, &entry, names.data(), names.size(), &found) == 0 && found != nullptr) return found->pw_name;
  return absl::StrCat("uid-", id);
}

std::string Actor() {
  char host[256] = "";
  if (gethostname(host, sizeof(host) - 1) != 0 || *host == '\0') return UserName();
  return absl::StrCat(UserName(), "@", host);
}

// gRPC aborts on a value that is not printable ASCII, unless its key says that it is binary.
void AddText(grpc::ClientContext& context, const std::string& key, const std::string& text) {
  const bool ascii = absl::c_all_of(text, [](char c) { return absl::ascii_isprint(static_cast<unsigned char>(c)); });
  context.AddMetadata(ascii ? key : absl::StrCat(key, "-bin"), text);
}

// Another node may be asked after this answer.
bool PassesOn(CallKind kind, const absl::Status& status) {
  const Reason reason = ReasonOf(status);
  if (kind != CallKind::kChange) {
    // A node from before this version does not know a new read.
    const bool unknown_read = absl::IsUnimplemented(status) && ReasonNameOf(status).empty();
    return absl::IsUnavailable(status) || unknown_read || reason == Reason::kOverloaded;
  }
  return internal::WasNotSent(status) ||
         (absl::IsUnavailable(status) && (reason == Reason::kDraining || reason == Reason::kExhaustedHere));
}

// Waits until the connection stands or is refused. False: neither by then.
bool IsDecided(grpc::Channel& channel, absl::Time end) {
  while (true) {
    const grpc_connectivity_state state = channel.GetState(/*try_to_connect=*/true);
    if (state != GRPC_CHANNEL_IDLE && state != GRPC_CHANNEL_CONNECTING) return true;
    if (!channel.WaitForStateChange(state, absl::ToChronoTime(end))) return false;
  }
}

// 0 says most: the node's own words, then silence, then that there is no node.
int Vagueness(const absl::Status& status) {
  if (!ReasonNameOf(status).empty()) return 0;
  return internal::WasNotSent(status) ? 2 : 1;
}

absl::Status At(const std::string& address, const absl::Status& status) {
  absl::Status named(status.code(), absl::StrCat(address, ": ", status.message()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) { named.SetPayload(url, payload); });
  return named;
}

}  // namespace

Failover::Failover(const std::vector<std::string>& addresses, const std::string& reason,
                   std::unique_ptr<internal::ChannelSecurity> security)
    : reason_(reason), security_(std::move(security)) {
  for (const std::string& address : addresses) endpoints_.push_back({address, nullptr, {}});
  Connect();
}

void Failover::Connect() {
  std::shared_ptr<grpc::ChannelCredentials> credentials = security_->Credentials();
  if (credentials == credentials_) return;
  credentials_ = std::move(credentials);
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxReconnectBackoffMs);
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  for (Endpoint& endpoint : endpoints_) {
    grpc::ChannelArguments own = arguments;
    security_->AddTo(own, endpoint.address);
    endpoint.channel = grpc::CreateCustomChannel(endpoint.address, credentials_, own);
  }
}

std::unique_ptr<grpc::ClientContext> Failover::NewContext() const {
  auto context = std::make_unique<grpc::ClientContext>();
  AddText(*context, "tranche-actor", Actor());
  if (!reason_.empty()) AddText(*context, "tranche-reason", reason_);
  security_->Authorize(*context);
  return context;
}

std::vector<std::shared_ptr<grpc::Channel>> Failover::channels() const {
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (const Endpoint& endpoint : endpoints_) channels.push_back(endpoint.channel);
  return channels;
}

absl::Status Failover::Call(CallKind kind, absl::Duration limit, Attempt attempt) {
  Connect();
  const absl::Time end = absl::Now() + limit;
  // Short of time, each still gets its turn.
  const absl::Duration patience = std::min(kPatience, limit / static_cast<int64_t>(endpoints_.size()));
  other_errors_.clear();
  reached_ = false;
  for (Endpoint& endpoint : endpoints_) endpoint.silent = true;
  for (const bool brief : {true, false}) {
    if (brief && endpoints_.size() == 1) continue;
    for (auto endpoint = endpoints_.begin(); endpoint != endpoints_.end(); ++endpoint) {
      if (!endpoint->silent) continue;
      // Out of time: what the brief round found says more.
      if (!brief && endpoints_.size() > 1 && absl::Now() >= end) break;
      Ask(kind, brief ? absl::Now() + patience : end, end, attempt, *endpoint);
      if (endpoint->silent || PassesOn(kind, endpoint->status)) continue;
      std::rotate(endpoints_.begin(), endpoint, std::next(endpoint));
      return endpoints_.front().status;
    }
    // Who took the connection is likelier to answer yet.
    std::stable_partition(endpoints_.begin(), endpoints_.end(), [](const Endpoint& endpoint) {
      return endpoint.channel->GetState(/*try_to_connect=*/false) == GRPC_CHANNEL_READY;
    });
  }
  return MostTelling();
}

void Failover::Ask(CallKind kind, absl::Time patience_end, absl::Time end, Attempt attempt, Endpoint& endpoint) {
  const absl::Time begin = absl::Now();
  const auto waited = [begin] { return absl::FormatDuration(absl::Trunc(absl::Now() - begin, absl::Milliseconds(1))); };
  if (!IsDecided(*endpoint.channel, patience_end)) {
    endpoint.status = absl::UnavailableError(absl::StrCat("takes no connection, waited ", waited()));
    return;
  }
  const bool quick = kind == CallKind::kQuickRead;
  const std::unique_ptr<grpc::ClientContext> context = NewContext();
  context->set_deadline(absl::ToChronoTime(quick ? patience_end : end));
  endpoint.status = internal::ToAbslStatus(attempt(endpoint.channel, context.get()));
  reached_ = reached_ || !internal::WasNotSent(endpoint.status);
  endpoint.silent = quick && absl::IsDeadlineExceeded(endpoint.status);
  if (endpoint.silent && ReasonNameOf(endpoint.status).empty()) {
    endpoint.status = absl::DeadlineExceededError(absl::StrCat("no answer, waited ", waited()));
  }
}

absl::Status Failover::MostTelling() {
  if (endpoints_.size() == 1) return endpoints_.front().status;
  const auto most = std::min_element(endpoints_.begin(), endpoints_.end(), [](const Endpoint& a, const Endpoint& b) {
    return Vagueness(a.status) < Vagueness(b.status);
  });
  for (const Endpoint& endpoint : endpoints_) {
    if (&endpoint != &*most) {
      other_errors_.push_back(absl::StrCat(endpoint.address, ": ", std::string(endpoint.status.message())));
    }
  }
  return At(most->address, most->status);
}

}  // namespace tranche::ctl
