#include "server/handlers/draw_admin_handler.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "glog/logging.h"
#include "server/admission/front_policy.h"
#include "server/errors.h"
#include "server/handlers/draw_errors.h"
#include "server/handlers/draw_messages.h"
#include "server/handlers/field_checks.h"
#include "server/plain_utf8.h"
#include "storage/base/status_macros.h"
#include "storage/uuid.h"

namespace tranche::server {
namespace {

constexpr size_t kCommitmentBytes = 32;
constexpr int64_t kMostSourceChars = 200;

constexpr char kOneDrawAtATime[] =
    "A SKU has one draw at a time, and their numbers count up: finish or cancel the one before, or expect the number "
    "that comes next.";
constexpr char kSeedRule[] =
    "A seed is taken once the list of entries is sealed (CLOSED), and stays: close the draw, and wait for a worker.";
constexpr char kNotSealed[] = "Its list of entries is there once it is sealed: close the draw, and wait for a worker.";

struct StepWords {
  storage::DrawStep step;
  const char* done;  // for the log: "alice ... draw 1"
  const char* rule;  // when it is possible
};

std::optional<StepWords> WordsOfStep(v1::ChangeDrawRequest::Step step) {
  using storage::DrawStep;
  switch (step) {
    case v1::ChangeDrawRequest::STEP_CLOSE:
      return StepWords{DrawStep::kClose, "closes", "Only an open draw can be closed."};
    case v1::ChangeDrawRequest::STEP_SEED:
      return StepWords{DrawStep::kSeed, "gives the seed of", kSeedRule};
    case v1::ChangeDrawRequest::STEP_FINISH:
      return StepWords{DrawStep::kFinish, "finishes",
                       "A draw can be finished once its ranks are known (DRAWN); before that, it can be cancelled."};
    case v1::ChangeDrawRequest::STEP_CANCEL:
      return StepWords{DrawStep::kCancel, "cancels",
                       "A draw can be cancelled until its ranks are known (DRAWN); after that, it can be finished."};
    case v1::ChangeDrawRequest::STEP_REMOVE:
      return StepWords{DrawStep::kRemove, "removes", "Only a finished or cancelled draw can be removed."};
    default:
      return std::nullopt;
  }
}

bool IsPublicSource(const std::string& text) {
  const auto characters = std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xc0) != 0x80; });
  return characters <= kMostSourceChars && IsVisibleUtf8(text) && !HasDirectionMarks(text);
}

absl::Status CheckSeedSource(const v1::CreateDrawRequest& request) {
  const bool committed = !request.seed_commitment().empty();
  if (committed == !request.public_source().empty()) {
    return InvalidField("seed_commitment", "or public_source must be there, and not both");
  }
  if (committed && request.seed_commitment().size() != kCommitmentBytes) {
    return InvalidField("seed_commitment", absl::StrCat("must be a SHA-256, which has ", kCommitmentBytes, " bytes"));
  }
  if (committed || IsPublicSource(request.public_source())) return absl::OkStatus();
  return InvalidField("public_source", absl::StrCat("must be at most ", kMostSourceChars,
                                                    " characters of UTF-8 without control or invisible characters"));
}

absl::StatusOr<storage::NewDraw> ReadNewDraw(const v1::CreateDrawRequest& request) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  if (request.winners() < 1 || request.winners() > storage::kMaxDrawWinners) {
    return InvalidField("winners", absl::StrCat("must be 1 to ", storage::kMaxDrawWinners));
  }
  if (request.quantity() < 0) return InvalidField("quantity", "must not be negative");
  RETURN_IF_ERROR(CheckSeedSource(request));
  storage::NewDraw draw;
  draw.sku_id = request.sku_id();
  draw.winners = request.winners();
  draw.quantity = request.quantity() == 0 ? 1 : request.quantity();
  draw.seed_commitment = request.seed_commitment();
  draw.public_source = request.public_source();
  if (request.has_expected_number()) {
    if (request.expected_number() < 1) return InvalidField("expected_number", "must be at least 1");
    draw.expected_number = request.expected_number();
  }
  return draw;
}

