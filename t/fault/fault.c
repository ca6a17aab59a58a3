
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Preloaded into an nginx under test: calls that touch files (and what is
 * "nodelay" of a socket) fail, stall, or
 * kill their process, as a file says that FAULTS names.  A line of it:
 *
 *     function part-of-path before|after|stall|errno
 *
 * "before" and "after" kill once, and empty the file; a number is the errno of
 * every such call; a stall lasts as long as the line is there, and leaves a
 * file with ".stalled" behind its name.  And
 *
 *     clock wall seconds
 *
 * is how far off the time of day is.
 */


#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>


#define fault_next(name)  dlsym(RTLD_NEXT, name)


static char  *fault_file;


__attribute__((constructor))
static void
fault_init(void)
{
    fault_file = getenv("FAULTS");

    /* nginx writes its process title over the environment */

    if (fault_file) {
        fault_file = strdup(fault_file);
    }
}


/* what is to happen to the call, "" if nothing */

static void
fault_find(const char *function, const char *path, char *action)
{
    int       fd;
    char      text[1024], name[64], part[512], *line, *save;
    ssize_t   n;
    int     (*next_open)(const char *, int, ...);

    action[0] = '\0';

    if (fault_file == NULL || strcmp(path, fault_file) == 0) {
        return;
    }

    next_open = fault_next("open");

    fd = next_open(fault_file, O_RDONLY|O_CLOEXEC);
    if (fd == -1) {
        return;
    }

    n = read(fd, text, sizeof(text) - 1);
    (void) close(fd);

    if (n <= 0) {
        return;
    }

    text[n] = '\0';

    for (line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save))
    {
        if (sscanf(line, "%63s %511s %15s", name, part, action) == 3
            && strcmp(name, function) == 0 && strstr(path, part))
        {
            return;
        }

        action[0] = '\0';
    }
}


static void
fault_die(void)
{
    (void) truncate(fault_file, 0);
    (void) kill(getpid(), SIGKILL);

    for ( ;; ) {
        (void) pause();
    }
}


/* for a test that waits for it: a file beside the one that told to stall */

static void
fault_tell(void)
{
    int    fd;
    char   name[4096];
    int  (*next_open)(const char *, int, ...);

    next_open = fault_next("open");

    (void) snprintf(name, sizeof(name), "%s.stalled", fault_file);

    fd = next_open(name, O_WRONLY|O_CREAT|O_CLOEXEC, 0666);

    if (fd != -1) {
        (void) close(fd);
    }
}


/* 0: go on; or the errno of the call */

static int
fault_before(const char *function, const char *path, char *action)
{
    struct timespec  ms = { 0, 10000000 };

    fault_find(function, path, action);

    if (strcmp(action, "stall") == 0) {
        fault_tell();
    }

    while (strcmp(action, "stall") == 0) {
        (void) nanosleep(&ms, NULL);
        fault_find(function, path, action);
    }

    if (strcmp(action, "before") == 0) {
        fault_die();
    }

    return atoi(action);
}


static void
fault_after(const char *action)
{
    if (strcmp(action, "after") == 0) {
        fault_die();
    }
}


#define fault_call(type, name, path, call)                                    \
    type  result;                                                             \
    char  action[16];                                                         \
                                                                              \
    errno = fault_before(name, path, action);                                 \
                                                                              \
    if (errno) {                                                              \
        return -1;                                                            \
    }                                                                         \
                                                                              \
    result = call;                                                            \
    fault_after(action);                                                      \
                                                                              \
    return result;


static const char *
fault_path(int fd, char *path, size_t size)
{
    char     link[64];
    ssize_t  n;

    (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);

    n = readlink(link, path, size - 1);
    path[n > 0 ? n : 0] = '\0';

    return path;
}


/* the mode of a file that is created is the one argument that may follow */

static int
fault_open(const char *call, const char *name, int flags, mode_t mode)
{
    int (*next)(const char *, int, ...) = fault_next(call);

    fault_call(int, "open", name, next(name, flags, mode))
}


#define fault_define_open(call)                                               \
                                                                              \
int                                                                           \
call(const char *name, int flags, ...)                                        \
{                                                                             \
    mode_t   mode;                                                            \
    va_list  args;                                                            \
                                                                              \
    va_start(args, flags);                                                    \
    mode = (flags & O_CREAT) ? va_arg(args, mode_t) : 0;                      \
    va_end(args);                                                             \
                                                                              \
    return fault_open(#call, name, flags, mode);                              \
}


fault_define_open(open)
fault_define_open(open64)


int
mkdir(const char *name, mode_t mode)
{
    int (*next)(const char *, mode_t) = fault_next("mkdir");

    fault_call(int, "mkdir", name, next(name, mode))
}


int
rename(const char *from, const char *to)
{
    int (*next)(const char *, const char *) = fault_next("rename");

    fault_call(int, "rename", to, next(from, to))
}


int
renameat2(int fromfd, const char *from, int tofd, const char *to,
    unsigned int flags)
{
    int (*next)(int, const char *, int, const char *, unsigned int)
        = fault_next("renameat2");

    fault_call(int, "rename", to, next(fromfd, from, tofd, to, flags))
}


int
unlink(const char *name)
{
    int (*next)(const char *) = fault_next("unlink");

    fault_call(int, "unlink", name, next(name))
}


int
fdatasync(int fd)
{
    int   (*next)(int) = fault_next("fdatasync");
    char    path[4096];

    fault_call(int, "fdatasync", fault_path(fd, path, sizeof(path)), next(fd))
}


ssize_t
write(int fd, const void *data, size_t len)
{
    char      path[4096];
    ssize_t (*next)(int, const void *, size_t) = fault_next("write");

    fault_call(ssize_t, "write", fault_path(fd, path, sizeof(path)),
               next(fd, data, len))
}


ssize_t
pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
    char      path[4096];
    ssize_t (*next)(int, const void *, size_t, off64_t)
        = fault_next("pwrite64");

    fault_call(ssize_t, "pwrite", fault_path(fd, path, sizeof(path)),
               next(fd, data, len, offset))
}


ssize_t
pwrite(int fd, const void *data, size_t len, off_t offset)
{
    return pwrite64(fd, data, len, offset);
}


int
setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    int (*next)(int, int, int, const void *, socklen_t)
        = fault_next("setsockopt");

    fault_call(int, "setsockopt",
               level == IPPROTO_TCP && name == TCP_NODELAY ? "nodelay" : "",
               next(fd, level, name, value, len))
}


static time_t
fault_clock(void)
{
    int   error;
    char  action[16];

    /* whoever asks for the time may be in the middle of another call */

    error = errno;
    fault_find("clock", "wall", action);
    errno = error;

    return (time_t) atoll(action);
}


int
gettimeofday(struct timeval *tv, void *tz)
{
    int    rc;
    int  (*next)(struct timeval *, void *) = fault_next("gettimeofday");

    rc = next(tv, tz);
    tv->tv_sec += fault_clock();

    return rc;
}


int
clock_gettime(clockid_t clock, struct timespec *ts)
{
    int    rc;
    int  (*next)(clockid_t, struct timespec *) = fault_next("clock_gettime");

    rc = next(clock, ts);

    if (rc == 0 && clock == CLOCK_REALTIME) {
        ts->tv_sec += fault_clock();
    }

    return rc;
}


time_t
time(time_t *t)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    if (t) {
        *t = ts.tv_sec;
    }

    return ts.tv_sec;
}
