
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The programs that t/bench/fanout runs: listeners that discard what they
 * hear, sources that talk at the pace of speech, and the floor to measure
 * against, a server that does nothing but send.  And for t/bench/tick a few
 * listeners that look at the clock at each page.
 *
 *   fanout listen <port> <connections> <joins a second> <file of paths>
 *   fanout watch <port> <connections> <file of paths>
 *   fanout feed <port> <file of pages> <file of request heads>
 *   fanout bare <port> <rooms> <file of pages, or the length of one>
 */


#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <time.h>
#include <unistd.h>


#define MS              1000000LL
#define SECOND          (1000 * MS)

#define PAGE_TIME       (100 * MS)
#define TICK            (20 * MS)
#define TICKS_PER_PAGE  (PAGE_TIME / TICK)

/* sources begin their pages at so many different moments of 100 ms */
#define FEED_PHASES     20

/* what is done in one go before somebody new is looked at */
#define BATCH           64

/* addresses that listeners come from: each has 28,000 ports by default */
#define ADDRESSES       8


typedef struct {
    char      *data;
    size_t     len;
} text_t;


typedef enum {
    LISTENER_JOINING = 0,
    LISTENER_WAITING,           /* the request is sent */
    LISTENER_HEARING,
    LISTENER_GONE
} listener_state_e;


typedef struct {
    int               fd;
    listener_state_e  state;
    int               matched;  /* bytes of the empty line behind a header */
    int64_t           began;
    int64_t           first;    /* ns from the connect to the first audio */
    int64_t           last;     /* when something was read */
    int64_t           gap;      /* the longest between two reads */
    uint64_t          bytes;
} listener_t;


typedef struct {
    listener_t        *listeners;
    int                n;
    int                next;    /* the one to join */
    int                rate;
    int                port;
    text_t            *paths;
    int                npaths;
    int64_t            start;
    int64_t            now;

    /*
     * Who just came is in a set of their own, and looked at first: what it
     * takes to read 10,000 sockets must not count as a wait for a first byte.
     */

    int                young;
    int                old;

    int                joined;
    int                served;
    int                refused;
    int                closed;
    int                counting; /* since "begin" */
} crowd_t;


/* a listener of the stream as it is, over HTTP/1.0 */

typedef struct {
    int        fd;
    uint8_t    buf[65536];
    size_t     len;
    int        heard;           /* the header of the answer is gone */
    int64_t    best;            /* the least of arrival less granule, ns */
    int64_t    granule;
} watcher_t;


typedef struct {
    int64_t    at;
    int64_t    delay;           /* arrival less granule */
    int        watcher;
} page_t;


typedef struct {
    watcher_t  *watchers;
    int         n;
    page_t     *pages;
    int         npages;
    int         size;
    int         holes;
} lookout_t;


typedef struct {
    int       *fds;
    int        n;
    int        size;
} bare_room_t;


typedef struct {
    int        room;            /* -1: no request yet */
    int        at;              /* in the room's list */
} bare_conn_t;


typedef struct {
    int           ep;
    int           listening;
    bare_room_t  *rooms;
    int           nrooms;
    bare_conn_t  *conns;        /* by descriptor */
    int           nconns;
    text_t       *pages;
    int           npages;
    uint64_t      tick;
} bare_t;


static int listen_mode(char **argv);
static int crowd_timeout(crowd_t *crowd, struct timespec *timeout);
static void crowd_join(crowd_t *crowd, listener_t *listener, int i);
static int crowd_read_young(crowd_t *crowd);
static int crowd_read_old(crowd_t *crowd);
static void crowd_request(crowd_t *crowd, listener_t *listener);
static void crowd_first(crowd_t *crowd, listener_t *listener);
static void crowd_heard(crowd_t *crowd, listener_t *listener, ssize_t n);
static void crowd_gone(listener_t *listener, int *count);
static int crowd_command(crowd_t *crowd);
static void crowd_begin(crowd_t *crowd);
static void crowd_print(crowd_t *crowd);
static int watch_mode(char **argv);
static void watch_open(lookout_t *lookout, watcher_t *watcher, int port,
    const text_t *path);
static void watch_read(lookout_t *lookout, watcher_t *watcher);
static void watch_page(lookout_t *lookout, watcher_t *watcher, int64_t now,
    int64_t granule);
static void watch_print(lookout_t *lookout);
static void watch_print_one(const char *name, int64_t *values, int n,
    const char *end);
