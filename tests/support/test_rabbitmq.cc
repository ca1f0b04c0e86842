#include "tests/support/test_rabbitmq.h"

#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <glog/logging.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "storage/base/address.h"
#include "tests/support/test_certificates.h"

namespace tranche::testing {
namespace {

constexpr char kRabbitmqVariable[] = "TRANCHE_TEST_RABBITMQ";

bool RabbitmqIsGiven() {
  const char* const given = std::getenv(kRabbitmqVariable);
  return given != nullptr && *given != '\0';
}

RabbitmqAccess GivenRabbitmq() {
  std::string url = std::getenv(kRabbitmqVariable);
  amqp_connection_info parsed = {};
  amqp_default_connection_info(&parsed);
  CHECK_EQ(amqp_parse_url(url.data(), &parsed), AMQP_STATUS_OK) << kRabbitmqVariable << " is no amqp:// URL";
  CHECK(!parsed.ssl) << kRabbitmqVariable << " with TLS is not supported";
  static const ScratchDir scratch("rabbitmq-user");
  const std::filesystem::path user_file = scratch.path() / "user";
  ReplaceFile(user_file, absl::StrCat(parsed.user, ":", parsed.password, "\n"));
  // amqp://.../ names the virtual host "/", as does a URL without a path.
  const std::string vhost = *parsed.vhost == '\0' ? "/" : parsed.vhost;
  return {.address = absl::StrCat(parsed.host, ":", parsed.port), .user_file = user_file.string(), .vhost = vhost};
}

MiniRabbitmq& PrivateRabbitmq() {
  static const std::unique_ptr<MiniRabbitmq> server = [] {
    auto started = std::make_unique<MiniRabbitmq>();
    const absl::Status status = started->Start();
    CHECK(status.ok()) << status;
    return started;
  }();
  return *server;
}

std::string UserLine(const RabbitmqAccess& access) {
  if (access.user_file.empty()) return "guest:guest";
  std::ifstream file(access.user_file);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string Quoted(const std::string& part) {
  std::string quoted;
  for (const char c : part) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c))) {
      quoted += c;
    } else {
      absl::StrAppend(&quoted, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    }
  }
  return quoted;
}

}  // namespace

const RabbitmqAccess& SharedRabbitmq() {
  static const RabbitmqAccess access =
      RabbitmqIsGiven() ? GivenRabbitmq() : RabbitmqAccess{.address = PrivateRabbitmq().address()};
  return access;
}

std::string UrlOf(const RabbitmqAccess& access) {
  const std::string line = UserLine(access);
  const size_t colon = line.find(':');
  return absl::StrCat("amqp://", Quoted(line.substr(0, colon)), ":", Quoted(line.substr(colon + 1)), "@",
                      access.address, "/", Quoted(access.vhost));
}

MiniRabbitmq* OwnSharedRabbitmq() { return RabbitmqIsGiven() ? nullptr : &PrivateRabbitmq(); }

std::string UniqueShardName() {
  static std::atomic<int> count{0};
  return absl::StrCat("test-", absl::ToUnixMicros(absl::Now()), "-", getpid(), "-", ++count);
}

void DeleteQueues(const RabbitmqAccess& access, const std::vector<std::string>& queues) {
  const std::optional<Address> address = ParseAddress(access.address);
  CHECK(address.has_value()) << access.address;
  const std::string line = UserLine(access);
  const size_t colon = line.find(':');
  const amqp_connection_state_t state = amqp_new_connection();
  amqp_socket_t* const socket = amqp_tcp_socket_new(state);
  const timeval timeout = {.tv_sec = 10, .tv_usec = 0};
  amqp_set_handshake_timeout(state, &timeout);
  amqp_set_rpc_timeout(state, &timeout);
  bool done = amqp_socket_open_noblock(socket, address->host.c_str(), address->port, &timeout) == AMQP_STATUS_OK &&
              amqp_login(state, access.vhost.c_str(), 0, AMQP_DEFAULT_FRAME_SIZE, 0, AMQP_SASL_METHOD_PLAIN,
                         line.substr(0, colon).c_str(), line.substr(colon + 1).c_str())
                      .reply_type == AMQP_RESPONSE_NORMAL &&
              amqp_channel_open(state, 1) != nullptr;
  for (const std::string& queue : queues) {
    done = done && amqp_queue_delete(state, 1, amqp_cstring_bytes(queue.c_str()), /*if_unused=*/0, /*if_empty=*/0);
  }
  if (done) amqp_connection_close(state, AMQP_REPLY_SUCCESS);
  amqp_destroy_connection(state);
  LOG_IF(WARNING, !done) << "cannot delete queues at " << access.address;
}

}  // namespace tranche::testing
