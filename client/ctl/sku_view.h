// Shows SKUs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "client/ctl/session.h"

namespace tranche::ctl {

// "queue"; also of one that is newer than this program.
std::string ClaimPathWord(tranche::v1::ClaimPath path);
// The help of --path, which takes these words.
inline constexpr char kPathHelp[] =
    "How claims are decided. direct: each while its buyer waits; queue: each soon, for callers with accept_queued "
    "only; "
    "auto: as queue while the ledger is slow or away";
// CLAIM_PATH_UNSPECIFIED if it is none of direct, queue and auto.
tranche::v1::ClaimPath ClaimPathNamed(const std::string& word);

void PrintSkus(Session& session, const std::vector<tranche::v1::Sku>& skus);
void PrintSku(Session& session, const tranche::v1::Sku& sku);

struct SkuChangeNotes {
  bool preview = false;
  // The flags to put after --yes.
  std::string more_flags = {};
  // More members of the JSON object.
  nlohmann::ordered_json more = nlohmann::ordered_json::object();
};
// What a change would do or has done: `before` and `after`, and for a preview, how to apply it (on stderr).
void PrintSkuChange(Session& session, const tranche::v1::Sku& before, const tranche::v1::Sku& after,
                    const SkuChangeNotes& notes);
// The same for a change of the terms: what is different, field by field.
void PrintSkuTermsChange(Session& session, const tranche::v1::Sku& before, const tranche::v1::Sku& after,
                         const SkuChangeNotes& notes);

}  // namespace tranche::ctl
