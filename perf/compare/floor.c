// The least that a server can do per request on one core: epoll_wait, one recv, one send of a fixed 307. No parsing, no limits, no time
// outs: what the others are measured against, not something to run.
//
//   cc -O2 -o floor floor.c && ./floor PORT
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char reply[] =
    "HTTP/1.1 307 Temporary Redirect\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 0\r\n"
    "Location: http://127.0.0.1:9091/metrics/job/bench/instance/host-17\r\n\r\n";

static const char last_reply[] =
    "HTTP/1.1 307 Temporary Redirect\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: close\r\nContent-Length: 0\r\n"
    "Location: http://127.0.0.1:9091/metrics/job/bench/instance/host-17\r\n\r\n";

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("floor");
        return 1;
    }

    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[512];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    static char buffer[65536];
    for (;;) {
        int count = epoll_wait(epoll, events, 512, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    event.events = EPOLLIN;
                    event.data.fd = fd;
                    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
                }
                continue;
            }

            ssize_t length = recv(fd, buffer, sizeof buffer, 0);
            if (length <= 0) {
                close(fd);
                continue;
            }

            // "Connection: close" stands where the load generator puts it; looking for it is all the parsing there is.
            int last = memmem(buffer, length, "onnection: close", 16) != NULL;
            if (send(fd, last ? last_reply : reply, (last ? sizeof last_reply : sizeof reply) - 1, MSG_NOSIGNAL) < 0 || last) close(fd);
        }
    }
}