static void feed_mode(char **argv);
static int feed_open(int port, const text_t *head);
static void feed_send(int fd, int i, const text_t *data);
static void feed_check(int fd, int i);
static text_t chunk_of(const text_t *data);
static void bare_mode(char **argv);
static void bare_serve(bare_t *bare, int timeout);
static void bare_accept(bare_t *bare);
static void bare_request(bare_t *bare, int fd);
static void bare_join(bare_t *bare, int fd, int room);
static void bare_drop(bare_t *bare, int fd);
static void bare_tick(bare_t *bare);
static text_t *bare_page(bare_t *bare, int room);
static void watch(int ep, int op, int fd, uint32_t events, void *data);
static struct sockaddr_in address(uint32_t host, int port);
static text_t read_file(const char *name);
static text_t *split(const text_t *text, char end, int *n);
static text_t *pages_of(const char *name, int *n);
static int compare(const void *a, const void *b);
static int64_t now_ns(void);
static void sleep_until(int64_t when);
static void *get(size_t n, size_t size);
static void die(const char *format, ...);


int
main(int argc, char **argv)
{
    struct rlimit  limit;

    signal(SIGPIPE, SIG_IGN);

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);

    if (strcmp(argv[1 % argc], "bare") != 0) {

        /* what waits for a core here would count as the server's wait; only
           root may, and without it the figures are somewhat worse */

        (void) setpriority(PRIO_PROCESS, 0, -15);
    }

    if (argc == 6 && strcmp(argv[1], "listen") == 0) {
        return listen_mode(argv);
    }

    if (argc == 5 && strcmp(argv[1], "watch") == 0) {
        return watch_mode(argv);
    }

    if (argc == 5 && strcmp(argv[1], "feed") == 0) {
        feed_mode(argv);
    }

    if (argc == 5 && strcmp(argv[1], "bare") == 0) {
        bare_mode(argv);
    }

    die("usage: see the head of the source");
    return 2;
}


/*
 * Listeners.  A line on the standard input is a command: "status" prints how
 * it stands, "begin" starts to count bytes and gaps anew, "end" prints and
 * leaves.
 */

static int
listen_mode(char **argv)
{
    int              busy;
    text_t           file;
    crowd_t          crowd;
    struct pollfd    fds[3];
    struct timespec  timeout, nap = { 0, MS };

    memset(&crowd, 0, sizeof(crowd_t));

    crowd.port = atoi(argv[2]);
    crowd.n = atoi(argv[3]);
    crowd.rate = atoi(argv[4]);
    file = read_file(argv[5]);
    crowd.paths = split(&file, '\n', &crowd.npaths);
    crowd.listeners = get(crowd.n, sizeof(listener_t));
    crowd.young = epoll_create1(0);
    crowd.old = epoll_create1(0);
    crowd.start = now_ns();

    fds[0] = (struct pollfd) { .fd = crowd.young, .events = POLLIN };
    fds[1] = (struct pollfd) { .fd = crowd.old, .events = POLLIN };
    fds[2] = (struct pollfd) { .fd = 0, .events = POLLIN };

    for ( ;; ) {
        busy = crowd_timeout(&crowd, &timeout);

        /* while they are counted nobody sleeps for a page: to wake them, on a
           core that idles or not, would be a part of each send, and not the
           server's */

        if (crowd.counting) {
            nanosleep(&nap, NULL);
            timeout = (struct timespec) { 0, 0 };
            busy = 1;
        }

        /* the sets are not watched by a third one: that would cost the sender
           something at each page */

        if (ppoll(crowd.counting ? &fds[2] : fds, crowd.counting ? 1 : 3,
                  busy ? &timeout : NULL, NULL)
            == -1)
        {
            die("ppoll: %s", strerror(errno));
        }

        if ((fds[2].revents & (POLLIN|POLLHUP)) && crowd_command(&crowd)) {
            return 0;
        }

        do {
            crowd.now = now_ns();

            while (crowd.next < crowd.n
                   && crowd.start + crowd.next * SECOND / crowd.rate
                      <= crowd.now)
            {
                crowd_join(&crowd, &crowd.listeners[crowd.next], crowd.next);
                crowd.next++;
            }

            busy = crowd_read_young(&crowd);
            busy += crowd_read_old(&crowd);

        } while (busy);
    }
}


static int
crowd_timeout(crowd_t *crowd, struct timespec *timeout)
{
    int64_t  wait;

    if (crowd->next == crowd->n) {
        return 0;
    }

    wait = crowd->start + crowd->next * SECOND / crowd->rate - now_ns();

    if (wait < 0) {
        wait = 0;
    }

    timeout->tv_sec = wait / SECOND;
    timeout->tv_nsec = wait % SECOND;

    return 1;
}


