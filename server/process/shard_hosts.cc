#include "server/process/shard_hosts.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace tranche::server {
namespace {

// Neither secret, nor a file with secrets, nor another way to name a server, nor a setting of the session, nor how soon
// a server notices that the connection is dead. A certificate of the client's own and a service are for each server's
// environment.
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
                                           "target_session_attrs",
                                           "load_balance_hosts",
                                           "application_name"};

// Of a string that names no host: libpq takes PGHOST or the socket of this machine.
constexpr absl::string_view kDefaultHost = "(default)";
constexpr char kDefaultPort[] = "5432";

// Their values in libpq 15, the weakest first, and what a string means that has none.
constexpr absl::string_view kSslModes[] = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"};
constexpr absl::string_view kChannelBindings[] = {"disable", "prefer", "require"};
constexpr char kDefaultTrust[] = "prefer";

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

// Can this be the name or the address of a host, or a pattern of names? libpq takes more: @name is a socket.
bool IsHostText(absl::string_view host) {
  return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains(".-_:[]%", absl::string_view(&c, 1));
  });
}

bool IsListable(absl::string_view host) {
  if (absl::StartsWith(host, "/")) return true;
  absl::ConsumePrefix(&host, "*.");
  return IsHostText(host);
}

// The one spelling of a port by which ports are compared; libpq reads 05432, too.
std::string NormalPort(absl::string_view port) {
  if (port.empty()) return kDefaultPort;
  int number;
  return absl::SimpleAtoi(port, &number) ? absl::StrCat(number) : std::string(port);
}

// Divides HOST:PORT, [IPV6]:PORT or a host alone. The port is then "".
std::pair<absl::string_view, absl::string_view> DivideListed(absl::string_view listed) {
  const size_t colon = listed.rfind(':');
  if (colon == listed.npos || listed.front() == '/') return {listed, ""};
  const bool alone = listed.front() == '[' ? listed[colon - 1] != ']' : listed.find(':') != colon;
  if (alone) return {listed, ""};
  // A port that is missing behind its colon is none.
  const absl::string_view port = listed.substr(colon + 1);
  return {listed.substr(0, colon), port.empty() ? "?" : port};
}

bool IsPort(absl::string_view port) {
  int number;
  return port.empty() || (absl::SimpleAtoi(port, &number) && number >= 1 && number <= 65535);
}

// Compares values of a keyword. One that libpq does not know is the weakest.
template <size_t kSize>
bool IsWeaker(absl::string_view value, absl::string_view than, const absl::string_view (&values)[kSize]) {
  const auto rank = [&](absl::string_view of) {
    const auto found = std::find(std::begin(values), std::end(values), of);
    return found == std::end(values) ? -1 : found - std::begin(values);
  };
  return rank(value) < rank(than);
}

absl::Status Untrusting(absl::string_view keyword, absl::string_view homes) {
  return absl::InvalidArgumentError(
      absl::StrCat("must have at least ", keyword, "=", homes,
                   ", as --postgres has: who answers there would otherwise be told the password of all servers"));
}

// What a connection string says; null if libpq cannot read it.
using Conninfo = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;
Conninfo ReadConninfo(const std::string& dsn) {
  return Conninfo(PQconninfoParse(dsn.c_str(), nullptr), &PQconninfoFree);
}

std::string GivenValue(const PQconninfoOption* options, absl::string_view keyword) {
  for (const PQconninfoOption* option = options; option->keyword != nullptr; ++option) {
    if (option->keyword == keyword && option->val != nullptr) return option->val;
  }
  return "";
}

// The same, or what libpq takes if the string does not say.
std::string ValueOr(const PQconninfoOption* options, absl::string_view keyword, const char* variable,
                    const char* fallback) {
  std::string given = GivenValue(options, keyword);
  if (!given.empty()) return given;
  const char* const environment = std::getenv(variable);
  return environment == nullptr || *environment == '\0' ? fallback : environment;
}

std::string SslModeOf(const PQconninfoOption* options) {
  return ValueOr(options, "sslmode", "PGSSLMODE", kDefaultTrust);
}

