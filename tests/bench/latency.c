/* Both ends of the latency benchmark, as fast as plain POSIX allows: a worker that only echoes, and clients that time.

   latency echo   HOST PORT BYTES              answer every request with a result whose ids take BYTES bytes, for ever
   latency ping   HOST PORT COUNT              time PING
   latency closed HOST PORT SIZE COUNT         time requests one by one: XADD, then XREAD until its result is there
   latency open   HOST PORT SIZE RATE SECONDS  send RATE requests a second, whatever the answers; time from when due
   latency poisson HOST PORT SIZE RATE SEED SECONDS  the same, with arrivals of a Poisson process instead of even gaps

   The clients print one latency a line, in ns. `open` prints a line before them: the ns from the start until the last
   request was sent, and until the last result was read. An error ends the program with one sentence and status 1. */

#define _POSIX_C_SOURCE 200809L
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUESTS "audio:sample:requests"
#define RESULTS "audio:sample:results"
#define GROUP "samplers"
#define BATCH "256"
#define PATIENCE_MS "10000"
#define COUNT_OF(words) ((int)(sizeof(words) / sizeof *(words)))
enum { READ_BYTES = 1 << 16, WORD_BYTES = 160, MOST_IN_BATCH = 256, MOST_IN_BURST = 256 };

typedef char word[WORD_BYTES];

/* A connection: what was read and not yet looked at, and the commands that go out with the next write. */
struct link {
    int fd;
    size_t at, end, length, room;
    char in[READ_BYTES];
    char *out;
};

/* What matters of a request or of a result. */
struct entry {
    word id, request_id, entry_id, reply_to, status;
};

static void fail(const char *format, ...) {
    va_list words;
    va_start(words, format);
    vfprintf(stderr, format, words);
    va_end(words);
    fputc('\n', stderr);
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void *reserve(void *memory, size_t bytes) {
    void *more = realloc(memory, bytes);
    if (more == NULL) fail("there is no memory for %zu bytes", bytes);
    return more;
}

/* ---- RESP over a socket ---- */

static struct link *connect_to(const char *host, const char *port) {
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(host, port, &wanted, &found) != 0) fail("%s port %s is no address", host, port);
    struct link *link = reserve(NULL, sizeof *link);
    memset(link, 0, sizeof *link);
    link->fd = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
    if (link->fd < 0 || connect(link->fd, found->ai_addr, found->ai_addrlen) != 0)
        fail("%s port %s could not be reached: %s", host, port, strerror(errno));
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    freeaddrinfo(found);
    return link;
}

static void put(struct link *link, const char *bytes, size_t count) {
    if (link->length + count > link->room) {
        link->room = 2 * (link->length + count);
        link->out = reserve(link->out, link->room);
    }
    memcpy(link->out + link->length, bytes, count);
    link->length += count;
}

static void put_head(struct link *link, char kind, size_t count) {
    char head[32];
    put(link, head, (size_t)snprintf(head, sizeof head, "%c%zu\r\n", kind, count));
}

static void put_word(struct link *link, const char *text) {
    size_t length = strlen(text);
    put_head(link, '$', length);
    put(link, text, length);
    put(link, "\r\n", 2);
}

static void put_command(struct link *link, const char *const *words, int count) {
    put_head(link, '*', (size_t)count);
    for (int i = 0; i < count; i++) put_word(link, words[i]);
}

static void flush(struct link *link) {
    for (size_t sent = 0; sent < link->length;) {
        ssize_t some = send(link->fd, link->out + sent, link->length - sent, 0);
        if (some <= 0) fail("the server takes nothing more: %s", strerror(errno));
        sent += (size_t)some;
    }
    link->length = 0;
}

static char next_byte(struct link *link) {
    if (link->at == link->end) {
        ssize_t some = recv(link->fd, link->in, READ_BYTES, 0);
        if (some <= 0) fail("the server closed the connection");
        link->at = 0;
        link->end = (size_t)some;
    }
    return link->in[link->at++];
}

/* Read the first line of a reply without its end, such as `*2` or `+OK`. */
static void read_line(struct link *link, word line) {
    size_t length = 0;
    for (char byte = next_byte(link); byte != '\r'; byte = next_byte(link))
        if (length < WORD_BYTES - 1) line[length++] = byte;
    line[length] = '\0';
    next_byte(link);
}

static long read_head(struct link *link, char kind) {
    word line;
    read_line(link, line);
    if (line[0] != kind) fail("expected a reply of kind %c, and got %s", kind, line);
    return strtol(line + 1, NULL, 10);
}