static void
crowd_join(crowd_t *crowd, listener_t *listener, int i)
{
    int                 fd, on;
    struct sockaddr_in  from, to;

    fd = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK, 0);
    if (fd == -1) {
        die("socket: %s", strerror(errno));
    }

    on = 1;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(int));

    from = address(INADDR_LOOPBACK + 1 + i % ADDRESSES, 0);
    to = address(INADDR_LOOPBACK, crowd->port);

    if (bind(fd, (struct sockaddr *) &from, sizeof(from)) == -1) {
        die("bind: %s", strerror(errno));
    }

    listener->fd = fd;
    listener->began = now_ns();

    if (connect(fd, (struct sockaddr *) &to, sizeof(to)) == -1
        && errno != EINPROGRESS)
    {
        crowd_gone(listener, &crowd->refused);
        return;
    }

    watch(crowd->young, EPOLL_CTL_ADD, fd, EPOLLIN|EPOLLOUT|EPOLLET, listener);
}


static int
crowd_read_young(crowd_t *crowd)
{
    int                 i, n;
    listener_t         *listener;
    struct epoll_event  events[BATCH];

    n = epoll_wait(crowd->young, events, BATCH, 0);

    crowd->now = now_ns();

    for (i = 0; i < n; i++) {
        listener = events[i].data.ptr;

        if (listener->state == LISTENER_JOINING) {
            crowd_request(crowd, listener);
        }

        if (listener->state == LISTENER_WAITING
            && (events[i].events & ~EPOLLOUT))
        {
            crowd_first(crowd, listener);
        }
    }

    return n > 0;
}


static int
crowd_read_old(crowd_t *crowd)
{
    int                 i, n;
    ssize_t             size;
    listener_t         *listener;
    struct epoll_event  events[BATCH];

    n = epoll_wait(crowd->old, events, BATCH, 0);

    crowd->now = now_ns();

    for (i = 0; i < n; i++) {
        listener = events[i].data.ptr;

        /* MSG_TRUNC: TCP throws it away, whatever its length, uncopied */

        size = recv(listener->fd, NULL, 1 << 24, MSG_TRUNC);

        if (size > 0) {
            crowd_heard(crowd, listener, size);

        } else if (size == 0 || errno != EAGAIN) {
            crowd_gone(listener, &crowd->closed);
        }
    }

    return n > 0;
}


static void
crowd_request(crowd_t *crowd, listener_t *listener)
{
    int         error, len;
    char        request[4096];
    text_t     *path;
    socklen_t   size;

    size = sizeof(int);

    if (getsockopt(listener->fd, SOL_SOCKET, SO_ERROR, &error, &size) == -1
        || error)
    {
        crowd_gone(listener, &crowd->refused);
        return;
    }

    path = &crowd->paths[(listener - crowd->listeners) % crowd->npaths];

    len = snprintf(request, sizeof(request),
                   "GET %.*s HTTP/1.1\r\nHost: localhost\r\n"
                   "User-Agent: fanout\r\nAccept: */*\r\n\r\n",
                   (int) path->len, path->data);

    if (send(listener->fd, request, len, 0) != len) {
        crowd_gone(listener, &crowd->refused);
        return;
    }

    listener->state = LISTENER_WAITING;
    crowd->joined++;
}


/* the header, up to the first byte behind it */

static void
crowd_first(crowd_t *crowd, listener_t *listener)
{
    ssize_t               i, n;
    static char           buf[65536];
    static const char     end[] = "\r\n\r\n";

    n = recv(listener->fd, buf, sizeof(buf), 0);

    if (n == -1 && errno == EAGAIN) {
        return;
    }

    if (n <= 0 || (listener->bytes == 0
                   && (n < 12 || memcmp(buf + 8, " 200", 4) != 0)))
    {
        crowd_gone(listener, &crowd->refused);
        return;
    }

    listener->bytes += n;

    for (i = 0; i < n && listener->matched < 4; i++) {
        listener->matched = buf[i] == end[listener->matched]
                            ? listener->matched + 1 : buf[i] == '\r';
    }

    if (i == n) {
        return;
    }

    listener->state = LISTENER_HEARING;
    listener->first = now_ns() - listener->began;
    listener->last = crowd->now;
    crowd->served++;

    watch(crowd->young, EPOLL_CTL_DEL, listener->fd, 0, NULL);
    watch(crowd->old, EPOLL_CTL_ADD, listener->fd, EPOLLIN|EPOLLET, listener);
}