std::string ChannelBindingOf(const PQconninfoOption* options) {
  return ValueOr(options, "channel_binding", "PGCHANNELBINDING", kDefaultTrust);
}

}  // namespace

// Where libpq may connect to, and the names that it compares with the server's certificate.
std::vector<ShardHosts::Place> ShardHosts::PlacesOf(const std::string& host, const std::string& address,
                                                    const std::string& port) {
  const std::vector<std::string> ports = absl::StrSplit(port, ',');
  std::vector<Place> places;
  const auto add = [&](const std::string& hosts) {
    size_t number = 0;
    for (const absl::string_view one : absl::StrSplit(hosts, ',')) {
      // One port is for all hosts. libpq refuses another number of them.
      const std::string& own = ports.size() == 1 ? ports[0] : number < ports.size() ? ports[number] : "";
      places.push_back({NormalHost(one), NormalPort(own)});
      ++number;
    }
  };
  // With an address the name may be missing.
  if (!host.empty() || address.empty()) add(host);
  if (!address.empty()) add(address);
  return places;
}

absl::StatusOr<ShardHosts> ShardHosts::Of(const std::string& listed, const std::string& home_dsn) {
  const Conninfo home = ReadConninfo(home_dsn);
  if (home == nullptr) return absl::InvalidArgumentError("libpq cannot read home's connection string");
  ShardHosts hosts;
  hosts.sslmode_ = SslModeOf(home.get());
  hosts.channel_binding_ = ChannelBindingOf(home.get());
  if (listed.empty()) {
    hosts.places_ = PlacesOf(GivenValue(home.get(), "host"), GivenValue(home.get(), "hostaddr"),
                             ValueOr(home.get(), "port", "PGPORT", kDefaultPort));
    return hosts;
  }
  for (const absl::string_view one : absl::StrSplit(listed, ',')) {
    const auto [host, port] = DivideListed(one);
    if (!IsListable(host) || !IsPort(port)) {
      return absl::InvalidArgumentError(
          "must be HOST[:PORT],... such as db1.internal,10.0.0.7:6432,[2001:db8::7]:6432,*.db.internal or "
          "/var/run/postgresql");
    }
    hosts.places_.push_back({NormalHost(host), host.front() == '/' ? "" : NormalPort(port)});
  }
  return hosts;
}

bool ShardHosts::Allows(const Place& place) const {
  const std::string& host = place.host;
  return std::any_of(places_.begin(), places_.end(), [&](const Place& allowed) {
    if (!allowed.port.empty() && place.port != allowed.port) return false;
    if (!absl::StartsWith(allowed.host, "*.")) return host == allowed.host;
    const absl::string_view suffix = absl::string_view(allowed.host).substr(1);
    return host.size() > suffix.size() && IsHostText(host) && !IsAddress(host) && absl::EndsWith(host, suffix);
  });
}

std::string ShardHosts::Allowed() const {
  return absl::StrJoin(places_, ", ", [](std::string* out, const Place& place) {
    absl::StrAppend(out, place.host, place.port.empty() ? "" : ":", place.port);
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
  if (IsWeaker(SslModeOf(options.get()), sslmode_, kSslModes)) return Untrusting("sslmode", sslmode_);
  if (IsWeaker(ChannelBindingOf(options.get()), channel_binding_, kChannelBindings)) {
    return Untrusting("channel_binding", channel_binding_);
  }
  return CheckPlaces(PlacesOf(GivenValue(options.get(), "host"), GivenValue(options.get(), "hostaddr"),
                              ValueOr(options.get(), "port", "PGPORT", kDefaultPort)));
}

absl::Status ShardHosts::CheckPlaces(const std::vector<Place>& places) const {
  for (const Place& place : places) {
    if (Allows(place)) continue;
    if (place.host == kDefaultHost) {
      return absl::InvalidArgumentError("must name its host: every server would take another default");
    }
    return absl::FailedPreconditionError(absl::StrCat(
        "The host ", place.host, " at port ", place.port,
        " is none that this node lets an operator add: start the tranched that you ask with a --shard-hosts that has "
        "it. Allowed are ",
        Allowed(), "."));
  }
  return absl::OkStatus();
}

}  // namespace tranche::server
