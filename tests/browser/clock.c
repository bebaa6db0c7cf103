/* Moves a program's monotonic clock: preload it, and write seconds (a long) into the file that $CLOCK_OFFSET names.
   Deadlines that the program hands to the system are moved back, so that it waits no longer for its own timers. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile long *offset;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("CLOCK_OFFSET");
    int file = path ? open(path, O_RDONLY) : -1;
    if (file < 0) return;
    void *page = mmap(0, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) offset = page;
    close(file);
}

static int moved(clockid_t clock) {
    return offset && (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_BOOTTIME);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    if (!result && moved(clock)) time->tv_sec += *offset;
    return result;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left) {
    static int (*real)(clockid_t, int, const struct timespec *, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_nanosleep");
    struct timespec deadline = *until;
    if (flags == TIMER_ABSTIME && moved(clock)) deadline.tv_sec -= *offset;
    return real(clock, flags, &deadline, left);
}

int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until) {
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "pthread_cond_clockwait");
    struct timespec deadline = *until;
    if (moved(clock)) deadline.tv_sec -= *offset;
    return real(cond, mutex, clock, &deadline);
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until) {
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    /* There are two of this name; the older one has another layout of pthread_cond_t. */
    if (!real) real = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    struct timespec deadline = *until, now;
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    /* The clock of a condition is not to be seen from here; a deadline decades ago is one of the monotonic clock. */
    if (offset && deadline.tv_sec < now.tv_sec / 2) deadline.tv_sec -= *offset;
    return real(cond, mutex, &deadline);
}