absl::Status CheckChange(const v1::ChangeDrawRequest& request) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  if (request.draw_number() < 1) return InvalidField("draw_number", "must be the number of a draw, from 1");
  if (!WordsOfStep(request.step()).has_value()) {
    return InvalidField("step", "must be STEP_CLOSE, STEP_SEED, STEP_FINISH, STEP_CANCEL or STEP_REMOVE");
  }
  const size_t bytes = request.seed().size();
  if (request.step() != v1::ChangeDrawRequest::STEP_SEED) {
    return bytes == 0 ? absl::OkStatus() : InvalidField("seed", "must be absent, but for STEP_SEED");
  }
  if (bytes >= storage::kLeastSeedBytes && bytes <= storage::kMostSeedBytes) return absl::OkStatus();
  return InvalidField("seed",
                      absl::StrCat("must have ", storage::kLeastSeedBytes, " to ", storage::kMostSeedBytes, " bytes"));
}

// Without a number, a repeated call would begin another draw if the first one has ended meanwhile.
Repeatable IsRepeatableDraw(const v1::CreateDrawRequest& request) {
  return request.has_expected_number() ? Repeatable::kYes : Repeatable::kNo;
}

void WarnAboutUnits(const storage::SkuQuota& sku, const storage::NewDraw& draw, v1::CreateDrawResponse& response) {
  if (sku.sku.presplit) {
    response.add_warnings(
        "The SKU's units are split over all nodes, and a draw gives units of the pool only: keep them there "
        "(tranchectl sku update --no-presplit), and move back what the nodes have (tranchectl quota move --to pool).");
  }
  const int64_t in_pool = sku.quota.slices.empty() ? 0 : sku.quota.slices.front().remaining;
  const int64_t wanted = int64_t{draw.winners} * draw.quantity;
  if (in_pool < wanted) {
    response.add_warnings(absl::StrCat("The SKU's pool has ", in_pool, in_pool == 1 ? " unit" : " units",
                                       ", and the winners are to get ", wanted,
                                       ": those for whom there is none wait until units come."));
  }
}

void WarnAboutSale(const storage::Sku& sku, absl::Time now, v1::CreateDrawResponse& response) {
  if (sku.closed || now >= sku.closes_at) {
    response.add_warnings("The sale is over: nobody can enter, and nobody is given units, before it is open again.");
  } else if (now < sku.opens_at) {
    response.add_warnings(absl::StrCat("The sale is not open yet: nobody can enter before ",
                                       absl::FormatTime(absl::RFC3339_sec, sku.opens_at, absl::UTCTimeZone()), "."));
  }
  if (sku.paused) {
    response.add_warnings("The sale is paused: nobody can enter, and nobody is given units, before it is resumed.");
  }
}

void WarnAboutEntrants(const v1::FrontPolicy& policy, v1::CreateDrawResponse& response) {
  if (policy.has_purchase_token() || policy.limits_size() > 0) return;
  response.add_warnings(
      "The front door's policy of this SKU has neither a token nor a limit: programs may enter as fast as they can.");
}

// Page tokens: the draw, and the last item. Only the item may contain more separators.
std::string DrawPageToken(const storage::DrawKey& key, absl::string_view last) {
  return EncodePageToken(absl::StrCat(key.sku_id, "/", key.number, "/", last));
}

struct DrawPage {
  int64_t number = 0;      // of the draw
  std::string after = {};  // the last item of the page before; "" for the first one
};

// A token of another draw would silently skip some items.
absl::StatusOr<DrawPage> ReadDrawPage(const std::string& sku_id, int64_t number, const std::string& token) {
  RETURN_IF_ERROR(CheckSkuId(sku_id));
  if (number < 0) return InvalidField("draw_number", "must be the number of a draw, or 0 for the newest");
  ASSIGN_OR_RETURN(const std::string key, DecodePageToken(token));
  if (key.empty()) return DrawPage{number};
  const std::vector<std::string> parts = absl::StrSplit(key, '/');
  DrawPage page;
  const bool good = parts.size() == 3 && parts[0] == sku_id && absl::SimpleAtoi(parts[1], &page.number) &&
                    page.number > 0 && (number == 0 || number == page.number) && !parts[2].empty();
  if (!good) return InvalidField("page_token", "must be the next_page_token of the page before");
  page.after = parts[2];
  return page;
}

absl::StatusOr<int> CheckDrawPageSize(int32_t page_size, int most) {
  if (page_size < 0) return InvalidField("page_size", "must not be negative");
  return page_size == 0 ? most : std::min<int>(page_size, most);
}

}  // namespace

