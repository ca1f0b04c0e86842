#include "server/handlers/shard_handler.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/sku_handler.h"
#include "server/process/dsn.h"
#include "server/process/ledger_advice.h"
#include "server/process/schema_check.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"
#include "storage/postgres/postgres_shard_ledger.h"
#include "storage/postgres/postgres_sku_move_ledger.h"
#include "storage/shards/ask_in_turn.h"
#include "storage/shards/sku_move.h"
#include "storage/shards/sku_places.h"

namespace tranche::server {
namespace {

using storage::SkuMoveProgress;

absl::Status ShardState(const std::string& shard, absl::string_view message) {
  return MakeError(v1::ERROR_REASON_SHARD_STATE, message, {{"shard", shard}});
}

// For a database that cannot become a shard; nothing was changed.
absl::Status CannotBeShard(const std::string& name, const absl::Status& status) {
  const std::string detail(status.message());
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted: {
      const std::string password = PasswordAdvice(detail);
      return MakeError(v1::ERROR_REASON_LEDGER_UNAVAILABLE,
                       absl::StrCat("This node does not reach the database: ", detail,
                                    password.empty() ? "" : absl::StrCat("; on every server, ", password)),
                       {{"shard", name}});
    }
    case absl::StatusCode::kPermissionDenied:
      return ShardState(name, absl::StrCat("The database user may not use the ledger there: GRANT tranche_app TO that "
                                           "user (",
                                           detail, ")"));
    default:
      return ShardState(name, absl::StrCat("The database cannot be the shard ", name, ": ", detail));
  }
}

// May this connection string be given to every server?
absl::Status CheckDatabase(const v1::AddShardRequest& request, const ShardHosts& hosts) {
  absl::Status allowed = CheckSharedDsn(request.postgres());
  if (allowed.ok()) allowed = hosts.Check(request.postgres());
  if (allowed.ok()) return allowed;
  const std::string why(allowed.message());
  return absl::IsInvalidArgument(allowed) ? InvalidField("postgres", why) : ShardState(request.name(), why);
}

absl::Status MoveError(const v1::MoveSkuRequest& request, const absl::Status& status) {
  const std::string what = absl::StrCat("SKU ", request.sku_id(), ": ", std::string(status.message()));
  const auto shard_state = [&](absl::string_view message) {
    return WithMetadata(ShardState(request.to(), message), "sku_id", request.sku_id());
  };
  switch (status.code()) {
    case absl::StatusCode::kFailedPrecondition:
      return shard_state(what);
    case absl::StatusCode::kInvalidArgument:
      return shard_state(absl::StrCat(what, " (a reservation of it cannot be copied there)"));
    case absl::StatusCode::kUnavailable:
      return MakeError(v1::ERROR_REASON_LEDGER_UNAVAILABLE, what, {{"sku_id", request.sku_id()}});
    default:
      return LedgerError(status, request.sku_id(), Repeatable::kYes);
  }
}

// For a preview, which says nothing about shards that do not answer.
absl::Status CheckOneHasIt(const storage::ShardSet& shards, const v1::MoveSkuRequest& request) {
  if (!shards.Silent().empty()) return absl::OkStatus();
  const auto look = [&, all = shards.All()] { return storage::LookAt(all, request.sku_id()); };
  const auto places = look();
  if (!places.ok()) return MoveError(request, places.status());
  const auto several = storage::OnSeveralShards(*places, look);
  if (!several.ok()) return MoveError(request, several.status());
  return several->empty() ? absl::OkStatus() : MoveError(request, storage::OnSeveralShardsError(*several));
}

v1::MoveSkuResponse::Stage ToStage(SkuMoveProgress::Stage stage) {
  switch (stage) {
    case SkuMoveProgress::Stage::kUndoing:
      return v1::MoveSkuResponse::STAGE_UNDOING;
    case SkuMoveProgress::Stage::kCopying:
      return v1::MoveSkuResponse::STAGE_COPYING;
    case SkuMoveProgress::Stage::kCatchingUp:
      return v1::MoveSkuResponse::STAGE_CATCHING_UP;
    case SkuMoveProgress::Stage::kPaused:
      return v1::MoveSkuResponse::STAGE_PAUSED;
    case SkuMoveProgress::Stage::kSelling:
      return v1::MoveSkuResponse::STAGE_SELLING;
    case SkuMoveProgress::Stage::kClearing:
      return v1::MoveSkuResponse::STAGE_CLEARING;
    case SkuMoveProgress::Stage::kDone:
      return v1::MoveSkuResponse::STAGE_DONE;
  }
  return v1::MoveSkuResponse::STAGE_UNSPECIFIED;
}

v1::Shard ToShardMessage(const storage::ShardBackend& shard) {
  v1::Shard message;
  message.set_name(shard.name);
  message.set_database(DescribeDsn(shard.dsn).value_or("(unreadable)"));
  message.set_answers(shard.Answers());
  return message;
}

// A shard's ledger for one move, on its own connections, so that copying does not delay other calls.
struct MovingShard {
  explicit MovingShard(const storage::PoolOptions& options) : pool(options), ledger(&pool) {}
  storage::ConnectionPool pool;
  storage::PostgresSkuMoveLedger ledger;
};

// Those of all shards.
class MovingShards {
 public:
  MovingShards(const storage::ShardSet& shards, const ShardHandler::PoolOf& pool_of) {
    for (const auto& shard : shards.All()) {
      shards_.push_back(std::make_unique<MovingShard>(pool_of(shard->dsn)));
      participants_.push_back({shard->name, &shards_.back()->ledger});
    }
  }
  const std::vector<storage::SkuMove::Participant>& participants() const { return participants_; }

