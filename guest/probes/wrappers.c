// SPDX-License-Identifier: Apache-2.0
/*
 * wrappers: the same calls by every kind of wrapper that textbooks show: the macros _syscall0 to
 * _syscall6 of old kernel headers; nolibc's my_syscall0 to 6, its sys_NAME and its NAME.
 *
 * Asks:   does each give what the bare call gives? who sets errno, and to what?
 * Known:  nothing.
 * Source: include/asm-i386/unistd.h and asm-x86_64/unistd.h (2.6.18);
 *         tools/include/nolibc/arch-i386.h, arch-x86_64.h, sys.h (6.1)
 */
#include "numbers.h"
#include "report.h"

#define PAGE_AT 0x24000000ul
#define EMPTY 77 /* what errno holds before each call */

_Noreturn void c_main(const uptr *stack);

static int errno;

/* As the old headers had it: only these are errors. */
#define MAX_ERRNO_THEN 125

static long syscall_return(long result)
{
	if ((unsigned long)result >= (unsigned long)-MAX_ERRNO_THEN) {
		errno = (int)-result;
		result = -1;
	}
	return result;
}

#ifdef __x86_64__
#define OLD_CALL(text, ...)                                                    \
	({                                                                     \
		long result_;                                                  \
		__asm__ volatile(text "syscall"                                \
				 : "=a"(result_)                               \
				 : __VA_ARGS__                                 \
				 : "r11", "rcx", "r8", "r10", "r9", "memory"); \
		syscall_return(result_);                                       \
	})
#define NAME_1(a) "D"(a)
#define NAME_2(a, b) NAME_1(a), "S"(b)
#define NAME_3(a, b, c) NAME_2(a, b), "d"(c)
#define LOAD_4 "movq %5, %%r10;"
#define LOAD_5 LOAD_4 "movq %6, %%r8;"
#define LOAD_6 LOAD_5 "movq %7, %%r9;"
#define old0(nr) OLD_CALL("", "0"((long)(nr)))
#define old1(nr, a) OLD_CALL("", "0"((long)(nr)), NAME_1(a))
#define old2(nr, a, b) OLD_CALL("", "0"((long)(nr)), NAME_2(a, b))
#define old3(nr, a, b, c) OLD_CALL("", "0"((long)(nr)), NAME_3(a, b, c))
#define old4(nr, a, b, c, d) OLD_CALL(LOAD_4, "0"((long)(nr)), NAME_3(a, b, c), "g"(d))
#define old5(nr, a, b, c, d, e) OLD_CALL(LOAD_5, "0"((long)(nr)), NAME_3(a, b, c), "g"(d), "g"(e))
#define old6(nr, a, b, c, d, e, f) \
	OLD_CALL(LOAD_6, "0"((long)(nr)), NAME_3(a, b, c), "g"(d), "g"(e), "g"(f))

#define MY_CALL(...)                                              \
	({                                                        \
		long result_;                                     \
		__asm__ volatile("syscall"                        \
				 : "=a"(result_)                  \
				 : __VA_ARGS__                    \
				 : "rcx", "r11", "memory", "cc"); \
		result_;                                          \
	})
#define IN_R10(v) register long r10_ __asm__("r10") = (long)(v)
#define IN_R8(v) register long r8_ __asm__("r8") = (long)(v)
#define IN_R9(v) register long r9_ __asm__("r9") = (long)(v)
#define my_syscall0(nr) MY_CALL("0"((long)(nr)))
#define my_syscall1(nr, a) MY_CALL("0"((long)(nr)), NAME_1(a))
#define my_syscall2(nr, a, b) MY_CALL("0"((long)(nr)), NAME_2(a, b))
#define my_syscall3(nr, a, b, c) MY_CALL("0"((long)(nr)), NAME_3(a, b, c))
#define my_syscall4(nr, a, b, c, d)                                   \
	({                                                            \
		IN_R10(d);                                            \
		MY_CALL("0"((long)(nr)), NAME_3(a, b, c), "r"(r10_)); \
	})
#define my_syscall5(nr, a, b, c, d, e)                                          \
	({                                                                      \
		IN_R10(d);                                                      \
		IN_R8(e);                                                       \
		MY_CALL("0"((long)(nr)), NAME_3(a, b, c), "r"(r10_), "r"(r8_)); \
	})
#define my_syscall6(nr, a, b, c, d, e, f)                                                 \
	({                                                                                \
		IN_R10(d);                                                                \
		IN_R8(e);                                                                 \
		IN_R9(f);                                                                 \
		MY_CALL("0"((long)(nr)), NAME_3(a, b, c), "r"(r10_), "r"(r8_), "r"(r9_)); \
	})
#define NR_getppid 110
#define NR_mremap 25
#else
#define OLD_CALL(...)                                                                   \
	({                                                                              \
		long result_;                                                           \
		__asm__ volatile("int $0x80" : "=a"(result_) : __VA_ARGS__ : "memory"); \
		syscall_return(result_);                                                \
	})
