#include "server/process/options_queue.h"

#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/process/options_shared.h"
#include "storage/base/loopback.h"

namespace tranche::server {
namespace {

std::string CheckBrokers(const std::string& text) {
  const std::vector<std::string> brokers = absl::StrSplit(text, ',');
  for (const std::string& broker : brokers) {
    if (!CheckAddressWithPort(broker).empty()) return "must be HOST:PORT,HOST:PORT, such as 127.0.0.1:5672";
  }
  return "";
}

std::string CheckVhost(const std::string& text) {
  return text.empty() || text.size() > 255 ? "must be 1 to 255 bytes, such as /" : "";
}

}  // namespace

CLI::Option* AddQueueFlags(OptionsParser& parser, BrokerOptions* options) {
  parser.Group("Claim queues");
  CLI::Option* const broker =
      parser
          .Add("queue-broker", &options->brokers, "HOST:PORT,...",
               "RabbitMQ servers of one cluster, tried in turn: they keep the claims of SKUs whose path is QUEUE or "
               "AUTO until a tranche-consumer has decided them [default: no claim is queued]")
          ->check(CheckBrokers, "");
  parser
      .Add("queue-user-file", &options->user_file, "FILE",
           "File whose only line is USER:PASSWORD for the broker; only its owner may read it. It is read for each "
           "connection, so a password can be changed without a restart [default: guest:guest, which a broker takes "
           "from its own machine only]")
      ->check(CheckSecretFile, "");
  parser.Add("queue-vhost", &options->vhost, "NAME", "The broker's virtual host that the queues are in")
      ->check(CheckVhost, "");
  parser.AddSwitch("queue-tls", &options->tls, "Connect to the broker over TLS; its certificate must name its host");
  parser.AddSwitch("queue-plaintext", &options->plaintext,
                   "Send the password of --queue-user-file without TLS, also to a broker on another machine: for "
                   "networks that nobody else can read");
  parser.Add("queue-ca-file", &options->ca_file, "FILE",
             "PEM file of the authorities that may vouch for the broker's certificate [default: those that this "
             "machine trusts]");
  parser.Add("queue-certificate", &options->certificate_file, "FILE",
             "PEM file with the certificate to show to the broker, and its chain; with --queue-key");
  parser.Add("queue-key", &options->key_file, "FILE", "PEM file with the key of --queue-certificate");
  parser.AddNumber("queue-partitions", &options->partitions, 1, 64, "N",
                   "Queues of each shard; a SKU's claims are in one of them. The same at all nodes and consumers: what "
                   "is in a queue above that number is not taken. To have fewer, let the queues run empty first");
  return broker;
}

void AddQueueDeadline(OptionsParser& parser, BrokerOptions* options) {
  // A ticket lasts for a day (server/queue/claim_ticket.h).
  parser.AddNumber("queue-deadline-ms", &options->deadline_ms, 1000, 12 * 3600 * 1000, "MS",
                   "How long a claim may be in the queue; one that is not decided by then is refused with "
                   "DEADLINE_PASSED");
}

std::string CheckQueueFlags(const BrokerOptions& options) {
  const bool any_file = !options.ca_file.empty() || !options.certificate_file.empty() || !options.key_file.empty();
  if (!options.enabled()) {
    const bool any = any_file || options.tls || options.plaintext || !options.user_file.empty();
    return any ? "flags about the broker of claim queues need --queue-broker" : "";
  }
  if (any_file && !options.tls) return "--queue-ca-file, --queue-certificate and --queue-key need --queue-tls on";
  if (options.certificate_file.empty() != options.key_file.empty()) {
    return "--queue-certificate and --queue-key go together";
  }
  if (options.plaintext && options.tls) return "--queue-plaintext on and --queue-tls on exclude each other";
  if (options.user_file.empty() || options.tls || options.plaintext) return "";
  const std::vector<std::string> brokers = absl::StrSplit(options.brokers, ',');
  if (const std::optional<std::string> beyond = FirstBeyondLoopback(brokers); beyond.has_value()) {
    return absl::StrCat("--queue-user-file: in plaintext, everybody between here and ", *beyond,
                        " could read the password; use --queue-tls on, or --queue-plaintext on in a network that "
                        "nobody else can read");
  }
  return "";
}

}  // namespace tranche::server