 private:
  std::vector<std::unique_ptr<MovingShard>> shards_;
  std::vector<storage::SkuMove::Participant> participants_;
};

void LogMove(const v1::MoveSkuRequest& request, const storage::Actor& actor, const absl::Status& done) {
  const std::string move = absl::StrCat("SKU ", request.sku_id(), " to ", request.to());
  if (!done.ok()) {
    LOG(WARNING) << actor << (request.abort() ? " could not undo the move of " : " could not move ") << move << ": "
                 << done.message();
  } else {
    LOG(INFO) << actor << (request.abort() ? " undid the move of " : " moved ") << move;
  }
}

}  // namespace

absl::StatusOr<v1::ListShardsResponse> ShardHandler::List(const v1::ListShardsRequest&) {
  if (absl::Status read = shards_->Refresh(); !read.ok()) return LedgerError(read, "", Repeatable::kYes);
  const auto listed = shards_->home().shards->ListShards();
  if (!listed.ok()) return LedgerError(listed.status(), "", Repeatable::kYes);
  v1::ListShardsResponse response;
  for (const auto& shard : shards_->All()) {
    v1::Shard* added = response.add_shards();
    *added = ToShardMessage(*shard);
    for (const storage::Shard& entry : *listed) {
      if (entry.name == shard->name) *added->mutable_add_time() = ToTimestamp(entry.added_at);
    }
    // Ask it: that says more than what sales have met so far.
    added->set_answers(shard->Answers() && shard->shards->Identity().ok());
  }
  return response;
}

absl::StatusOr<v1::AddShardResponse> ShardHandler::Add(const v1::AddShardRequest& request,
                                                       const storage::Actor& actor) {
  if (!storage::IsShardName(request.name())) {
    return InvalidField(
        "name", "must be 1 to 32 characters of a-z 0-9 _ -, the first one a letter or a digit, and not \"home\"");
  }
  RETURN_IF_ERROR(CheckDatabase(request, hosts_));
  const auto home = shards_->home().shards->Identity();
  if (!home.ok()) return LedgerError(home.status(), "", Repeatable::kYes);
  const auto sinks = shards_->home().outbox->ListSinks();
  if (!sinks.ok()) return LedgerError(sinks.status(), "", Repeatable::kYes);
  const auto present = shards_->home().shards->ListShards();
  if (!present.ok()) return LedgerError(present.status(), "", Repeatable::kYes);

  storage::ConnectionPool pool(pool_of_(request.postgres()));
  storage::PostgresShardLedger shard(&pool);
  if (absl::Status fits = RequireSchema(shard, request.postgres()); !fits.ok()) {
    return CannotBeShard(request.name(), fits);
  }
  const auto identity = shard.Identity();
  if (!identity.ok()) return CannotBeShard(request.name(), identity.status());
  const bool is_it = identity->name == request.name() && identity->home_id == home->ledger_id;
  if (!is_it && identity->ledger_id == home->ledger_id) {
    return ShardState(request.name(), "This database is the home shard itself.");
  }
  if (!is_it && (!identity->home_id.empty() || identity->used)) {
    return ShardState(request.name(), identity->home_id.empty()
                                          ? "The database has been used as a system of its own; a shard begins empty."
                                          : absl::StrCat("The database is the shard ", identity->name, " of ",
                                                         identity->home_id == home->ledger_id ? "this system already."
                                                                                              : "another system."));
  }
  const bool listed = std::any_of(present->begin(), present->end(), [&](const storage::Shard& one) {
    return one.name == request.name() && one.dsn == request.postgres();
  });
  const bool known =
      std::any_of(present->begin(), present->end(), [&](const auto& one) { return one.name == request.name(); });
  if (known && !is_it) {
    return MakeError(v1::ERROR_REASON_SHARD_ALREADY_EXISTS, "The shard of this name is another database.",
                     {{"shard", request.name()}});
  }
  v1::AddShardResponse response;
  response.mutable_shard()->set_name(request.name());
  response.mutable_shard()->set_database(DescribeDsn(request.postgres()).value_or("(unreadable)"));
  response.mutable_shard()->set_answers(true);
  response.set_added(!is_it || !listed);
  if (request.preview() || (is_it && listed)) return response;
  // The database first, so that what home lists is always true. Both steps may be repeated.
  if (const auto adopted = shard.Adopt(request.name(), home->ledger_id, *sinks, actor); !adopted.ok()) {
    return CannotBeShard(request.name(), adopted.status());
  }
  const auto added = shards_->home().shards->AddShard(request.name(), request.postgres(), actor);
  if (!added.ok()) return LedgerError(added.status(), "", Repeatable::kYes);
  if (absl::Status known_here = shards_->Refresh(); !known_here.ok()) LOG(WARNING) << "shards: " << known_here;
  return response;
}

