// Tells ThreadSanitizer the order that absl's locks create. The distribution's libabsl is built without
// instrumentation, and its locks are not pthread's, so ThreadSanitizer would report every access that they protect as a
// race. The linker (--wrap) redirects our calls of them to this file. Linked only into tests of a
// TRANCHE_SANITIZE=thread build.
//
// The names are mangled for Debian 12's absl, whose inline namespace is debian3. With another absl the wraps would find
// nothing to wrap, and the false reports would be back.
#include <sanitizer/tsan_interface.h>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

#define TRANCHE_REAL(name) __asm__("__real_" name)
#define TRANCHE_WRAP(name) __asm__("__wrap_" name)

namespace {

// A condition of ours, evaluated by absl inside a wait: by the waiter, or by whoever unlocks, who holds the lock
// anyway.
struct WatchedCondition {
  absl::Mutex* mutex;
  const absl::Condition* condition;
};

bool Evaluate(WatchedCondition* watched) {
  __tsan_acquire(watched->mutex);
  const bool result = watched->condition->Eval();
  __tsan_release(watched->mutex);
  return result;
}

}  // namespace

// Taking a lock: everything before its last release is now visible to us.
#define TRANCHE_WRAP_ACQUIRE(id, Class, name)                 \
  extern "C" void Real##id(Class* object) TRANCHE_REAL(name); \
  extern "C" void Wrap##id(Class* object) TRANCHE_WRAP(name); \
  extern "C" void Wrap##id(Class* object) {                   \
    Real##id(object);                                         \
    __tsan_acquire(object);                                   \
  }

#define TRANCHE_WRAP_RELEASE(id, Class, name)                 \
  extern "C" void Real##id(Class* object) TRANCHE_REAL(name); \
  extern "C" void Wrap##id(Class* object) TRANCHE_WRAP(name); \
  extern "C" void Wrap##id(Class* object) {                   \
    __tsan_release(object);                                   \
    Real##id(object);                                         \
  }

TRANCHE_WRAP_ACQUIRE(Lock, absl::Mutex, "_ZN4absl7debian35Mutex4LockEv")
TRANCHE_WRAP_RELEASE(Unlock, absl::Mutex, "_ZN4absl7debian35Mutex6UnlockEv")
TRANCHE_WRAP_ACQUIRE(ReaderLock, absl::Mutex, "_ZN4absl7debian35Mutex10ReaderLockEv")
TRANCHE_WRAP_RELEASE(ReaderUnlock, absl::Mutex, "_ZN4absl7debian35Mutex12ReaderUnlockEv")
TRANCHE_WRAP_RELEASE(Notify, absl::Notification, "_ZN4absl7debian312Notification6NotifyEv")
TRANCHE_WRAP_ACQUIRE(WaitNotified, absl::Notification, "_ZNK4absl7debian312Notification19WaitForNotificationEv")
TRANCHE_WRAP_ACQUIRE(WaitCounter, absl::BlockingCounter, "_ZN4absl7debian315BlockingCounter4WaitEv")

// Those that answer whether they succeeded.
#define TRANCHE_WRAP_TRY(id, name, parameters, arguments) \
  extern "C" bool Real##id parameters TRANCHE_REAL(name); \
  extern "C" bool Wrap##id parameters TRANCHE_WRAP(name); \
  extern "C" bool Wrap##id parameters {                   \
    const bool success = Real##id arguments;              \
    if (success) __tsan_acquire(object);                  \
    return success;                                       \
  }

TRANCHE_WRAP_TRY(TryLock, "_ZN4absl7debian35Mutex7TryLockEv", (absl::Mutex * object), (object))
TRANCHE_WRAP_TRY(WaitNotifiedFor, "_ZNK4absl7debian312Notification30WaitForNotificationWithTimeoutENS0_8DurationE",
                 (absl::Notification * object, absl::Duration timeout), (object, timeout))
TRANCHE_WRAP_TRY(WaitNotifiedUntil, "_ZNK4absl7debian312Notification31WaitForNotificationWithDeadlineENS0_4TimeE",
                 (absl::Notification * object, absl::Time deadline), (object, deadline))

extern "C" bool RealDecrement(absl::BlockingCounter* object)
    TRANCHE_REAL("_ZN4absl7debian315BlockingCounter14DecrementCountEv");
extern "C" bool WrapDecrement(absl::BlockingCounter* object)
    TRANCHE_WRAP("_ZN4absl7debian315BlockingCounter14DecrementCountEv");
extern "C" bool WrapDecrement(absl::BlockingCounter* object) {
  __tsan_release(object);
  return RealDecrement(object);
}