/* Read a string, of which so much is kept as fits. */
static void read_word(struct link *link, word text) {
    long left = read_head(link, '$') + 2, kept = 0;
    for (; left > 2 && kept < WORD_BYTES - 1; left--) text[kept++] = next_byte(link);
    text[kept] = '\0';
    while (left > 0) {
        next_byte(link);
        long here = (long)(link->end - link->at), skipped = here < left - 1 ? here : left - 1;
        link->at += (size_t)skipped;
        left -= skipped + 1;
    }
}

static char *place_of(struct entry *entry, const char *name) {
    if (strcmp(name, "request_id") == 0) return entry->request_id;
    if (strcmp(name, "entry_id") == 0) return entry->entry_id;
    if (strcmp(name, "reply_to") == 0) return entry->reply_to;
    return strcmp(name, "status") == 0 ? entry->status : NULL;
}

static void read_entry(struct link *link, struct entry *entry) {
    word name, ignored;
    entry->request_id[0] = entry->entry_id[0] = entry->reply_to[0] = entry->status[0] = '\0';
    read_head(link, '*');
    read_word(link, entry->id);
    for (long fields = read_head(link, '*') / 2; fields > 0; fields--) {
        read_word(link, name);
        char *place = place_of(entry, name);
        read_word(link, place ? place : ignored);
    }
}

/* Read the reply of XREAD or XREADGROUP up to its entries; return how many follow, 0 after a wait in vain. */
static long read_count(struct link *link) {
    word name;
    if (read_head(link, '*') <= 0) return 0;
    read_head(link, '*');
    read_word(link, name);
    return read_head(link, '*');
}

/* ---- the echo ---- */

static void join_group(struct link *link) {
    const char *words[] = {"XGROUP", "CREATE", REQUESTS, GROUP, "0", "MKSTREAM"};
    word line;
    put_command(link, words, COUNT_OF(words));
    flush(link);
    read_line(link, line);
    if (strcmp(line, "+OK") != 0 && strncmp(line, "-BUSYGROUP", 10) != 0) fail("no group: %s", line);
}

static void put_result(struct link *link, const struct entry *request, const char *ids) {
    char stream[sizeof RESULTS + 1 + WORD_BYTES] = RESULTS;
    if (request->reply_to[0]) snprintf(stream, sizeof stream, RESULTS ":%s", request->reply_to);
    const char *id = request->id, *name = request->request_id[0] ? request->request_id : id;
    const char *words[] = {"XADD", stream, "*", "request_id", name, "entry_id", id, "status", "ok", "chunk_ids", ids,
        "counts", "{\"conference\":5,\"documentary\":15,\"music\":17,\"voice\":27}", "weights_version", "859810e6014f",
        "weights_source", "redis", "catalog_version", "e5a218ee5170b11a"};
    put_command(link, words, COUNT_OF(words));
}

static void put_acknowledgement(struct link *link, word *ids, long count) {
    const char *words[3 + MOST_IN_BATCH] = {"XACK", REQUESTS, GROUP};
    for (long i = 0; i < count; i++) words[3 + i] = ids[i];
    put_command(link, words, (int)(3 + count));
}

/* Results, the acknowledgement and the next read go out in one write. */
static void echo(struct link *link, const char *ids) {
    const char *next[] = {"XREADGROUP", "GROUP", GROUP, "echo", "COUNT", BATCH, "BLOCK", "0", "STREAMS", REQUESTS, ">"};
    static word taken[MOST_IN_BATCH];
    struct entry request;
    word ignored;
    join_group(link);
    for (long count = 0;;) {
        put_command(link, next, COUNT_OF(next));
        flush(link);
        for (long i = 0; i < count; i++) read_word(link, ignored);
        if (count > 0) read_head(link, ':');
        count = read_count(link);
        for (long i = 0; i < count; i++) {
            read_entry(link, &request);
            memcpy(taken[i], request.id, WORD_BYTES);
            put_result(link, &request, ids);
        }
        if (count > 0) put_acknowledgement(link, taken, count);
    }
}

static char *ids_of(long bytes) {
    char *ids = reserve(NULL, (size_t)bytes + 1);
    memset(ids, '7', (size_t)bytes);
    ids[bytes] = '\0';
    return ids;
}

/* ---- the clients ---- */

/* A reply stream, and how far it was read. */
struct replies {
    char name[32];
    word stream, last;
};