static void
crowd_heard(crowd_t *crowd, listener_t *listener, ssize_t n)
{
    if (crowd->now - listener->last > listener->gap) {
        listener->gap = crowd->now - listener->last;
    }

    listener->last = crowd->now;
    listener->bytes += n;
}


static void
crowd_gone(listener_t *listener, int *count)
{
    close(listener->fd);
    listener->state = LISTENER_GONE;
    (*count)++;
}


static int
crowd_command(crowd_t *crowd)
{
    char     line[64];
    ssize_t  n;

    n = read(0, line, sizeof(line));

    if (n <= 0) {
        return 1;
    }

    crowd->now = now_ns();

    if (line[0] == 'b') {
        crowd_begin(crowd);
    }

    crowd_print(crowd);

    return line[0] == 'e';
}


static void
crowd_begin(crowd_t *crowd)
{
    int  i;

    crowd->counting = 1;

    for (i = 0; i < crowd->n; i++) {
        crowd->listeners[i].last = crowd->now;
        crowd->listeners[i].gap = 0;

        if (crowd->listeners[i].state == LISTENER_HEARING) {
            crowd->listeners[i].bytes = 0;
        }
    }
}


static void
crowd_print(crowd_t *crowd)
{
    int          i, n, hearing;
    int64_t     *first, *bytes, gap;
    listener_t  *listener;

    n = hearing = 0;
    gap = 0;
    first = get(crowd->n + 1, sizeof(int64_t));
    bytes = get(crowd->n + 1, sizeof(int64_t));

    for (i = 0; i < crowd->n; i++) {
        listener = &crowd->listeners[i];

        if (listener->first) {
            first[n++] = listener->first;
        }

        if (listener->state != LISTENER_HEARING) {
            continue;
        }

        /* who hears nothing any more counts as well */
        crowd_heard(crowd, listener, 0);

        bytes[hearing++] = listener->bytes;
        gap = listener->gap > gap ? listener->gap : gap;
    }

    qsort(first, n, sizeof(int64_t), compare);
    qsort(bytes, hearing, sizeof(int64_t), compare);

    printf("{\"tried\":%d,\"joined\":%d,\"served\":%d,\"hearing\":%d,"
           "\"refused\":%d,\"closed\":%d,\"first_p50\":%.3f,"
           "\"first_p99\":%.3f,\"first_max\":%.3f,\"bytes_min\":%lld,"
           "\"bytes_median\":%lld,\"gap\":%.1f}\n",
           crowd->next, crowd->joined, crowd->served, hearing, crowd->refused,
           crowd->closed, (double) first[n / 2] / MS,
           (double) first[n * 99 / 100] / MS,
           (double) first[n ? n - 1 : 0] / MS, (long long) bytes[0],
           (long long) bytes[hearing / 2], (double) gap / MS);
    fflush(stdout);

    free(first);
    free(bytes);
}


/*
 * Commands as above: "begin" forgets what was seen, "end" prints what there is
 * to say of the pages since, in ms, and leaves.
 *
 *   tick   when a page came after a multiple of 20 ms of the monotonic clock:
 *          that is when the ticks of a server of ours are due
 *   first  likewise, of the first page of each tick alone
 *   late   how much later than the best page of its stream, by its granule
 */

static int
watch_mode(char **argv)
{
    int                 i, n, ep, npaths;
    char                line[64];
    text_t              file, *paths;
    lookout_t           lookout;
    struct epoll_event  events[BATCH];
    struct sched_param  param = { .sched_priority = 1 };

    /* a page that waits for this process to run would be late by that */

    (void) sched_setscheduler(0, SCHED_FIFO, &param);

    memset(&lookout, 0, sizeof(lookout_t));

    lookout.n = atoi(argv[3]);
    lookout.watchers = get(lookout.n, sizeof(watcher_t));
    lookout.size = 1 << 20;
    lookout.pages = get(lookout.size, sizeof(page_t));

    file = read_file(argv[4]);
    paths = split(&file, '\n', &npaths);
    ep = epoll_create1(0);

    for (i = 0; i < lookout.n; i++) {
        watch_open(&lookout, &lookout.watchers[i], atoi(argv[2]),
                   &paths[(long) i * npaths / lookout.n]);
        watch(ep, EPOLL_CTL_ADD, lookout.watchers[i].fd, EPOLLIN,
              &lookout.watchers[i]);
    }

    watch(ep, EPOLL_CTL_ADD, 0, EPOLLIN, NULL);

    for ( ;; ) {
        n = epoll_wait(ep, events, BATCH, -1);

        for (i = 0; i < n; i++) {

            if (events[i].data.ptr) {
                watch_read(&lookout, events[i].data.ptr);
                continue;
            }

            if (read(0, line, sizeof(line)) <= 0) {
                return 0;
            }

            if (line[0] == 'b') {
                lookout.npages = lookout.holes = 0;
            }

            watch_print(&lookout);

            if (line[0] == 'e') {
                return 0;
            }
        }
    }
}


