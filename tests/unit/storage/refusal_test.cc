#include "storage/ledger/refusal.h"

#include <gtest/gtest.h>

namespace tranche::storage {
namespace {

TEST(RefusalTest, OfAProcedureIsFoundByItsWord) {
  for (const RefusalWord& known : kRefusalWords) {
    if (known.procedure.empty()) continue;
    EXPECT_EQ(RefusalOfProcedure(known.procedure), known.refusal);
  }
}

// Migrated while servers of this version run: what they cannot know must not end them.
TEST(RefusalTest, OfANewerSchemaIsAnInternalError) {
  EXPECT_EQ(RefusalOfProcedure("QUEUE_FULL"), Refusal::kInternal);
  EXPECT_EQ(RefusalOfProcedure(""), Refusal::kInternal);
}

}  // namespace
}  // namespace tranche::storage
