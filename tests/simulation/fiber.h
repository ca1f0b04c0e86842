// A fiber: code with a stack of its own that can stop in the middle of a call and continue later, all on one thread.
//
// This is what lets the real node agent and balancer, which block in the calls of their ledger and coordination, run
// side by side without a thread: a call that "waits" suspends its fiber.
#pragma once

#include <boost/context/fiber.hpp>
#include <cstdint>
#include <functional>

namespace tranche::simulation {

class Fiber {
 public:
  explicit Fiber(std::function<void()> body);
  // The body has returned, or was never begun.
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Continues the body until it suspends or returns. Must not be called inside a fiber.
  void Resume();
  // Inside the body: goes back to the caller of Resume.
  void Suspend();

  bool finished() const { return finished_; }
  // The fiber that is running; null outside of all.
  static Fiber* Current();

 private:
  boost::context::fiber Run(boost::context::fiber&& resumer);

  std::function<void()> body_;
  bool finished_ = false;
  void* stack_bottom_ = nullptr;  // its lowest address
  boost::context::fiber self_;
  boost::context::fiber resumer_;
};

}  // namespace tranche::simulation
