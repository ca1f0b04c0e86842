#include "server/process/shard_hosts.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <iterator>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace tranche::server {
namespace {

// Neither secret, nor a file with secrets, nor another way to name a server, nor a setting of the session. A
// certificate of the client's own and a service are for each server's environment.
constexpr absl::string_view kKeywords[] = {"host",
                                           "hostaddr",
                                           "port",
                                           "dbname",
                                           "user",
                                           "sslmode",
                                           "sslrootcert",
                                           "sslsni",
                                           "ssl_min_protocol_version",
                                           "requiressl",
                                           "require_auth",
                                           "channel_binding",
                                           "gssencmode",
                                           "connect_timeout",
                                           "target_session_attrs",
                                           "keepalives",
                                           "keepalives_idle",
                                           "keepalives_interval",
                                           "keepalives_count",
                                           "tcp_user_timeout",
                                           "load_balance_hosts",
                                           "application_name"};

// Of a string that names no host: libpq takes PGHOST or the socket of this machine.
constexpr absl::string_view kDefaultHost = "(default)";

bool IsAddress(const std::string& host) {
  in6_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1 || inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

// The one spelling of a host by which hosts are compared.
std::string NormalHost(absl::string_view host) {
  if (host.empty()) return std::string(kDefaultHost);
  if (host.front() == '/') {
    while (host.size() > 1 && host.back() == '/') host.remove_suffix(1);
    return std::string(host);
  }
  if (host.front() == '[' && absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  std::string text = absl::AsciiStrToLower(host);
  in6_addr address;
  char spelled[INET6_ADDRSTRLEN];
  if (inet_pton(AF_INET6, text.c_str(), &address) == 1) {
    return inet_ntop(AF_INET6, &address, spelled, sizeof(spelled));
  }
  // example.com. is example.com.
  if (text.size() > 1 && text.back() == '.') text.pop_back();
  return text;
}

bool IsListable(absl::string_view host) {
  if (host.empty()) return false;
  if (host.front() == '/') return true;
  absl::string_view rest = host;
  if (absl::ConsumePrefix(&rest, "*.") && rest.empty()) return false;
  return std::all_of(rest.begin(), rest.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains(".-_:[]%", absl::string_view(&c, 1));
  });
}

// What a connection string says; null if libpq cannot read it.
using Conninfo = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;
Conninfo ReadConninfo(const std::string& dsn) {
  return Conninfo(PQconninfoParse(dsn.c_str(), nullptr), &PQconninfoFree);
}

absl::string_view GivenValue(const PQconninfoOption* options, absl::string_view keyword) {
  for (const PQconninfoOption* option = options; option->keyword != nullptr; ++option) {
    if (option->keyword == keyword && option->val != nullptr) return option->val;
  }
  return "";
}

// Where libpq may connect to, and the names that it compares with the server's certificate.
std::vector<std::string> HostsOf(const PQconninfoOption* options) {
  const absl::string_view host = GivenValue(options, "host"), address = GivenValue(options, "hostaddr");
  std::vector<std::string> hosts;
  // With an address the name may be missing.
  if (!host.empty() || address.empty()) {
    for (const absl::string_view one : absl::StrSplit(host, ',')) hosts.push_back(NormalHost(one));
  }
  if (!address.empty()) {
    for (const absl::string_view one : absl::StrSplit(address, ',')) hosts.push_back(NormalHost(one));
  }
  return hosts;
}

}  // namespace

absl::StatusOr<ShardHosts> ShardHosts::Of(const std::string& listed, const std::string& home_dsn) {
  ShardHosts hosts;
  if (listed.empty()) {
    const Conninfo home = ReadConninfo(home_dsn);
    if (home == nullptr) return absl::InvalidArgumentError("libpq cannot read home's connection string");
    hosts.hosts_ = HostsOf(home.get());
    return hosts;
  }
  for (const absl::string_view host : absl::StrSplit(listed, ',')) {
    if (!IsListable(host)) {
      return absl::InvalidArgumentError(
          "must be HOST,HOST without ports, such as db1.internal,10.0.0.7,*.db.internal or /var/run/postgresql");
    }
    hosts.hosts_.push_back(NormalHost(host));
  }
  return hosts;
}

bool ShardHosts::Allows(const std::string& host) const {
  return std::any_of(hosts_.begin(), hosts_.end(), [&](const std::string& allowed) {
    if (!absl::StartsWith(allowed, "*.")) return host == allowed;
    const absl::string_view suffix = absl::string_view(allowed).substr(1);
    return host.size() > suffix.size() && host.front() != '/' && !IsAddress(host) && absl::EndsWith(host, suffix);
  });
}

absl::Status ShardHosts::Check(const std::string& dsn) const {
  const Conninfo options = ReadConninfo(dsn);
  if (options == nullptr) return absl::InvalidArgumentError("must be a connection string that libpq can read");
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    const absl::string_view keyword = option->keyword;
    const bool known = std::find(std::begin(kKeywords), std::end(kKeywords), keyword) != std::end(kKeywords);
    if (known || option->val == nullptr || *option->val == '\0') continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "must not have the keyword ", keyword, ", which would tell every server what to read or to run. Allowed are ",
        absl::StrJoin(kKeywords, ", "),
        "; the rest belongs into the environment of each server (PGSSLCERT and so on)"));
  }
  for (const std::string& host : HostsOf(options.get())) {
    if (Allows(host)) continue;
    if (host == kDefaultHost) {
      return absl::InvalidArgumentError("must name its host: every server would take another default");
    }
    return absl::FailedPreconditionError(
        absl::StrCat("The host ", host,
                     " is none that this node may be told to log in to: start every tranched with a "
                     "--shard-hosts that has it. Allowed are ",
                     absl::StrJoin(hosts_, ", "), "."));
  }
  return absl::OkStatus();
}

}  // namespace tranche::server
