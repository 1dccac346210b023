/*
 * What Linux itself loses when one of two SO_REUSEPORT listeners closes under load, without our server: docs/decisions/0008.
 *
 *   cc -O2 -pthread -o /tmp/closing_listener tests/faults/closing_listener.c
 *   unshare -n sh -c 'ip link set lo up; sysctl -qw net.ipv4.tcp_migrate_req=1; /tmp/closing_listener plain 15; nstat -az | grep Migrate'
 *
 * plain: accept what waits, close. leave: what ReusePortGroup.cs does, with 5 ms of grace. Clients connect, send a byte, want one back.
 * Prints how many closes there were and how the exchanges ended. Loopback only.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_DETACH_REUSEPORT_BPF
#define SO_DETACH_REUSEPORT_BPF 68
#endif

static volatile int running = 1;
static struct sockaddr_in address = {.sin_family = AF_INET};
static long answered, reset, failed, late;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void must(int ok, const char *what)
{
    if (ok) return;
    perror(what);
    exit(1);
}

static int open_listener(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    must(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) == 0, "SO_REUSEPORT");
    must(bind(fd, (void *)&address, sizeof address) == 0, "bind");
    must(listen(fd, 4096) == 0, "listen");
    socklen_t length = sizeof address;
    must(getsockname(fd, (void *)&address, &length) == 0, "getsockname");
    return fd;
}

static void serve(int fd)
{
    char byte;
    for (int client; (client = accept(fd, NULL, NULL)) >= 0; close(client))
        if (recv(client, &byte, 1, 0) == 1) (void)!send(client, &byte, 1, MSG_NOSIGNAL);
}

static void serve_for(double seconds, int first, int second)
{
    for (double end = now() + seconds; now() < end; serve(second)) serve(first);
}

static void *ask(void *unused)
{
    for (; running;) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        struct linger no_time_wait = {1, 0};
        char byte = 1;
        double start = now();
        int ok = connect(fd, (void *)&address, sizeof address) == 0 && send(fd, &byte, 1, MSG_NOSIGNAL) == 1 && recv(fd, &byte, 1, 0) == 1;
        __sync_fetch_and_add(ok ? &answered : errno == ECONNRESET ? &reset : &failed, 1);
        if (now() - start > 0.5) __sync_fetch_and_add(&late, 1);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &no_time_wait, sizeof no_time_wait);
        close(fd);
    }
    return unused;
}

static void attach(int fd, int option, struct sock_filter *program, int length)
{
    struct sock_fprog reference = {length, program};
    must(setsockopt(fd, SOL_SOCKET, option, &reference, sizeof reference) == 0, "setsockopt");
}

int main(int count, char **arguments)
{
    if (count != 3) return fprintf(stderr, "usage: %s plain|leave SECONDS\n", arguments[0]), 2;
    int leave = strcmp(arguments[1], "leave") == 0, zero = 0;
    struct sock_filter second[] = {{BPF_RET | BPF_K, 0, 0, 1}};
    struct sock_filter no_syn[] = {
        {BPF_LD | BPF_B | BPF_ABS, 0, 0, 13}, {BPF_JMP | BPF_JSET | BPF_K, 0, 1, 2}, {BPF_RET | BPF_K, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, -1}};
    long closes = 0;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int old = open_listener();
    pthread_t client;
    for (int i = 0; i < 4; i++) must(pthread_create(&client, NULL, ask, NULL) == 0, "thread");
    for (double end = now() + atof(arguments[2]); now() < end; closes++) {
        int successor = open_listener();
        serve_for(0.004, old, successor);
        if (leave) {
            attach(old, SO_ATTACH_REUSEPORT_CBPF, second, 1);
            serve_for(0.005, old, successor);
            attach(old, SO_ATTACH_FILTER, no_syn, 4);
            serve_for(0.005, old, successor);
        }
        serve(old);
        if (leave) setsockopt(old, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &zero, sizeof zero);
        close(old);
        old = successor;
    }
    running = 0;
    serve_for(1.5, old, old);
    printf("%s: %ld closes, %ld answered, %ld reset, %ld failed otherwise, %ld took over 0.5 s\n", arguments[1], closes, answered, reset, failed, late);
}
