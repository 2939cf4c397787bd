/* compiler.h: the only place that knows which compiler this is.
 *
 * GNU attributes are spelled here once, so that the rest of the tree reads as C17. */
#ifndef TIMS_COMPILER_H
#define TIMS_COMPILER_H

#define TIMS_MUST_USE __attribute__((warn_unused_result))
#if defined(__clang__)
#define TIMS_MUST_USE_TYPE __attribute__((warn_unused_result)) /* on a type: clang only */
#else
#define TIMS_MUST_USE_TYPE
#endif
#define TIMS_NORETURN __attribute__((noreturn))
#define TIMS_PRINTF(format_index, first_argument) \
    __attribute__((format(printf, format_index, first_argument)))
#define TIMS_UNUSED __attribute__((unused))
#define TIMS_COLD __attribute__((cold))
#define TIMS_LIKELY(x) __builtin_expect(!!(x), 1)
#define TIMS_UNLIKELY(x) __builtin_expect(!!(x), 0)

#if defined(__SANITIZE_ADDRESS__)
#define TIMS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TIMS_ASAN 1
#endif
#endif
#ifndef TIMS_ASAN
#define TIMS_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define TIMS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TIMS_TSAN 1
#endif
#endif
#ifndef TIMS_TSAN
#define TIMS_TSAN 0
#endif

#endif