static void
watch_open(lookout_t *lookout, watcher_t *watcher, int port, const text_t *path)
{
    int                 fd, len;
    char                request[4096];
    struct sockaddr_in  to;

    (void) lookout;

    fd = socket(AF_INET, SOCK_STREAM, 0);
    to = address(INADDR_LOOPBACK, port);

    len = snprintf(request, sizeof(request), "GET %.*s HTTP/1.0\r\n"
                   "Host: localhost\r\n\r\n", (int) path->len, path->data);

    if (fd == -1 || connect(fd, (struct sockaddr *) &to, sizeof(to)) == -1
        || send(fd, request, len, 0) != len)
    {
        die("listener: %s", strerror(errno));
    }

    watcher->fd = fd;
    watcher->best = INT64_MAX;
}


static void
watch_read(lookout_t *lookout, watcher_t *watcher)
{
    int       i;
    size_t    at, len;
    int64_t   now, granule;
    ssize_t   n;
    uint8_t  *p, *end;

    now = now_ns();

    n = recv(watcher->fd, watcher->buf + watcher->len,
             sizeof(watcher->buf) - watcher->len, MSG_DONTWAIT);

    if (n == -1 && errno == EAGAIN) {
        return;
    }

    if (n <= 0) {
        die("a listener is cut");
    }

    watcher->len += n;
    at = 0;

    if (!watcher->heard) {
        end = memmem(watcher->buf, watcher->len, "\r\n\r\n", 4);

        if (end == NULL) {
            return;
        }

        if (memcmp(watcher->buf + 8, " 200", 4) != 0) {
            die("a listener is refused: %.40s", watcher->buf);
        }

        watcher->heard = 1;
        at = end + 4 - watcher->buf;
    }

    while (watcher->len - at >= 27) {
        p = watcher->buf + at;

        if (memcmp(p, "OggS", 4) != 0) {
            die("no page where one begins");
        }

        len = 27 + p[26];

        if (watcher->len - at < len) {
            break;
        }

        for (i = 0; i < p[26]; i++) {
            len += p[27 + i];
        }

        if (watcher->len - at < len) {
            break;
        }

        memcpy(&granule, p + 6, sizeof(int64_t));
        watch_page(lookout, watcher, now, granule);

        at += len;
    }

    watcher->len -= at;
    memmove(watcher->buf, watcher->buf + at, watcher->len);
}


static void
watch_page(lookout_t *lookout, watcher_t *watcher, int64_t now, int64_t granule)
{
    int64_t  delay;

    delay = now - granule * MS / 48;

    if (granule > watcher->granule + 4800 && watcher->granule) {
        lookout->holes++;
    }

    watcher->granule = granule;

    if (granule == 0 || lookout->npages == lookout->size) {
        return;
    }

    watcher->best = delay < watcher->best ? delay : watcher->best;

    lookout->pages[lookout->npages++] = (page_t) { now, delay,
                                               watcher - lookout->watchers };
}


static void
watch_print(lookout_t *lookout)
{
    int       i, n, nfirst;
    int64_t  *ticks, *first, *late, last;

    n = lookout->npages;
    nfirst = 0;
    last = -1;
    ticks = get(n + 1, sizeof(int64_t));
    first = get(n + 1, sizeof(int64_t));
    late = get(n + 1, sizeof(int64_t));

    for (i = 0; i < n; i++) {
        ticks[i] = lookout->pages[i].at % TICK;
        late[i] = lookout->pages[i].delay
                  - lookout->watchers[lookout->pages[i].watcher].best;

        if (lookout->pages[i].at / TICK != last) {
            last = lookout->pages[i].at / TICK;
            first[nfirst++] = ticks[i];
        }
    }

    printf("{\"pages\":%d,\"holes\":%d,", n, lookout->holes);
    watch_print_one("tick", ticks, n, ",");
    watch_print_one("first", first, nfirst, ",");
    watch_print_one("late", late, n, "}\n");
    fflush(stdout);

    free(ticks);
    free(first);
    free(late);
}