#define NAME_1(a) "b"(a)
#define NAME_2(a, b) NAME_1(a), "c"(b)
#define NAME_3(a, b, c) NAME_2(a, b), "d"(c)
#define NAME_4(a, b, c, d) NAME_3(a, b, c), "S"(d)
#define NAME_5(a, b, c, d, e) NAME_4(a, b, c, d), "D"(e)
#define old0(nr) OLD_CALL("0"((long)(nr)))
#define old1(nr, a) OLD_CALL("0"((long)(nr)), NAME_1(a))
#define old2(nr, a, b) OLD_CALL("0"((long)(nr)), NAME_2(a, b))
#define old3(nr, a, b, c) OLD_CALL("0"((long)(nr)), NAME_3(a, b, c))
#define old4(nr, a, b, c, d) OLD_CALL("0"((long)(nr)), NAME_4(a, b, c, d))
#define old5(nr, a, b, c, d, e) OLD_CALL("0"((long)(nr)), NAME_5(a, b, c, d, e))
#define SIXTH_IN_EBP(result, nr, a, b, c, d, e, f)                                 \
	const long both_[] = { (long)(nr), (long)(f) };                            \
	__asm__ volatile("pushl %%ebp; movl 4(%%eax), %%ebp; movl (%%eax), %%eax;" \
			 "int $0x80; popl %%ebp"                                   \
			 : "=a"(result)                                            \
			 : "0"(both_), NAME_5(a, b, c, d, e)                       \
			 : "memory")
#define old6(nr, a, b, c, d, e, f)                           \
	({                                                   \
		long result_;                                \
		SIXTH_IN_EBP(result_, nr, a, b, c, d, e, f); \
		syscall_return(result_);                     \
	})

#define MY_CALL(...)                                                                          \
	({                                                                                    \
		long result_;                                                                 \
		__asm__ volatile("int $0x80" : "=a"(result_) : __VA_ARGS__ : "memory", "cc"); \
		result_;                                                                      \
	})
#define my_syscall0(nr) MY_CALL("0"((long)(nr)))
#define my_syscall1(nr, a) MY_CALL("0"((long)(nr)), NAME_1(a))
#define my_syscall2(nr, a, b) MY_CALL("0"((long)(nr)), NAME_2(a, b))
#define my_syscall3(nr, a, b, c) MY_CALL("0"((long)(nr)), NAME_3(a, b, c))
#define my_syscall4(nr, a, b, c, d) MY_CALL("0"((long)(nr)), NAME_4(a, b, c, d))
#define my_syscall5(nr, a, b, c, d, e) MY_CALL("0"((long)(nr)), NAME_5(a, b, c, d, e))
#define my_syscall6(nr, a, b, c, d, e, f)                    \
	({                                                   \
		long result_;                                \
		SIXTH_IN_EBP(result_, nr, a, b, c, d, e, f); \
		result_;                                     \
	})
#define NR_getppid 64
#define NR_mremap 163
#endif

static long set_errno(long result)
{
	if (result < 0) {
		errno = (int)-result;
		result = -1;
	}
	return result;
}

/* The middle level of nolibc: a name, and still -errno. */
static long sys_getppid(void)
{
	return my_syscall0(NR_getppid);
}

static long sys_close(long fd)
{
	return my_syscall1(NR_close, fd);
}

static long sys_kill(long pid, long signal)
{
	return my_syscall2(NR_kill, pid, signal);
}

static long sys_lseek(long fd, long offset, long whence)
{
	return my_syscall3(NR_lseek, fd, offset, whence);
}

static long sys_wait4(long pid, void *status, long options, void *usage)
{
	return my_syscall4(NR_wait4, pid, status, options, usage);
}

static long sys_mremap(long at, long old, long now, long flags, long to)
{
	return my_syscall5(NR_mremap, at, old, now, flags, to);
}

static long sys_mmap(long at, long bytes, long protection, long flags, long fd, long offset)
{
	return my_syscall6(NR_mmap, at, bytes, protection, flags, fd, offset);
}

/* One call by every kind of wrapper, what it gives and what errno is then. */
#define SAY(level, call)                             \
	do {                                         \
		long value_;                         \
		errno = EMPTY;                       \
		value_ = (call);                     \
		report(level ".value", (u64)value_); \
		report(level ".errno", (u64)errno);  \
	} while (0)
#define ASK(count, label, name, ...)                                                   \
	do {                                                                           \
		SAY(label ".raw", sys##count(NR_##name, ##__VA_ARGS__));               \
		SAY(label ".old", old##count(NR_##name, ##__VA_ARGS__));               \
		SAY(label ".my_syscall", my_syscall##count(NR_##name, ##__VA_ARGS__)); \
		SAY(label ".sys_", sys_##name(__VA_ARGS__));                           \
		SAY(label ".name", set_errno(sys_##name(__VA_ARGS__)));                \
	} while (0)

_Noreturn void c_main(const uptr *stack)
{
	const long page = PAGE_BYTES, at = PAGE_AT;
	const long here = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, both = PROT_READ | PROT_WRITE;
	long file = sys3(NR_open, "/init", O_RDONLY, 0);

	(void)stack;
	ASK(0, "none", getppid);
	ASK(1, "one, refused", close, -1);
	ASK(2, "two", kill, sys0(NR_getpid), 0);
	ASK(2, "two, refused", kill, sys0(NR_getpid), 65);
	ASK(3, "three", lseek, file, 4095, 0);
	ASK(3, "three, refused", lseek, file, 0, 99);
	ASK(4, "four, refused", wait4, -1, NULL, WNOHANG, NULL);
	ASK(6, "six", mmap, at, page, both, here, -1, 0);
	ASK(6, "six, refused", mmap, at, page, both, MAP_SHARED, -1, 0);
	ASK(5, "five", mremap, at, page, page, 0, 0);
	ASK(5, "five, refused", mremap, at + 1, page, page, 0, 0);
	die(0);
}