absl::StatusOr<v1::CreateDrawResponse> DrawAdminHandler::Create(const v1::CreateDrawRequest& request,
                                                                const storage::Actor& actor) {
  ASSIGN_OR_RETURN(const storage::NewDraw wanted, ReadNewDraw(request));
  ASSIGN_OR_RETURN(const storage::SkuQuota sku, FindSku(wanted.sku_id));
  if (wanted.quantity > sku.sku.per_user_limit) {
    return InvalidField("quantity",
                        absl::StrCat("must be at most ", sku.sku.per_user_limit, ", the SKU's limit per buyer"));
  }
  ASSIGN_OR_RETURN(const v1::FrontPolicy policy, FindPolicy(wanted.sku_id));
  const absl::StatusOr<storage::Draw> draw = draws_->CreateDraw(wanted, request.preview(), actor);
  if (!draw.ok()) {
    const storage::DrawKey key{wanted.sku_id, wanted.expected_number.value_or(0)};
    return DrawError(draw.status(), key, kOneDrawAtATime, IsRepeatableDraw(request));
  }
  LOG_IF(INFO, !request.preview()) << "draw " << draw->key.number << " of SKU " << wanted.sku_id << " is created by "
                                   << actor;
  v1::CreateDrawResponse response;
  *response.mutable_draw() = DrawToMessage(*draw);
  WarnAboutUnits(sku, wanted, response);
  WarnAboutSale(sku.sku, clock_->Now(), response);
  WarnAboutEntrants(policy, response);
  return response;
}

absl::StatusOr<v1::ChangeDrawResponse> DrawAdminHandler::Change(const v1::ChangeDrawRequest& request,
                                                                const storage::Actor& actor) {
  RETURN_IF_ERROR(CheckChange(request));
  const StepWords words = *WordsOfStep(request.step());
  const storage::DrawKey key{request.sku_id(), request.draw_number()};
  if (words.step == storage::DrawStep::kSeed) RETURN_IF_ERROR(CheckTakesSeed(key));
  const absl::StatusOr<storage::Draw> draw =
      draws_->ChangeDraw(key, words.step, request.seed(), request.preview(), actor);
  if (!draw.ok()) return DrawError(draw.status(), key, words.rule, Repeatable::kYes);
  LOG_IF(INFO, !request.preview()) << actor << " " << words.done << " draw " << key.number << " of SKU " << key.sku_id;
  v1::ChangeDrawResponse response;
  *response.mutable_draw() = DrawToMessage(*draw);
  return response;
}

absl::StatusOr<v1::ListDrawsResponse> DrawAdminHandler::List(const v1::ListDrawsRequest& request) {
  if (!request.sku_id().empty()) RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  const absl::StatusOr<std::vector<storage::Draw>> draws = draws_->ListDraws(request.sku_id());
  if (!draws.ok()) return LedgerError(draws.status(), request.sku_id(), Repeatable::kYes);
  v1::ListDrawsResponse response;
  for (const storage::Draw& draw : *draws) *response.add_draws() = DrawToMessage(draw);
  return response;
}

absl::StatusOr<v1::ListDrawEntriesResponse> DrawAdminHandler::ListEntries(const v1::ListDrawEntriesRequest& request) {
  ASSIGN_OR_RETURN(const DrawPage page, ReadDrawPage(request.sku_id(), request.draw_number(), request.page_token()));
  ASSIGN_OR_RETURN(const int limit, CheckDrawPageSize(request.page_size(), storage::kMaxDrawPage));
  std::optional<storage::Uuid> after;
  if (!page.after.empty()) {
    after = storage::Uuid::Parse(page.after);
    if (!after.has_value()) return InvalidField("page_token", "must be the next_page_token of the page before");
  }
  ASSIGN_OR_RETURN(const storage::Draw draw, FindDraw(request.sku_id(), page.number));
  // The ledger has entries from CLOSING on, but the list is what was sealed.
  if (draw.merkle_root.empty()) {
    return DrawStateForbids(draw.key.sku_id, {draw.key.number, DrawStateName(draw.state)}, kNotSealed);
  }
  const absl::StatusOr<std::vector<storage::Uuid>> ids = draws_->ListDrawEntries(draw.key, after, limit);
  if (!ids.ok()) return DrawError(ids.status(), draw.key, kNotSealed, Repeatable::kYes);
  v1::ListDrawEntriesResponse response;
  std::string& bytes = *response.mutable_entry_ids();
  bytes.reserve(ids->size() * sizeof(storage::Uuid));
  for (const storage::Uuid& id : *ids) bytes.append(id.bytes.begin(), id.bytes.end());
  // The last page may be empty: so that no call has to read more than the ledger gives at once.
  if (ids->size() == static_cast<size_t>(limit)) {
    response.set_next_page_token(DrawPageToken(draw.key, ids->back().ToString()));
  }
  return response;
}

