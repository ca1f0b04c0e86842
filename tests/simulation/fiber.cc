#include "tests/simulation/fiber.h"

#include <glog/logging.h>
#include <sys/mman.h>

#include <boost/context/preallocated.hpp>
#include <memory>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define TRANCHE_FIBERS_UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TRANCHE_FIBERS_UNDER_ASAN 1
#endif
#endif

#ifdef TRANCHE_FIBERS_UNDER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace tranche::simulation {
namespace {

#ifdef TRANCHE_FIBERS_UNDER_ASAN
constexpr size_t kStackBytes = 1024 * 1024;
#else
constexpr size_t kStackBytes = 256 * 1024;
#endif

Fiber* current = nullptr;

// AddressSanitizer must know on which stack the code runs.
void BeforeSwitch(void** fake_stack, const void* bottom, size_t size) {
#ifdef TRANCHE_FIBERS_UNDER_ASAN
  __sanitizer_start_switch_fiber(fake_stack, bottom, size);
#endif
}
void AfterSwitch(void* fake_stack, const void** old_bottom, size_t* old_size) {
#ifdef TRANCHE_FIBERS_UNDER_ASAN
  __sanitizer_finish_switch_fiber(fake_stack, old_bottom, old_size);
#endif
}

// The stack of the code that resumes: that of the only thread.
const void* thread_stack_bottom = nullptr;
size_t thread_stack_size = 0;

// Stacks are reused: a simulation makes thousands of fibers, and mapping a stack costs more than most of them do.
class StackPool {
 public:
  void* Take() {
    if (free_.empty()) {
      void* const stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      PCHECK(stack != MAP_FAILED);
      // An overflow must not run into another fiber's stack.
      PCHECK(mprotect(stack, 4096, PROT_NONE) == 0);
      return stack;
    }
    void* const stack = free_.back();
    free_.pop_back();
    return stack;
  }
  void Return(void* stack) {
#ifdef TRANCHE_FIBERS_UNDER_ASAN
    __asan_unpoison_memory_region(stack, kStackBytes);
#endif
    free_.push_back(stack);
  }
  ~StackPool() {
    for (void* const stack : free_) munmap(stack, kStackBytes);
  }

 private:
  std::vector<void*> free_;
};

StackPool& Stacks() {
  static StackPool pool;
  return pool;
}

// What boost asks for; the fiber owns the stack.
struct NoAllocator {
  boost::context::stack_context allocate() { LOG(FATAL) << "the stack is there already"; }
  void deallocate(boost::context::stack_context&) {}
};

}  // namespace

Fiber::Fiber(std::function<void()> body) : body_(std::move(body)) {}

Fiber::~Fiber() { CHECK(finished_ || stack_bottom_ == nullptr) << "a fiber was destroyed in the middle of its body"; }

Fiber* Fiber::Current() { return current; }

boost::context::fiber Fiber::Run(boost::context::fiber&& resumer) {
  AfterSwitch(nullptr, &thread_stack_bottom, &thread_stack_size);
  resumer_ = std::move(resumer);
  body_();
  body_ = nullptr;
  finished_ = true;
  BeforeSwitch(nullptr, thread_stack_bottom, thread_stack_size);
  return std::move(resumer_);
}

void Fiber::Resume() {
  CHECK(current == nullptr && !finished_);
  if (stack_bottom_ == nullptr) {
    stack_bottom_ = Stacks().Take();
    boost::context::stack_context stack;
    stack.size = kStackBytes;
    stack.sp = static_cast<char*>(stack_bottom_) + kStackBytes;
    self_ = boost::context::fiber(std::allocator_arg, boost::context::preallocated(stack.sp, stack.size, stack),
                                  NoAllocator{},
                                  [this](boost::context::fiber&& resumer) { return Run(std::move(resumer)); });
  }
  current = this;
  void* fake_stack = nullptr;
  BeforeSwitch(&fake_stack, stack_bottom_, kStackBytes);
  self_ = std::move(self_).resume();
  AfterSwitch(fake_stack, nullptr, nullptr);
  current = nullptr;
  if (finished_) Stacks().Return(std::exchange(stack_bottom_, nullptr));
}

void Fiber::Suspend() {
  CHECK(current == this);
  void* fake_stack = nullptr;
  BeforeSwitch(&fake_stack, thread_stack_bottom, thread_stack_size);
  resumer_ = std::move(resumer_).resume();
  AfterSwitch(fake_stack, &thread_stack_bottom, &thread_stack_size);
}

}  // namespace tranche::simulation
