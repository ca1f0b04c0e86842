#include "server/queue/amqp_session.h"

#include <glog/logging.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <random>
#include <utility>

#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

// Then what is to be sent has its turn.
constexpr int kMostAmqpEventsAtOnce = 512;
// How long the thread sleeps if nothing happens: heartbeats need it once in a while.
constexpr absl::Duration kAmqpIdle = absl::Milliseconds(500);
constexpr absl::Duration kAmqpGoodBye = absl::Milliseconds(300);
// How long Stop waits before it breaks the connection.
constexpr absl::Duration kAmqpStopPatience = absl::Seconds(1);

absl::Duration JitteredPause(absl::Duration pause) {
  thread_local std::mt19937 random(std::random_device{}());
  return pause * std::uniform_real_distribution<double>(0.5, 1.0)(random);
}

}  // namespace

std::vector<Address> BrokersOf(const BrokerOptions& options) {
  std::vector<Address> brokers;
  const std::vector<std::string> texts = absl::StrSplit(options.brokers, ',', absl::SkipWhitespace());
  for (const std::string& text : texts) {
    std::optional<Address> broker = ParseAddress(text);
    if (broker.has_value()) brokers.push_back(*std::move(broker));
  }
  return brokers;
}

AmqpSession::AmqpSession(BrokerOptions options, std::string name, User* user)
    : options_(std::move(options)),
      brokers_(BrokersOf(options_)),
      name_(std::move(name)),
      user_(user),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  PCHECK(wake_.open()) << "eventfd";
}

AmqpSession::~AmqpSession() { Stop(); }

void AmqpSession::Start() {
  thread_ = std::thread([this] { Run(); });
}

void AmqpSession::Wake() {
  if (woken_.exchange(true)) return;
  const uint64_t one = 1;
  // It fails only if it is awake enough.
  if (write(wake_.number(), &one, sizeof(one)) < 0) return;
}

void AmqpSession::Stop() {
  if (!thread_.joinable()) return;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  Wake();
  {
    absl::MutexLock lock(&mutex_);
    if (!mutex_.AwaitWithTimeout(absl::Condition(&ended_), kAmqpStopPatience) && current_ != nullptr) {
      current_->Abort();
    }
  }
  thread_.join();
}

bool AmqpSession::stopping() const {
  absl::MutexLock lock(&mutex_);
  return stopping_;
}

void AmqpSession::Run() {
  absl::Duration pause = kShortestAmqpPause;
  // Not all processes begin with the same broker.
  size_t turn = brokers_.empty() ? 0 : std::random_device{}() % brokers_.size();
  while (!stopping()) {
    lasted_ = false;
    const absl::Status lost = brokers_.empty() ? absl::UnavailableError("no broker is configured")
                                               : RunConnection(brokers_[turn++ % brokers_.size()]);
    if (lasted_) pause = kShortestAmqpPause;
    user_->OnLost(lost);
    absl::MutexLock lock(&mutex_);
    if (stopping_) break;
    Note(lost);
    mutex_.AwaitWithTimeout(absl::Condition(&stopping_), JitteredPause(pause));
    pause = std::min(pause * 2, kLongestAmqpPause);
  }
  absl::MutexLock lock(&mutex_);
  ended_ = true;
}

// Once per outage: a broker may be away for long.
void AmqpSession::Note(const absl::Status& lost) {
  LOG_IF(WARNING, !told_) << name_ << ": no connection: " << lost.message();
  told_ = true;
}

// Only then: one that is lost again and again must not make the pause short each time, nor the log long.
void AmqpSession::NoteLasting(const AmqpConnection& connection) {
  lasted_ = true;
  LOG_IF(INFO, told_) << name_ << ": connected to the broker " << connection.broker();
  told_ = false;
}

absl::Status AmqpSession::RunConnection(const Address& broker) {
  ASSIGN_OR_RETURN(const std::unique_ptr<AmqpConnection> connection,
                   AmqpConnection::Open(options_, broker, kAmqpPatience));
  {
    absl::MutexLock lock(&mutex_);
    // Stop had nothing to break yet.
    if (stopping_) return absl::UnavailableError("it is being closed");
    current_ = connection.get();
  }
  const absl::Status ended = RunOpen(*connection);
  if (ended.ok()) connection->Close(kAmqpGoodBye);
  absl::MutexLock lock(&mutex_);
  current_ = nullptr;
  return ended.ok() ? absl::UnavailableError("it is being closed") : ended;
}

// OK: the session is to end.
absl::Status AmqpSession::RunOpen(AmqpConnection& connection) {
  RETURN_IF_ERROR(user_->OnOpen(connection));
  const absl::Time opened_at = absl::Now();
  while (true) {
    if (!lasted_ && absl::Now() - opened_at >= kAmqpLasting) NoteLasting(connection);
    const bool last = stopping();
    ASSIGN_OR_RETURN(const User::Rest rest, user_->OnTurn(connection));
    if (last) return absl::OkStatus();
    ASSIGN_OR_RETURN(const bool more_events, TakeEvents(connection));
    if (!rest.more && !more_events) Wait(connection, rest.wants_room);
  }
}

// Returns whether there may be more. If not, nothing is buffered, and one may wait for the descriptor.
absl::StatusOr<bool> AmqpSession::TakeEvents(AmqpConnection& connection) {
  for (int taken = 0; taken < kMostAmqpEventsAtOnce; ++taken) {
    ASSIGN_OR_RETURN(std::optional<AmqpEvent> event, connection.Next());
    if (!event.has_value()) return false;
    RETURN_IF_ERROR(user_->OnEvent(connection, *std::move(event)));
  }
  return true;
}

void AmqpSession::Wait(const AmqpConnection& connection, bool wants_room) {
  pollfd sources[] = {{.fd = connection.descriptor(),
                       .events = static_cast<short>(wants_room ? POLLIN | POLLOUT : POLLIN),
                       .revents = 0},
                      {.fd = wake_.number(), .events = POLLIN, .revents = 0}};
  poll(sources, 2, static_cast<int>(absl::ToInt64Milliseconds(kAmqpIdle)));
  uint64_t count = 0;
  if (sources[1].revents != 0 && read(wake_.number(), &count, sizeof(count)) < 0) return;
  // Before the turn: who wakes it from now on has put something down that the turn may miss.
  woken_ = false;
}

}  // namespace tranche::server
