// The least that a Pushgateway can be: reads a push with its body and answers 200, on one port of 127.0.0.1, 127.0.0.2 and 127.0.0.3. What a
// proxy forwards to while it is measured, so that the target is never what is slow.
//
//   cc -O2 -o gateway gateway.c && ./gateway PORT
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTENERS 3
#define DESCRIPTORS 65536

static const char reply[] = "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n";

// What is known of the request that a connection is in: how much of the head came, and how much of its body is still to come.
struct connection {
    char head[4096];
    int length;
    long body;
};

static struct connection *connections[DESCRIPTORS];

static int listen_on(int host, int port) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + host)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096)) {
        perror("gateway");
        exit(1);
    }
    return fd;
}

// Takes what is there; 0 when the connection is done for. Bodies have a Content-Length here: both proxies keep the one of the load.
static int serve(int fd, struct connection *c) {
    static char skipped[1 << 18];
    if (c->body > 0) {
        ssize_t got = recv(fd, skipped, c->body < (long)sizeof skipped ? (size_t)c->body : sizeof skipped, 0);
        if (got <= 0) return 0;
        c->body -= got;
        return c->body > 0 || send(fd, reply, sizeof reply - 1, MSG_NOSIGNAL) > 0;
    }

    ssize_t got = recv(fd, c->head + c->length, sizeof c->head - 1 - c->length, 0);
    if (got <= 0) return 0;
    c->length += got;
    c->head[c->length] = 0;
    char *end = memmem(c->head, c->length, "\r\n\r\n", 4);
    if (!end) return c->length < (int)sizeof c->head - 1;
    char *field = strcasestr(c->head, "\r\nContent-Length:");
    if (!field || field > end) return 0;
    c->body = atol(field + 17) - (c->length - (end + 4 - c->head));
    c->length = 0;
    // Nobody pipelines here: what comes after the body of the length given would be another request.
    if (c->body < 0) return 0;
    return c->body > 0 || send(fd, reply, sizeof reply - 1, MSG_NOSIGNAL) > 0;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    int epoll = epoll_create1(EPOLL_CLOEXEC), first = 0;
    struct epoll_event event = {.events = EPOLLIN}, events[512];
    for (int i = 0; i < LISTENERS; i++) {
        event.data.fd = listen_on(i + 1, atoi(argv[1]));
        if (i == 0) first = event.data.fd;
        epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
    }

    for (;;) {
        int count = epoll_wait(epoll, events, 512, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd < first + LISTENERS) {
                while ((fd = accept4(events[i].data.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    if (fd >= DESCRIPTORS || !(connections[fd] = calloc(1, sizeof **connections))) {
                        close(fd);
                        continue;
                    }
                    event.data.fd = fd;
                    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
                }
            } else if (!serve(fd, connections[fd])) {
                free(connections[fd]);
                close(fd);
            }
        }
    }
}
