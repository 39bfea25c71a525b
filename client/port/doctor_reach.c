/* The way to the server below TLS: its name, and whether anything listens there. */
#include "client/port/doctor_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_MS 5000 /* for each address */
#define HOST_SIZE  256
#define PORT_SIZE  8

/* Host and port of https://HOST[:PORT]; 0 when they do not fit or there are none. */
static int split_url(const char *url, char host[HOST_SIZE], char port[PORT_SIZE])
{
    const char *from = strncmp(url, "https://", 8) ? "" : url + 8, *rest;
    size_t size = strcspn(from, ":/");

    if (*from == '[') {
        size = strcspn(++from, "]");
        rest = from + size + (from[size] == ']');
    } else {
        rest = from + size;
    }
    if (!size || size >= HOST_SIZE)
        return 0;
    snprintf(host, HOST_SIZE, "%.*s", (int)size, from);
    size = *rest == ':' ? strspn(++rest, "0123456789") : 0;
    if (size >= PORT_SIZE || (rest[size] && strcmp(rest + size, "/") != 0) || (!size && rest[-1] == ':'))
        return 0;
    snprintf(port, PORT_SIZE, "%.*s", size ? (int)size : 3, size ? rest : "443");
    return 1;
}

/* 0, or an errno. */
static int try_address(const struct addrinfo *address)
{
    int failure = 0;
    socklen_t size = sizeof failure;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    if (connect(fd, address->ai_addr, address->ai_addrlen)) {
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        failure = errno;
        if (failure == EINPROGRESS && poll(&ready, 1, CONNECT_MS) == 0)
            failure = ETIMEDOUT;
        else if (failure == EINPROGRESS && getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size))
            failure = errno;
    }
    close(fd);
    return failure;
}

static void say_failure(struct fl_doctor *doctor, const char *host, const char *port, const char *address,
                        int failure)
{
    fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "connection", "%s port %s (%s): %s", host, port,
                   address, strerror(failure));
    if (failure == ECONNREFUSED)
        fl_finding_fix(
            doctor->findings,
            "nothing listens there: is server.url right? On the server: systemctl start fl-server, then "
            "fl-server doctor --config /var/lib/residue/server.yaml");
    else
        fl_finding_fix(
            doctor->findings,
            "a network or a firewall is in the way, or the machine is down: ping %s; ip route get %s; "
            "on the server let TCP port %s in",
            host, address, port);
}

/* libcurl goes through the proxy that these name; its address may hold a password and is not shown. */
static int has_proxy(struct fl_doctor *doctor, const char *host)
{
    static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (!value || !value[0])
            continue;
        fl_finding_add(
            doctor->findings, FL_OUTCOME_NOTE, "proxy",
            "the environment has %s: unless no_proxy names %s, requests go through that proxy, which "
            "must pass TLS through as it is",
            names[i], host);
        fl_finding_fix(doctor->findings, "to go without: export no_proxy=%s", host);
        return 1;
    }
    return 0;
}

int fl_doctor_check_reach(struct fl_doctor *doctor)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char host[HOST_SIZE], port[PORT_SIZE], address[HOST_SIZE] = "";
    int failure = 0;

    if (!split_url(doctor->config->server_url, host, port)) {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "server", "%s is no https://HOST:PORT",
                       doctor->config->server_url);
        fl_finding_fix(doctor->findings, "set server.url, for example: https://fl.example.org:8443");
        return 0;
    }
    if (has_proxy(doctor, host))
        return 1;
    int code = getaddrinfo(host, port, &hints, &found);
    if (code) {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "name", "%s: %s", host,
                       code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code));
        fl_finding_fix(doctor->findings,
                       "look it up: getent hosts %s; if it is misspelt, correct server.url; if names are not "
                       "resolved at "
                       "all: resolvectl status, /etc/resolv.conf",
                       host);
        return 0;
    }
    for (const struct addrinfo *at = found; at; at = at->ai_next) {
        failure = try_address(at);
        if (getnameinfo(at->ai_addr, at->ai_addrlen, address, sizeof address, NULL, 0, NI_NUMERICHOST))
            address[0] = 0;
        if (!failure)
            break;
    }
    freeaddrinfo(found);
    if (failure)
        say_failure(doctor, host, port, address, failure);
    else
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "connection", "%s port %s (%s) takes connections",
                       host, port, address);
    return !failure;
}
