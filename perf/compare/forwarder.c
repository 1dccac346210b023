// The least that a forwarder can do per push on one core: epoll_wait, recv, send, epoll_wait, recv, send, with one gateway connection per client.
// No parsing, no limits, no timeouts: what the forward listener is measured against, not something to run.
//
//   cc -O2 -o forwarder forwarder.c && ./forwarder PORT GATEWAY_PORT
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define DESCRIPTORS 65536

// The other half of each connection; 0 without one.
static int peers[DESCRIPTORS];

static int stream(void) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    int listener = stream();
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in gateway = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("forwarder");
        return 1;
    }

    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[512];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    static char buffer[1 << 18];
    for (;;) {
        int count = epoll_wait(epoll, events, 512, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC), upstream = stream();
                if (client < 0 || upstream < 0 || client >= DESCRIPTORS || upstream >= DESCRIPTORS
                    || connect(upstream, (struct sockaddr *)&gateway, sizeof gateway)) {
                    perror("forwarder");
                    return 1;
                }
                peers[client] = upstream;
                peers[upstream] = client;
                event.events = EPOLLIN;
                event.data.fd = client;
                epoll_ctl(epoll, EPOLL_CTL_ADD, client, &event);
                event.data.fd = upstream;
                epoll_ctl(epoll, EPOLL_CTL_ADD, upstream, &event);
                continue;
            }

            if (!peers[fd]) continue;
            ssize_t length = recv(fd, buffer, sizeof buffer, 0);
            if (length > 0 && send(peers[fd], buffer, length, MSG_NOSIGNAL) == length) continue;
            close(fd);
            close(peers[fd]);
            peers[peers[fd]] = 0;
            peers[fd] = 0;
        }
    }
}