static struct replies new_replies(void) {
    struct replies replies = {.last = "0"};
    snprintf(replies.name, sizeof replies.name, "bench-%ld", (long)getpid());
    snprintf(replies.stream, WORD_BYTES, RESULTS ":%s", replies.name);
    return replies;
}

static void put_read(struct link *link, const struct replies *replies) {
    const char *words[] = {"XREAD", "COUNT", "1000", "BLOCK", PATIENCE_MS, "STREAMS", replies->stream, replies->last};
    put_command(link, words, COUNT_OF(words));
}

static void read_result(struct link *link, struct replies *replies, struct entry *result) {
    read_entry(link, result);
    memcpy(replies->last, result->id, WORD_BYTES);
    if (strcmp(result->status, "ok") != 0) fail("a request got a result of status %s", result->status);
}

static long read_results_count(struct link *link) {
    long count = read_count(link);
    if (count == 0) fail("no result came for " PATIENCE_MS " ms");
    return count;
}

static void drop(struct link *link, const struct replies *replies) {
    const char *words[] = {"UNLINK", replies->stream};
    put_command(link, words, COUNT_OF(words));
    flush(link);
    read_head(link, ':');
}

static void print_all(const int64_t *latencies, long count) {
    for (long i = 0; i < count; i++) printf("%lld\n", (long long)latencies[i]);
}

static void ping(struct link *link, long count, int64_t *latencies) {
    const char *words[] = {"PING"};
    word line;
    for (long i = 0; i < count; i++) {
        int64_t began = now_ns();
        put_command(link, words, 1);
        flush(link);
        read_line(link, line);
        latencies[i] = now_ns() - began;
    }
    print_all(latencies, count);
}

static void request_one(struct link *link, const char *size, struct replies *replies) {
    const char *words[] = {"XADD", REQUESTS, "*", "size", size, "reply_to", replies->name};
    struct entry result = {.entry_id = ""};
    word id;
    put_command(link, words, COUNT_OF(words));
    flush(link);
    read_word(link, id);
    while (strcmp(result.entry_id, id) != 0) {
        put_read(link, replies);
        flush(link);
        for (long count = read_results_count(link); count > 0; count--) read_result(link, replies, &result);
    }
}

static void closed_loop(struct link *link, const char *size, long count, int64_t *latencies) {
    struct replies replies = new_replies();
    for (long i = 0; i < count; i++) {
        int64_t began = now_ns();
        request_one(link, size, &replies);
        latencies[i] = now_ns() - began;
    }
    drop(link, &replies);
    print_all(latencies, count);
}

/* An open loop under way. The request of number i, which is its request_id, is due `due[i]` ns after the start. */
struct loop {
    struct link *sender, *reader;
    struct replies replies;
    const char *size;
    long count, sent, accepted, answered;
    int64_t start, last_sent, last_answered, *due, *latencies;
};

static int64_t due_ns(const struct loop *loop, long number) {
    return loop->start + loop->due[number];
}

static void send_due(struct loop *loop) {
    word number;
    int64_t now = now_ns();
    const char *words[] = {
        "XADD", REQUESTS, "*", "size", loop->size, "reply_to", loop->replies.name, "request_id", number};
    long before = loop->sent;
    while (loop->sent < loop->count && loop->sent - before < MOST_IN_BURST && due_ns(loop, loop->sent) <= now) {
        snprintf(number, WORD_BYTES, "%ld", loop->sent++);
        put_command(loop->sender, words, COUNT_OF(words));
    }
    if (loop->sent == before) return;
    flush(loop->sender);
    loop->last_sent = now_ns();
}

/* Wait until a connection has something to read, or until the next request is due. */
static void wait_for(const struct loop *loop, fd_set *readable) {
    struct timespec wait = {.tv_sec = 30};
    if (loop->sent < loop->count) {
        int64_t left = due_ns(loop, loop->sent) - now_ns();
        if (left < 0) left = 0;
        wait.tv_sec = (time_t)(left / 1000000000);
        wait.tv_nsec = (long)(left % 1000000000);
    }
    int sender = loop->sender->fd, reader = loop->reader->fd;
    FD_ZERO(readable);
    FD_SET(sender, readable);
    FD_SET(reader, readable);
    if (pselect((sender > reader ? sender : reader) + 1, readable, NULL, NULL, &wait, NULL) < 0)
        fail("the wait for results failed: %s", strerror(errno));
}