absl::Status ShardHandler::PreviewMove(const v1::MoveSkuRequest& request, const SkuPlaces& places, const Tell& tell) {
  const absl::Status fits = request.abort() ? CheckAbort(places, request.to()) : CheckMove(places, request.to());
  if (!fits.ok()) return MoveError(request, fits);
  const auto sku =
      storage::AskInTurn(*shards_, [&](storage::ShardBackend& shard) { return shard.stock->GetSku(request.sku_id()); });
  if (!sku.ok()) return LedgerError(sku.status(), request.sku_id(), Repeatable::kYes);
  v1::MoveSkuResponse response;
  response.set_stage(v1::MoveSkuResponse::STAGE_PREVIEW);
  response.set_from_shard(places.owner);
  response.set_to_shard(request.to());
  response.set_rows(sku->stock - sku->unsold);
  response.set_nothing_to_abort(request.abort() && !IsUnfinished(places, request.to()));
  tell(response);
  return absl::OkStatus();
}

absl::Status ShardHandler::Move(const v1::MoveSkuRequest& request, const storage::Actor& actor, const Tell& tell) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  if (request.preview()) RETURN_IF_ERROR(CheckOneHasIt(*shards_, request));
  if (absl::Status known = shards_->Refresh(); !known.ok()) LOG(WARNING) << "shards: " << known;
  if (shards_->Find(request.to()) == nullptr) return ShardNotFound(request.to());
  const MovingShards shards(*shards_, pool_of_);
  const auto places = FindSkuPlaces(shards.participants(), request.sku_id(), request.to());
  if (!places.ok()) {
    if (!request.preview()) LogMove(request, actor, places.status());
    return MoveError(request, places.status());
  }
  if (request.preview()) return PreviewMove(request, *places, tell);

  const bool nothing_to_abort = request.abort() && !IsUnfinished(*places, request.to());
  const auto announce = [&](const std::string& name, bool certain) {
    const auto shard = shards_->Find(name);
    const auto sku = shard->stock->GetSku(request.sku_id());
    quota::Announcer announcer = certain ? announcer_->Replacing() : *announcer_;
    if (sku.ok()) AnnounceSku(announcer, *sku);
  };
  const auto watch = [&](const SkuMoveProgress& progress) {
    v1::MoveSkuResponse response;
    response.set_stage(ToStage(progress.stage));
    response.set_rows(progress.rows);
    if (progress.paused_for > absl::ZeroDuration()) *response.mutable_paused_for() = ToDuration(progress.paused_for);
    response.set_from_shard(places->owner);
    response.set_to_shard(request.to());
    response.set_nothing_to_abort(nothing_to_abort);
    tell(response);
  };
  storage::SkuMove move(shards.participants(), clock_, storage::SkuMoveOptions(), watch, announce);
  const absl::Status done = request.abort() ? move.Abort(request.sku_id(), request.to(), actor)
                                            : move.Run(request.sku_id(), request.to(), actor);
  if (!done.ok() || !nothing_to_abort) LogMove(request, actor, done);
  return done.ok() ? done : MoveError(request, done);
}

}  // namespace tranche::server