static void
watch_print_one(const char *name, int64_t *values, int n, const char *end)
{
    qsort(values, n, sizeof(int64_t), compare);

    printf("\"%s\":{\"n\":%d,\"p50\":%.3f,\"p99\":%.3f,\"p999\":%.3f,"
           "\"max\":%.3f}%s", name, n, (double) values[n / 2] / MS,
           (double) values[n * 99L / 100] / MS,
           (double) values[n * 999L / 1000] / MS,
           (double) values[n ? n - 1 : 0] / MS, end);
}


/* Sources, one for each head: a page every 100 ms, at absolute deadlines. */

static void
feed_mode(char **argv)
{
    int       i, k, phase, *fds, *chunked, nheads, npages;
    text_t    file, *heads, *pages, *chunks;
    int64_t   start;

    pages = pages_of(argv[3], &npages);
    file = read_file(argv[4]);
    heads = split(&file, '\0', &nheads);
    chunks = get(npages, sizeof(text_t));
    fds = get(nheads, sizeof(int));
    chunked = get(nheads, sizeof(int));

    for (k = 0; k < npages; k++) {
        chunks[k] = chunk_of(&pages[k]);
    }

    for (i = 0; i < nheads; i++) {
        fds[i] = feed_open(atoi(argv[2]), &heads[i]);
        chunked[i] = memmem(heads[i].data, heads[i].len, "chunked", 7) != NULL;
        sleep_until(now_ns() + 2 * MS);
    }

    /* an answer to a source is there by then, and so are the two headers */

    start = now_ns() + 500 * MS - 2 * PAGE_TIME;

    for (k = 0; k < npages; k++) {

        for (phase = 0; phase < FEED_PHASES; phase++) {
            sleep_until(start + k * PAGE_TIME
                        + phase * PAGE_TIME / FEED_PHASES);

            for (i = phase; i < nheads; i += FEED_PHASES) {
                feed_check(fds[i], i);
                feed_send(fds[i], i, chunked[i] ? &chunks[k] : &pages[k]);
            }
        }

        if (k == 2) {
            puts("fed");
            fflush(stdout);
        }
    }

    die("no page is left to send");
}


static int
feed_open(int port, const text_t *head)
{
    int                 fd, on;
    struct sockaddr_in  to;

    fd = socket(AF_INET, SOCK_STREAM, 0);
    to = address(INADDR_LOOPBACK, port);

    if (fd == -1 || connect(fd, (struct sockaddr *) &to, sizeof(to)) == -1) {
        die("source: %s", strerror(errno));
    }

    on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(int));

    feed_send(fd, 0, head);

    return fd;
}


/* a server that reads at the pace of speech leaves room for a page */

static void
feed_send(int fd, int i, const text_t *data)
{
    ssize_t  n;

    n = send(fd, data->data, data->len, MSG_DONTWAIT);

    if (n != (ssize_t) data->len) {
        die("source %d is not read: %s", i, strerror(errno));
    }
}


static void
feed_check(int fd, int i)
{
    char     buf[1024];
    ssize_t  n;

    n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);

    if (n == -1 && errno == EAGAIN) {
        return;
    }

    if (n <= 0) {
        die("source %d is cut: %s", i, n ? strerror(errno) : "closed");
    }

    buf[n] = '\0';

    if (n > 9 && strncmp(buf, "HTTP/1.", 7) == 0 && buf[9] > '2') {
        die("source %d: %s", i, buf);
    }
}


static text_t
chunk_of(const text_t *data)
{
    text_t  chunk;

    chunk.data = get(data->len + 32, 1);
    chunk.len = sprintf(chunk.data, "%zx\r\n", data->len);
    memcpy(chunk.data + chunk.len, data->data, data->len);
    chunk.len += data->len;
    memcpy(chunk.data + chunk.len, "\r\n", 2);
    chunk.len += 2;

    return chunk;
}


/*
 * The floor: one send() for each listener and page.  Path "/3" is room 3; a
 * fifth of the rooms has its page at each tick of 20 ms.
 */

