#include "client/reconcile/line_fields.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "client/reconcile/currency.h"

namespace tranche::reconcile {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The number that `text` begins with, of exactly `digits` digits; removes it. -1 if there is none.
int TakeNumber(absl::string_view* text, size_t digits) {
  if (text->size() < digits) return -1;
  int number = 0;
  for (size_t i = 0; i < digits; ++i) {
    const char c = (*text)[i];
    if (!IsDigit(c)) return -1;
    number = number * 10 + (c - '0');
  }
  text->remove_prefix(digits);
  return number;
}

bool TakeChar(absl::string_view* text, char a, char b) {
  if (text->empty() || (text->front() != a && text->front() != b)) return false;
  text->remove_prefix(1);
  return true;
}

bool IsLeap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

int DaysInMonth(int year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && IsLeap(year) ? 29 : kDays[month - 1];
}

// Since 1970-01-01, in the proleptic Gregorian calendar.
int64_t DaysSinceEpoch(int year, int month, int day) {
  const int y = month <= 2 ? year - 1 : year;  // years begin in March: the leap day is their last
  const int era = (y >= 0 ? y : y - 399) / 400;
  const int year_of_era = y - era * 400;
  const int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return static_cast<int64_t>(era) * 146097 + day_of_era - 719468;
}

// Behind the seconds: ".123456". False when malformed.
bool TakeFraction(absl::string_view* text, int64_t* micros) {
  *micros = 0;
  if (!TakeChar(text, '.', '.')) return true;
  int64_t unit = 100000;
  size_t digits = 0;
  for (; digits < text->size() && IsDigit((*text)[digits]); ++digits) {
    *micros += ((*text)[digits] - '0') * unit;
    unit /= 10;
  }
  text->remove_prefix(digits);
  return digits > 0;
}

// "Z" or "+01:00". False when malformed.
bool TakeOffset(absl::string_view* text, int64_t* seconds) {
  *seconds = 0;
  if (TakeChar(text, 'Z', 'z')) return true;
  if (text->empty() || (text->front() != '+' && text->front() != '-')) return false;
  const int sign = text->front() == '-' ? -1 : 1;
  text->remove_prefix(1);
  const int hours = TakeNumber(text, 2);
  if (!TakeChar(text, ':', ':')) return false;
  const int minutes = TakeNumber(text, 2);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return false;
  *seconds = sign * (hours * 3600 + minutes * 60);
  return true;
}

// The size of the character at the front; 0 if it is malformed or a control character.
size_t CharacterBytes(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return lead < 0x20 || lead == 0x7F ? 0 : 1;
  const size_t length = lead >= 0xC2 && lead <= 0xDF ? 2 : lead >= 0xE0 && lead <= 0xEF ? 3 : 4;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // C1 control characters; overlong forms; surrogates; beyond U+10FFFF.
  if ((lead == 0xC2 && byte(1) < 0xA0) || (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F) ||
      (lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F)) {
    return 0;
  }
  return length;
}

std::optional<LineKind> ParseKind(absl::string_view text) {
  if (absl::EqualsIgnoreCase(text, "charge")) return LineKind::kCharge;
  if (absl::EqualsIgnoreCase(text, "refund") || absl::EqualsIgnoreCase(text, "chargeback")) return LineKind::kRefund;
  return std::nullopt;
}

}  // namespace

absl::string_view NameOf(Malformed reason) {
  switch (reason) {
    case Malformed::kTooLong:
      return "MALFORMED_TOO_LONG";
    case Malformed::kQuotes:
      return "MALFORMED_QUOTES";
    case Malformed::kColumns:
      return "MALFORMED_COLUMNS";
    case Malformed::kJson:
      return "MALFORMED_JSON";
    case Malformed::kMissingField:
      return "MALFORMED_MISSING_FIELD";
    case Malformed::kText:
      return "MALFORMED_REFERENCE";
    case Malformed::kReservationId:
      return "MALFORMED_RESERVATION_ID";
    case Malformed::kAmount:
      return "MALFORMED_AMOUNT";
    case Malformed::kCurrency:
      return "MALFORMED_CURRENCY";
    case Malformed::kTime:
      return "MALFORMED_TIME";
    case Malformed::kKind:
      return "MALFORMED_KIND";
    case Malformed::kNone:
    case Malformed::kCount:
      break;
  }
  return "";
}

