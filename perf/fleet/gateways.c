/* Many gateways that only say how they are: gateways PORT FIRST COUNT listens on 127.10.x.y:PORT for the gateways FIRST to FIRST+COUNT-1 and
   responds to every request with 200, as a Pushgateway's /-/healthy does. One process and one epoll for all of them. Commands on standard input:
     down I   it refuses connections and drops those that it has, as a process that has died
     fail I   it responds with 503
     up I     it is well again
   Each is confirmed with a line; the end of the input ends it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTENER, CONNECTION, COMMANDS };

struct source {
    int kind, fd;
    struct gateway *gateway;
    int seen; /* bytes of the blank line that ends a head */
    struct source *previous, *next;
};

struct gateway {
    int index, failing;
    struct source listener;
    struct source connections; /* head of the list */
};

static const char well[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nOK\n";
static const char ill[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nsick\n";
static int loop, port;

static void fail(const char *what)
{
    fprintf(stderr, "gateways: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(struct source *source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, source->fd, &event) < 0) fail("epoll_ctl");
}

static void start(struct gateway *gateway)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(0x7f0a0000u + ((unsigned)(gateway->index / 250) << 8) + 1 + gateway->index % 250);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0) fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail(inet_ntoa(address.sin_addr));
    if (listen(fd, 4096) < 0) fail("listen");
    gateway->listener = (struct source){.kind = LISTENER, .fd = fd, .gateway = gateway};
    watch(&gateway->listener);
}

static void end(struct source *connection)
{
    connection->previous->next = connection->next;
    connection->next->previous = connection->previous;
    close(connection->fd);
    free(connection);
}

static void stop(struct gateway *gateway)
{
    if (gateway->listener.fd < 0) return;
    close(gateway->listener.fd);
    gateway->listener.fd = -1;
    while (gateway->connections.next != &gateway->connections) end(gateway->connections.next);
}

static void accept_all(struct gateway *gateway)
{
    for (;;) {
        int fd = accept4(gateway->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        struct source *connection = calloc(1, sizeof *connection);
        if (!connection) fail("calloc");
        *connection = (struct source){.kind = CONNECTION, .fd = fd, .gateway = gateway, .previous = &gateway->connections, .next = gateway->connections.next};
        connection->next->previous = connection;
        gateway->connections.next = connection;
        watch(connection);
    }
}

static void respond(struct source *connection)
{
    char buffer[4096];
    for (;;) {
        ssize_t count = recv(connection->fd, buffer, sizeof buffer, 0);
        if (count < 0 && errno == EAGAIN) return;
        if (count <= 0) {
            end(connection);
            return;
        }
        for (ssize_t i = 0; i < count; i++) {
            char expected = connection->seen % 2 ? '\n' : '\r';
            connection->seen = buffer[i] == expected ? connection->seen + 1 : buffer[i] == '\r';
            if (connection->seen < 4) continue;
            connection->seen = 0;
            const char *text = connection->gateway->failing ? ill : well;
            if (send(connection->fd, text, strlen(text), MSG_NOSIGNAL) < 0) {
                end(connection);
                return;
            }
        }
    }
}

static void command(struct gateway *gateways, int first, int count)
{
    static char line[256];
    static size_t length;
    ssize_t got = read(0, line + length, sizeof line - 1 - length);
    if (got <= 0) exit(0);
    length += (size_t)got;
    line[length] = 0;
    for (char *newline; (newline = strchr(line, '\n'));) {
        char word[16];
        int index;
        if (sscanf(line, "%15s %d", word, &index) == 2 && index >= first && index < first + count) {
            struct gateway *gateway = &gateways[index - first];
            gateway->failing = !strcmp(word, "fail");
            if (!strcmp(word, "down")) stop(gateway);
            else if (gateway->listener.fd < 0) start(gateway);
        }
        puts("done");
        fflush(stdout);
        length -= (size_t)(newline + 1 - line);
        memmove(line, newline + 1, length + 1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: gateways PORT FIRST COUNT\n");
        return 2;
    }
    port = atoi(argv[1]);
    int first = atoi(argv[2]), count = atoi(argv[3]);
    loop = epoll_create1(EPOLL_CLOEXEC);
    if (loop < 0) fail("epoll_create1");
    struct gateway *gateways = calloc((size_t)count, sizeof *gateways);
    if (!gateways) fail("calloc");
    for (int i = 0; i < count; i++) {
        gateways[i].index = first + i;
        gateways[i].connections.previous = gateways[i].connections.next = &gateways[i].connections;
        start(&gateways[i]);
    }
    struct source commands = {.kind = COMMANDS, .fd = 0};
    watch(&commands);
    puts("ready");
    fflush(stdout);
    for (;;) {
        /* One at a time: an event may end the connection of another that is already in hand. */
        struct epoll_event event;
        int got = epoll_wait(loop, &event, 1, -1);
        if (got < 0 && errno != EINTR) fail("epoll_wait");
        if (got <= 0) continue;
        struct source *source = event.data.ptr;
        if (source->kind == COMMANDS) command(gateways, first, count);
        else if (source->kind == LISTENER) accept_all(source->gateway);
        else respond(source);
    }
}