absl::StatusOr<v1::ListDrawAwardsResponse> DrawAdminHandler::ListAwards(const v1::ListDrawAwardsRequest& request) {
  ASSIGN_OR_RETURN(const DrawPage page, ReadDrawPage(request.sku_id(), request.draw_number(), request.page_token()));
  ASSIGN_OR_RETURN(const int limit, CheckDrawPageSize(request.page_size(), kLargestPageSize));
  int64_t after = 0;
  if (!page.after.empty() && (!absl::SimpleAtoi(page.after, &after) || after < 1)) {
    return InvalidField("page_token", "must be the next_page_token of the page before");
  }
  storage::DrawKey key{request.sku_id(), page.number};
  if (key.number == 0) {
    ASSIGN_OR_RETURN(const storage::Draw newest, FindDraw(key.sku_id, key.number));
    key = newest.key;
  }
  const absl::StatusOr<std::vector<storage::DrawAward>> awards = draws_->ListDrawAwards(key, after, limit);
  if (!awards.ok()) return DrawError(awards.status(), key, "", Repeatable::kYes);
  v1::ListDrawAwardsResponse response;
  for (const storage::DrawAward& award : *awards) *response.add_awards() = AwardToMessage(award);
  if (awards->size() == static_cast<size_t>(limit)) {
    response.set_next_page_token(DrawPageToken(key, absl::StrCat(awards->back().place)));
  }
  return response;
}

absl::StatusOr<storage::SkuQuota> DrawAdminHandler::FindSku(const std::string& sku_id) {
  absl::StatusOr<std::vector<storage::SkuQuota>> found = quotas_->ReadQuotas({&sku_id, 1});
  if (!found.ok()) return LedgerError(found.status(), sku_id, Repeatable::kYes);
  if (found->empty()) return LedgerError(absl::NotFoundError("no such SKU"), sku_id, Repeatable::kYes);
  return std::move(found->front());
}

absl::StatusOr<v1::FrontPolicy> DrawAdminHandler::FindPolicy(const std::string& sku_id) {
  const absl::StatusOr<std::vector<storage::FrontPolicyRow>> found = front_->ListFrontPolicies(sku_id);
  if (!found.ok()) return LedgerError(found.status(), sku_id, Repeatable::kYes);
  for (const storage::FrontPolicyRow& row : *found) {
    if (row.sku_id != sku_id || row.document.empty()) continue;
    absl::StatusOr<v1::FrontPolicy> policy = FromDocument(row.document);
    if (!policy.ok()) {
      return DrawStateForbids(
          sku_id, {},
          "A newer version has stored the front door's policy of this SKU, and this one cannot read "
          "it: ask a node of that version.");
    }
    if (policy->has_draw()) return policy;
  }
  return DrawStateForbids(sku_id, {},
                          "The front door's policy of this SKU has no draw, so its units would be sold to whoever "
                          "claims them: set it first (tranchectl door set SKU --draw).");
}

absl::Status DrawAdminHandler::CheckTakesSeed(const storage::DrawKey& key) {
  ASSIGN_OR_RETURN(const storage::Draw draw, FindDraw(key.sku_id, key.number));
  if (draw.state != storage::DrawState::kOpen && draw.state != storage::DrawState::kClosing) return absl::OkStatus();
  return DrawStateForbids(key.sku_id, {key.number, DrawStateName(draw.state)}, kSeedRule);
}

absl::StatusOr<storage::Draw> DrawAdminHandler::FindDraw(const std::string& sku_id, int64_t number) {
  const storage::DrawKey key{sku_id, number};
  absl::StatusOr<storage::Draw> draw = draws_->GetDraw(key);
  if (!draw.ok()) return DrawError(draw.status(), key, "", Repeatable::kYes);
  return draw;
}

}  // namespace tranche::server