bool IsReference(absl::string_view text) {
  if (text.empty() || text.size() > kMaxReferenceBytes) return false;
  while (!text.empty()) {
    const size_t length = CharacterBytes(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::optional<int64_t> ParseDecimal(absl::string_view text, int decimals) {
  const bool negative = !text.empty() && text.front() == '-';
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) text.remove_prefix(1);
  int64_t value = 0;
  size_t whole_digits = 0;
  int fraction_digits = -1;  // -1: no point yet
  for (const char c : text) {
    if (c == '.' && fraction_digits < 0) {
      fraction_digits = 0;
      continue;
    }
    if (!IsDigit(c)) return std::nullopt;
    if (fraction_digits < 0) {
      ++whole_digits;
    } else if (++fraction_digits > decimals) {
      if (c != '0') return std::nullopt;
      continue;
    }
    value = value * 10 + (c - '0');
    if (value > kMaxAmountMinor) return std::nullopt;
  }
  if (whole_digits == 0 || fraction_digits == 0) return std::nullopt;
  for (int i = fraction_digits < 0 ? 0 : fraction_digits; i < decimals; ++i) value *= 10;
  if (value > kMaxAmountMinor) return std::nullopt;
  return negative ? -value : value;
}

std::optional<int64_t> ParseTimeMicros(absl::string_view text) {
  const int year = TakeNumber(&text, 4);
  if (year < 1 || !TakeChar(&text, '-', '-')) return std::nullopt;
  const int month = TakeNumber(&text, 2);
  if (month < 1 || month > 12 || !TakeChar(&text, '-', '-')) return std::nullopt;
  const int day = TakeNumber(&text, 2);
  if (day < 1 || day > DaysInMonth(year, month) || text.empty()) return std::nullopt;
  if (!TakeChar(&text, 'T', ' ') && !TakeChar(&text, 't', 't')) return std::nullopt;
  const int hour = TakeNumber(&text, 2);
  if (hour < 0 || hour > 23 || !TakeChar(&text, ':', ':')) return std::nullopt;
  const int minute = TakeNumber(&text, 2);
  if (minute < 0 || minute > 59 || !TakeChar(&text, ':', ':')) return std::nullopt;
  const int second = TakeNumber(&text, 2);
  if (second < 0 || second > 60) return std::nullopt;  // 60: a leap second, the next minute's first
  int64_t micros = 0;
  int64_t offset = 0;
  if (!TakeFraction(&text, &micros) || !TakeOffset(&text, &offset) || !text.empty()) return std::nullopt;
  const int64_t seconds = DaysSinceEpoch(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
  return seconds * 1000000 + micros;
}

Malformed ReadLine(const LineFields& fields, StatementLine* line) {
  const absl::string_view reference = absl::StripAsciiWhitespace(fields.reference);
  const absl::string_view amount_minor = absl::StripAsciiWhitespace(fields.amount_minor);
  const absl::string_view amount = absl::StripAsciiWhitespace(fields.amount);
  const absl::string_view id_text = absl::StripAsciiWhitespace(fields.reservation_id);
  const absl::string_view currency_text = absl::StripAsciiWhitespace(fields.currency);
  const absl::string_view time_text = absl::StripAsciiWhitespace(fields.time);
  const absl::string_view kind_text = absl::StripAsciiWhitespace(fields.kind);
  if (reference.empty() || id_text.empty() || (amount.empty() && amount_minor.empty()) || currency_text.empty() ||
      time_text.empty() || kind_text.empty()) {
    return Malformed::kMissingField;
  }
  const std::optional<ReservationId> id = ParseReservationId(id_text);
  // The nodes would refuse the nil UUID, and with it every id that is asked for together with it.
  if (!id.has_value() || *id == ReservationId{}) return Malformed::kReservationId;
  const std::optional<Currency> currency = Currency::Parse(currency_text);
  if (!currency.has_value()) return Malformed::kCurrency;
  const std::optional<LineKind> kind = ParseKind(kind_text);
  if (!kind.has_value()) return Malformed::kKind;
  std::optional<int64_t> minor =
      amount_minor.empty() ? ParseDecimal(amount, DecimalsOf(currency->text())) : ParseDecimal(amount_minor, 0);
  // Many providers write refunds as negative amounts.
  if (minor.has_value() && *minor < 0) minor = kind == LineKind::kRefund ? std::optional(-*minor) : std::nullopt;
  if (!minor.has_value() || (!amount_minor.empty() && absl::StrContains(amount_minor, "."))) return Malformed::kAmount;
  const std::optional<int64_t> time_us = ParseTimeMicros(time_text);
  if (!time_us.has_value()) return Malformed::kTime;
  if (!IsReference(reference)) return Malformed::kText;
  line->reservation_id = *id;
  line->reference.assign(reference.data(), reference.size());
  line->amount_minor = *minor;
  line->currency = *currency;
  line->time_us = *time_us;
  line->kind = *kind;
  return Malformed::kNone;
}

}  // namespace tranche::reconcile