static void
bare_mode(char **argv)
{
    int                 on;
    bare_t              bare;
    int64_t             due, now;
    struct sockaddr_in  at;

    memset(&bare, 0, sizeof(bare_t));

    bare.nrooms = atoi(argv[3]);
    bare.rooms = get(bare.nrooms, sizeof(bare_room_t));
    bare.nconns = sysconf(_SC_OPEN_MAX);
    bare.conns = get(bare.nconns, sizeof(bare_conn_t));
    bare.pages = pages_of(argv[4], &bare.npages);
    bare.ep = epoll_create1(0);

    at = address(INADDR_LOOPBACK, atoi(argv[2]));
    bare.listening = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK, 0);
    on = 1;
    setsockopt(bare.listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(int));

    if (bind(bare.listening, (struct sockaddr *) &at, sizeof(at)) == -1
        || listen(bare.listening, 4096) == -1)
    {
        die("listen: %s", strerror(errno));
    }

    watch(bare.ep, EPOLL_CTL_ADD, bare.listening, EPOLLIN,
          (void *) (intptr_t) bare.listening);

    due = now_ns();

    for ( ;; ) {
        now = now_ns();

        if (now >= due) {
            bare_tick(&bare);
            due += TICK;
            continue;
        }

        bare_serve(&bare, (due - now + MS - 1) / MS);
    }
}


static void
bare_serve(bare_t *bare, int timeout)
{
    int                 i, n, fd;
    struct epoll_event  events[BATCH];

    n = epoll_wait(bare->ep, events, BATCH, timeout);

    for (i = 0; i < n; i++) {
        fd = (intptr_t) events[i].data.ptr;

        if (fd == bare->listening) {
            bare_accept(bare);

        } else {
            bare_request(bare, fd);
        }
    }
}


static void
bare_accept(bare_t *bare)
{
    int  fd, on;

    for ( ;; ) {
        fd = accept4(bare->listening, NULL, NULL, SOCK_NONBLOCK);

        if (fd == -1) {
            return;
        }

        if (fd >= bare->nconns) {
            close(fd);
            continue;
        }

        on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(int));

        bare->conns[fd].room = -1;
        watch(bare->ep, EPOLL_CTL_ADD, fd, EPOLLIN|EPOLLRDHUP|EPOLLET,
              (void *) (intptr_t) fd);
    }
}


/* on loopback a request comes whole, or it is none of ours */

static void
bare_request(bare_t *bare, int fd)
{
    int      room;
    char     buf[4096];
    ssize_t  n;

    n = recv(fd, buf, sizeof(buf) - 1, 0);

    if (n == -1 && errno == EAGAIN) {
        return;
    }

    if (n <= 0) {
        bare_drop(bare, fd);
        return;
    }

    buf[n] = '\0';

    if (bare->conns[fd].room != -1) {
        return;
    }

    if (sscanf(buf, "GET /%d HTTP", &room) != 1 || room < 0
        || room >= bare->nrooms || n < 4
        || memcmp(buf + n - 4, "\r\n\r\n", 4) != 0)
    {
        bare_drop(bare, fd);
        return;
    }

    bare_join(bare, fd, room);
}


/* the header and the page that the others had last, at once */

static void
bare_join(bare_t *bare, int fd, int i)
{
    int           len;
    char          buf[65536];
    text_t       *page;
    bare_room_t  *room;

    page = bare_page(bare, i);

    len = sprintf(buf, "HTTP/1.1 200 OK\r\nContent-Type: audio/ogg\r\n"
                       "Connection: close\r\n\r\n");
    memcpy(buf + len, page->data, page->len);
    len += page->len;

    room = &bare->rooms[i];

    if (room->n == room->size) {
        room->size = room->size ? 2 * room->size : 16;
        room->fds = realloc(room->fds, room->size * sizeof(int));

        if (room->fds == NULL) {
            die("no memory");
        }
    }

    bare->conns[fd].room = i;
    bare->conns[fd].at = room->n;
    room->fds[room->n++] = fd;

    if (send(fd, buf, len, 0) != len) {
        bare_drop(bare, fd);
    }
}


static void
bare_drop(bare_t *bare, int fd)
{
    int           last;
    bare_conn_t  *conn;
    bare_room_t  *room;

    conn = &bare->conns[fd];

    if (conn->room != -1) {
        room = &bare->rooms[conn->room];
        last = room->fds[--room->n];
        room->fds[conn->at] = last;
        bare->conns[last].at = conn->at;
    }

    close(fd);
}


/*
 * From the last listener to the first: who joins while this goes on has had
 * the page with the header.
 */

