// Pass errors on, in functions that return an absl::Status or an absl::StatusOr.
//
// Each names an expression once, so that no check is forgotten and a function reads as its successful path.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns the status of the expression if it is an error.
#define RETURN_IF_ERROR(...)                                                 \
  do {                                                                       \
    if (absl::Status returned_error = (__VA_ARGS__); !returned_error.ok()) { \
      return returned_error;                                                 \
    }                                                                        \
  } while (false)

// Declares (or assigns) the value of an absl::StatusOr, or returns its error: ASSIGN_OR_RETURN(const Sku sku,
// Read(id)). The declaration holds no comma outside parentheses.
#define ASSIGN_OR_RETURN(declaration, ...) \
  TRANCHE_ASSIGN_OR_RETURN(TRANCHE_CONCAT(status_or_of_line_, __LINE__), declaration, __VA_ARGS__)

#define TRANCHE_ASSIGN_OR_RETURN(status_or, declaration, ...) \
  auto status_or = (__VA_ARGS__);                             \
  if (!status_or.ok()) return std::move(status_or).status();  \
  declaration = *std::move(status_or)
#define TRANCHE_CONCAT(left, right) TRANCHE_CONCAT_TOKENS(left, right)
#define TRANCHE_CONCAT_TOKENS(left, right) left##right