// Waiting for a condition with the lock held: gives it up and takes it again, and evaluates the condition under it.
extern "C" void RealAwait(absl::Mutex* mutex, const absl::Condition& condition)
    TRANCHE_REAL("_ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE");
extern "C" void WrapAwait(absl::Mutex* mutex, const absl::Condition& condition)
    TRANCHE_WRAP("_ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE");
extern "C" void WrapAwait(absl::Mutex* mutex, const absl::Condition& condition) {
  WatchedCondition watched{mutex, &condition};
  const absl::Condition evaluate(&Evaluate, &watched);
  __tsan_release(mutex);
  RealAwait(mutex, evaluate);
  __tsan_acquire(mutex);
}

#define TRANCHE_WRAP_TIMED_AWAIT(id, Limit, name)                                                                 \
  extern "C" bool Real##id(absl::Mutex* mutex, const absl::Condition& condition, Limit limit) TRANCHE_REAL(name); \
  extern "C" bool Wrap##id(absl::Mutex* mutex, const absl::Condition& condition, Limit limit) TRANCHE_WRAP(name); \
  extern "C" bool Wrap##id(absl::Mutex* mutex, const absl::Condition& condition, Limit limit) {                   \
    WatchedCondition watched{mutex, &condition};                                                                  \
    const absl::Condition evaluate(&Evaluate, &watched);                                                          \
    __tsan_release(mutex);                                                                                        \
    const bool result = Real##id(mutex, evaluate, limit);                                                         \
    __tsan_acquire(mutex);                                                                                        \
    return result;                                                                                                \
  }

TRANCHE_WRAP_TIMED_AWAIT(AwaitFor, absl::Duration,
                         "_ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE")
TRANCHE_WRAP_TIMED_AWAIT(AwaitUntil, absl::Time,
                         "_ZN4absl7debian35Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE")

// Taking a lock when a condition holds. The lock is taken first and given up again: whoever evaluates the condition
// then comes after the caller who has made it. Abseil's own order of the two is not seen here.
extern "C" void WrapLockWhen(absl::Mutex* mutex, const absl::Condition& condition)
    TRANCHE_WRAP("_ZN4absl7debian35Mutex8LockWhenERKNS0_9ConditionE");
extern "C" void WrapLockWhen(absl::Mutex* mutex, const absl::Condition& condition) {
  mutex->Lock();
  mutex->Await(condition);
}

#define TRANCHE_WRAP_TIMED_LOCK_WHEN(id, Limit, await, name)                                                      \
  extern "C" bool Wrap##id(absl::Mutex* mutex, const absl::Condition& condition, Limit limit) TRANCHE_WRAP(name); \
  extern "C" bool Wrap##id(absl::Mutex* mutex, const absl::Condition& condition, Limit limit) {                   \
    mutex->Lock();                                                                                                \
    return mutex->await(condition, limit);                                                                        \
  }

TRANCHE_WRAP_TIMED_LOCK_WHEN(LockWhenFor, absl::Duration, AwaitWithTimeout,
                             "_ZN4absl7debian35Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE")
TRANCHE_WRAP_TIMED_LOCK_WHEN(LockWhenUntil, absl::Time, AwaitWithDeadline,
                             "_ZN4absl7debian35Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE")

// Condition variables: the lock is given up and taken again.
extern "C" void RealWait(absl::CondVar* variable, absl::Mutex* mutex)
    TRANCHE_REAL("_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE");
extern "C" void WrapWait(absl::CondVar* variable, absl::Mutex* mutex)
    TRANCHE_WRAP("_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE");
extern "C" void WrapWait(absl::CondVar* variable, absl::Mutex* mutex) {
  __tsan_release(mutex);
  RealWait(variable, mutex);
  __tsan_acquire(mutex);
}

#define TRANCHE_WRAP_TIMED_WAIT(id, Limit, name)                                                         \
  extern "C" bool Real##id(absl::CondVar* variable, absl::Mutex* mutex, Limit limit) TRANCHE_REAL(name); \
  extern "C" bool Wrap##id(absl::CondVar* variable, absl::Mutex* mutex, Limit limit) TRANCHE_WRAP(name); \
  extern "C" bool Wrap##id(absl::CondVar* variable, absl::Mutex* mutex, Limit limit) {                   \
    __tsan_release(mutex);                                                                               \
    const bool result = Real##id(variable, mutex, limit);                                                \
    __tsan_acquire(mutex);                                                                               \
    return result;                                                                                       \
  }

TRANCHE_WRAP_TIMED_WAIT(WaitFor, absl::Duration, "_ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE")
TRANCHE_WRAP_TIMED_WAIT(WaitUntil, absl::Time, "_ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE")