static void
bare_tick(bare_t *bare)
{
    int           i, r, fd, sent;
    text_t       *page;
    bare_room_t  *room;

    bare->tick++;
    sent = 0;

    for (r = bare->tick % TICKS_PER_PAGE; r < bare->nrooms;
         r += TICKS_PER_PAGE)
    {
        room = &bare->rooms[r];
        page = bare_page(bare, r);

        for (i = room->n - 1; i >= 0; i--) {

            /* somebody may have gone meanwhile */

            if (i >= room->n) {
                continue;
            }

            fd = room->fds[i];

            if (send(fd, page->data, page->len, 0) != (ssize_t) page->len) {
                bare_drop(bare, fd);
            }

            if (++sent % BATCH == 0) {
                bare_serve(bare, 0);
            }
        }
    }
}


/* the page of a room's last tick; the two headers are not sent again */

static text_t *
bare_page(bare_t *bare, int room)
{
    int       first;
    uint64_t  n;

    first = bare->npages > 2 ? 2 : 0;
    n = (bare->tick + TICKS_PER_PAGE - room % TICKS_PER_PAGE) / TICKS_PER_PAGE;

    return &bare->pages[first + n % (bare->npages - first)];
}


static void
watch(int ep, int op, int fd, uint32_t events, void *data)
{
    struct epoll_event  event;

    event.events = events;
    event.data.ptr = data;

    if (epoll_ctl(ep, op, fd, &event) == -1) {
        die("epoll_ctl: %s", strerror(errno));
    }
}


static struct sockaddr_in
address(uint32_t host, int port)
{
    struct sockaddr_in  a;

    memset(&a, 0, sizeof(a));
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(host);
    a.sin_port = htons(port);

    return a;
}


static text_t
read_file(const char *name)
{
    FILE    *file;
    text_t   text;

    file = fopen(name, "rb");
    if (file == NULL) {
        die("%s: %s", name, strerror(errno));
    }

    fseek(file, 0, SEEK_END);
    text.len = ftell(file);
    rewind(file);
    text.data = get(text.len + 1, 1);

    if (fread(text.data, 1, text.len, file) != text.len) {
        die("%s: short read", name);
    }

    fclose(file);

    return text;
}


/* the parts that "end" ends; what is behind the last one is none */

static text_t *
split(const text_t *text, char end, int *n)
{
    char    *p, *last, *at;
    text_t  *parts;

    last = text->data + text->len;
    *n = 0;

    for (p = text->data; p < last; p++) {
        *n += *p == end;
    }

    parts = get(*n, sizeof(text_t));
    *n = 0;

    for (p = text->data; p < last; p = at + 1) {
        at = memchr(p, end, last - p);
        if (at == NULL) {
            break;
        }

        parts[(*n)++] = (text_t) { p, at - p };
    }

    if (*n == 0) {
        die("an empty list");
    }

    return parts;
}


/* the pages of an Ogg file; or one page of so many bytes */

static text_t *
pages_of(const char *name, int *n)
{
    char     *p, *last;
    size_t    len, i, segments;
    text_t    file, *pages;

    if (name[strspn(name, "0123456789")] == '\0') {
        pages = get(1, sizeof(text_t));
        pages->len = atoi(name);
        pages->data = get(pages->len, 1);
        *n = 1;
        return pages;
    }

    file = read_file(name);
    last = file.data + file.len;
    pages = get(file.len / 27 + 1, sizeof(text_t));
    *n = 0;

    for (p = file.data; p + 27 <= last; p += len) {
        segments = (uint8_t) p[26];
        len = 27 + segments;

        if (memcmp(p, "OggS", 4) != 0 || p + len > last) {
            die("%s: not Ogg", name);
        }

        for (i = 0; i < segments; i++) {
            len += (uint8_t) p[27 + i];
        }

        pages[(*n)++] = (text_t) { p, len };
    }

    if (p != last || *n < 3) {
        die("%s: not whole, or too short", name);
    }

    return pages;
}


static int
compare(const void *a, const void *b)
{
    int64_t  x, y;

    x = *(const int64_t *) a;
    y = *(const int64_t *) b;

    return (x > y) - (x < y);
}


static int64_t
now_ns(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec * SECOND + ts.tv_nsec;
}


static void
sleep_until(int64_t when)
{
    struct timespec  ts;

    ts.tv_sec = when / SECOND;
    ts.tv_nsec = when % SECOND;

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL)
           == EINTR)
    {
        /* void */
    }
}


static void *
get(size_t n, size_t size)
{
    void  *p;

    p = calloc(n, size);
    if (p == NULL) {
        die("no memory");
    }

    return p;
}


static void
die(const char *format, ...)
{
    va_list  args;

    va_start(args, format);
    fprintf(stderr, "fanout: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);

    exit(1);
}