static void take_acceptances(struct loop *loop) {
    word ignored;
    do {
        read_word(loop->sender, ignored);
        loop->accepted++;
    } while (loop->sender->at < loop->sender->end);
}

static void take_results(struct loop *loop) {
    struct entry result;
    long count = read_results_count(loop->reader);
    int64_t now = now_ns();
    for (loop->answered += count; count > 0; count--) {
        read_result(loop->reader, &loop->replies, &result);
        long number = strtol(result.request_id, NULL, 10);
        if (number < 0 || number >= loop->sent || loop->latencies[number] != 0) fail("result %ld is not due", number);
        loop->latencies[number] = now - due_ns(loop, number);
    }
    loop->last_answered = now;
    if (loop->answered == loop->count) return;
    put_read(loop->reader, &loop->replies);
    flush(loop->reader);
}

static void open_loop(struct loop *loop) {
    fd_set readable;
    put_read(loop->reader, &loop->replies);
    flush(loop->reader);
    loop->start = now_ns();
    while (loop->answered < loop->count || loop->accepted < loop->count) {
        send_due(loop);
        wait_for(loop, &readable);
        if (FD_ISSET(loop->sender->fd, &readable)) take_acceptances(loop);
        if (FD_ISSET(loop->reader->fd, &readable)) take_results(loop);
    }
    drop(loop->reader, &loop->replies);
    printf("%lld %lld\n", (long long)(loop->last_sent - loop->start), (long long)(loop->last_answered - loop->start));
    print_all(loop->latencies, loop->count);
}

/* A random number in (0, 1], by splitmix64 (Steele, Lea and Flood 2014). */
static double uniform(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)(((z ^ (z >> 31)) >> 11) + 1) / 9007199254740992.0;
}

/* Say when each request is due: after even gaps, or with a seed after gaps of an exponential distribution. */
static void plan(struct loop *loop, double gap_ns, const char *seed) {
    uint64_t state = seed != NULL ? strtoull(seed, NULL, 10) : 0;
    double due = 0;
    for (long i = 0; i < loop->count; i++) {
        loop->due[i] = (int64_t)due;
        due += seed != NULL ? -log(uniform(&state)) * gap_ns : gap_ns;
    }
}

static void run_open(char **words, const char *seed, const char *length) {
    double rate = strtod(words[3], NULL), seconds = strtod(length, NULL);
    struct loop loop = {.sender = connect_to(words[0], words[1]), .reader = connect_to(words[0], words[1])};
    if (!(rate > 0 && seconds > 0 && rate * seconds >= 1)) fail("RATE and SECONDS have to make at least one request");
    loop.replies = new_replies();
    loop.size = words[2];
    loop.count = (long)(rate * seconds);
    loop.due = reserve(NULL, (size_t)loop.count * sizeof *loop.due);
    plan(&loop, 1e9 / rate, seed);
    loop.latencies = reserve(NULL, (size_t)loop.count * sizeof *loop.latencies);
    memset(loop.latencies, 0, (size_t)loop.count * sizeof *loop.latencies);
#ifdef __linux__
    prctl(PR_SET_TIMERSLACK, 1000UL); /* by default a short sleep lasts 50 us longer */
#endif
    open_loop(&loop);
}

int main(int count, char **words) {
    const char *mode = count > 4 ? words[1] : "";
    long last = count > 4 ? strtol(words[count - 1], NULL, 10) : 0;
    signal(SIGPIPE, SIG_IGN); /* a server that went away is told of in a sentence */
    if (count == 7 && strcmp(mode, "open") == 0) {
        run_open(words + 2, NULL, words[6]);
        return 0;
    }
    if (count == 8 && strcmp(mode, "poisson") == 0) {
        run_open(words + 2, words[6], words[7]);
        return 0;
    }
    if (last < 1) fail("usage: latency echo|ping|closed|open|poisson HOST PORT ..., see the top of latency.c");
    struct link *link = connect_to(words[2], words[3]);
    int64_t *latencies = reserve(NULL, (size_t)last * sizeof *latencies);
    if (count == 5 && strcmp(mode, "echo") == 0) echo(link, ids_of(last));
    else if (count == 5 && strcmp(mode, "ping") == 0) ping(link, last, latencies);
    else if (count == 6 && strcmp(mode, "closed") == 0) closed_loop(link, words[4], last, latencies);
    else fail("usage: latency echo|ping|closed|open|poisson HOST PORT ..., see the top of latency.c");
    return 0;
}
