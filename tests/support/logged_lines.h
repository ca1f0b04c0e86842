// What glog is told.
#pragma once

#include <glog/logging.h>

#include <string>
#include <vector>

namespace tranche::testing {

// Keeps the lines that are logged while it lives. Read when no other thread logs.
class LoggedLines : public google::LogSink {
 public:
  LoggedLines() { google::AddLogSink(this); }
  ~LoggedLines() override { google::RemoveLogSink(this); }
  void send(google::LogSeverity, const char*, const char*, int, const google::LogMessageTime&, const char* text,
            size_t size) override {
    lines_.emplace_back(text, size);
  }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::vector<std::string> lines_;
};

}  // namespace tranche::testing
