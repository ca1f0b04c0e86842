#include "server/node/buyer_calls.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "server/handlers/group_reads.h"
#include "server/node/answer_limits.h"
#include "server/process/admin_address.h"
#include "server/services/catalog_service.h"

namespace tranche::server {
namespace {

// How soon a stream that stopped reading for want of room, and has nothing to write, notices that there is room again;
// and streams and watches that the access file has changed.
constexpr absl::Duration kCheckStreams = absl::Milliseconds(100);

CallDeadlines ToDeadlines(const ServerOptions& options) {
  CallDeadlines deadlines;
  deadlines.default_deadline = absl::Milliseconds(options.default_deadline_ms);
  deadlines.max_deadline = absl::Milliseconds(options.max_deadline_ms);
  return deadlines;
}

std::unique_ptr<CallerCalls> MakeCallerCalls(const ServerOptions& options) {
  return options.max_calls_per_caller == 0 ? nullptr : std::make_unique<CallerCalls>(options.max_calls_per_caller);
}

// Of a claim that is still queued. A node without a broker knows no more than the ticket.
ClaimOutlook OutlookOf(const NodeQueue* queue, const ClaimTicket& ticket) {
  if (queue != nullptr) return queue->OutlookOf(ticket);
  return {.ahead = ticket.ahead, .poll_after = PollAfter(ticket.ahead, /*drained_per_s=*/0)};
}

// The answers are counted where they are given.
CallFrame FrameOf(const ServerOptions& options, OpenCalls* open_calls, CallerCalls* caller_calls, CallMetrics* metrics,
                  AccessLog* access_log, AccessControl* access) {
  return {.clock = storage::Clock::Real(),
          .deadlines = ToDeadlines(options),
          .open_calls = open_calls,
          .caller_calls = caller_calls,
          .metrics = metrics,
          .access_log = access_log,
          .access = access};
}

bool HasOwnAdminAddress(const ServerOptions& options) {
  const auto admin = FindAdminAddress(options);
  return admin.ok() && admin->kind == AdminAddress::Kind::kByItself;
}

WatchHubOptions ToWatchOptions(const ServerOptions& options) {
  WatchHubOptions watch;
  watch.max_watches = static_cast<size_t>(options.max_watches);
  watch.max_watches_per_caller = static_cast<size_t>(options.max_watches_per_address);
  return watch;
}

WatchHubOptions ToGroupWatchOptions(const ServerOptions& options) {
  return OptionsOfGroupWatches(ToWatchOptions(options));
}

GroupReadHandler::Reads GroupReadsOf(NodeLedger* ledger) {
  return {
      .group = [ledger](const storage::Uuid& id, const storage::GroupLookup& lookup, absl::Time deadline,
                        auto done) { ledger->GetGroup(id, lookup, deadline, std::move(done)); },
      .page = [ledger](const storage::GroupFilter& filter, const storage::GroupCursor& after, int limit,
                       auto done) { ledger->ListGroups(filter, after, limit, std::move(done)); },
      .offers = [ledger](const std::string& sku_id, auto done) { ledger->ListGroupOffers(sku_id, std::move(done)); }};
}

ReservationStreamOptions ToStreamOptions(const ServerOptions& options) {
  constexpr int64_t kAnswersPerMib = 1024 * 1024 / kAnswerBytes;
  ReservationStreamOptions stream;
  stream.max_outstanding = options.max_stream_outstanding;
  stream.max_message_bytes = options.max_message_bytes;
  stream.unread_timeout = absl::Milliseconds(options.unread_timeout_ms);
  stream.limits.node = {options.max_streams, options.unread_memory_mib * kAnswersPerMib};
  stream.limits.address = {options.max_streams_per_address, options.unread_memory_per_address_mib * kAnswersPerMib};
  stream.limits.connection = {options.max_streams_per_connection,
                              options.unread_memory_per_connection_mib * kAnswersPerMib};
  return stream;
}

}  // namespace

BuyerCalls::BuyerCalls(const ServerOptions& options, const quota::SliceTable* slices, NodeLedger* ledger,
                       NodeSale* sale, NodeDoor* door, const NodeQueue* queue, CallMetrics* metrics,
                       AccessLog* access_log, AccessControl* access)
    : access_(access),
      unread_timeout_(absl::Milliseconds(options.unread_timeout_ms)),
      visitors_(door->gate(), options.trusted_proxies),
      reservations_(
          [sale](storage::ReservationClaim claim, absl::Time deadline, bool may_exist, quota::SaleDone done,
                 quota::Visitor visitor) {
            sale->seller().Sell(std::move(claim), deadline, may_exist, std::move(done), std::move(visitor));
          },
          ledger->books(), storage::Clock::Real()),
      carts_(
          [sale](std::vector<storage::ReservationClaim> lines, absl::Time deadline, bool may_exist,
                 quota::CartDone done, std::vector<quota::Visitor> visitors) {
            sale->carts().Sell(std::move(lines), deadline, may_exist, std::move(done), std::move(visitors));
          },
          storage::Clock::Real()),
      changes_(ledger->books(), slices, storage::Clock::Real(), &door->door(), GroupReadsOf(ledger).group),
      changes_of_operators_(changes_.ForOperators()),
      lists_(ledger->books(), storage::Clock::Real()),
      watch_hub_([ledger](absl::Span<const storage::Uuid> ids) { return ledger->router().ReadWhereAnswered(ids); },
                 storage::Clock::Real(), ToWatchOptions(options)),
      claims_(
          ledger->books(), storage::Clock::Real(), [door] { return KeysOf(door->door()); },
          [queue](const ClaimTicket& ticket) { return OutlookOf(queue, ticket); }),
      catalog_([ledger](const std::string& sku_id, auto done) { ledger->router().ViewSku(sku_id, std::move(done)); },
               [ledger](const std::string& after, auto done) {
                 ledger->ListSkus(after, CatalogHandler::kLargestPage + 1, std::move(done));
               },
               storage::Clock::Real()),
      enter_([sale](const std::string& sku_id, quota::EntryChecked done) { sale->CheckEntry(sku_id, std::move(done)); },
             &door->door(), storage::Clock::Real(), door->outside().scorer.get(), door->outside().captcha.get()),
      rounds_([ledger](const std::string& policy_sku_id,
                       auto done) { ledger->ListLotteryRounds(policy_sku_id, std::move(done)); },
              storage::Clock::Real()),
      enter_draw_(
          [sale](const std::string& sku_id, quota::EntryChecked done) { sale->CheckEntry(sku_id, std::move(done)); },
          &door->door(), ledger->books(), slices, storage::Clock::Real()),
      draws_([ledger](const storage::DrawKey& key, auto done) { ledger->GetDraw(key, std::move(done)); },
             [this, ledger](const storage::DrawKey& key, const std::string& user_id, absl::Time deadline, auto done) {
               ledger->FindDrawEntry(&prover_, key, user_id, deadline, std::move(done));
             },
             storage::Clock::Real()),
      group_joins_(&reservations_, &changes_),
      groups_(GroupReadsOf(ledger), storage::Clock::Real()),
      group_watch_hub_(
          [ledger](absl::Span<const WatchedGroup> groups) { return ReadWatchedGroups(ledger->groups(), groups); },
          storage::Clock::Real(), ToGroupWatchOptions(options)),
      open_calls_(storage::Clock::Real(), absl::Milliseconds(options.max_deadline_ms)),
      caller_calls_(MakeCallerCalls(options)),
      served_(options, HandlersWith(&changes_), &catalog_, front_door_handlers(), group_handlers(),
              FrameOf(options, &open_calls_, caller_calls_.get(), metrics, access_log, access)),
      served_to_operators_(
          HasOwnAdminAddress(options)
              ? std::make_unique<Served>(
                    options, HandlersWith(&changes_), &catalog_, front_door_handlers(), group_handlers(),
                    FrameOf(options, &open_calls_, /*caller_calls=*/nullptr, metrics, access_log, access))
              : nullptr),
      check_streams_task_(std::min(kCheckStreams, absl::Milliseconds(options.unread_timeout_ms) / 4),
                          [this] { CheckStreams(); }) {}

BuyerCalls::Served::Served(const ServerOptions& options, const ReservationHandlers& handlers, CatalogHandler* catalog,
                           const FrontDoorHandlers& front_door, const GroupHandlers& groups, CallFrame frame)
    : answers(AnswerLimitsOf(options), storage::Clock::Real()),
      reservations(handlers, (frame.answers = &answers, frame), ToStreamOptions(options)),
      catalog_service(MakeCatalogService(catalog, frame)),
      front_door_service(MakeFrontDoorService(front_door, frame)),
      group_service(MakeGroupService(groups, frame)) {}

std::vector<grpc::Service*> BuyerCalls::services_for_operators() {
  return served_to_operators_ == nullptr ? std::vector<grpc::Service*>() : served_to_operators_->services();
}

int BuyerCalls::open_streams() {
  const int of_operators = served_to_operators_ == nullptr ? 0 : served_to_operators_->reservations.open_streams();
  return served_.reservations.open_streams() + of_operators;
}

int64_t BuyerCalls::unread_answers() {
  const int64_t of_operators =
      served_to_operators_ == nullptr ? 0 : served_to_operators_->reservations.unread_answers();
  return served_.reservations.unread_answers() + of_operators;
}

void BuyerCalls::StopStreams() {
  served_.reservations.StopStreams();
  if (served_to_operators_ != nullptr) served_to_operators_->reservations.StopStreams();
}

void BuyerCalls::CheckStreams() {
  served_.reservations.CheckStreams();
  if (served_to_operators_ != nullptr) served_to_operators_->reservations.CheckStreams();
  if (access_ == nullptr) return;
  const absl::Time now = storage::Clock::Real()->Now();
  if (access_->generation() != checked_generation_) {
    checked_generation_ = access_->generation();
    // Then those that have not ended are cut off.
    check_again_at_ = now + unread_timeout_;
  } else if (now >= check_again_at_) {
    check_again_at_ = absl::InfiniteFuture();
  } else {
    return;
  }
  watch_hub_.Recheck();
  group_watch_hub_.Recheck();
}

void BuyerCalls::StartServing() {
  reservations_.StartServing();
  carts_.StartServing();
  enter_.StartServing();
  enter_draw_.StartServing();
}

void BuyerCalls::SetAccepting(bool accepting) {
  changes_.SetAccepting(accepting);
  enter_.SetAccepting(accepting);
  enter_draw_.SetAccepting(accepting);
  watch_hub_.SetAccepting(accepting);
  group_watch_hub_.SetAccepting(accepting);
}

}  // namespace tranche::server
