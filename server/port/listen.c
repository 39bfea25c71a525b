#include "server/port/listen.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 512

static uint16_t port_of(int fd)
{
    struct sockaddr_storage at;
    socklen_t size = sizeof(at);
    if (getsockname(fd, (struct sockaddr *)&at, &size))
        return 0;
    if (at.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&at)->sin6_port);
    return ntohs(((struct sockaddr_in *)&at)->sin_port);
}

enum fl_status fl_listen_tcp(const char *address, uint16_t port, int *ret_fd, uint16_t *ret_port,
                             struct fl_error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *found = NULL;
    char service[8];
    int on = 1, fd = -1;
    enum fl_status st = FL_OK;

    snprintf(service, sizeof(service), "%u", port);
    if (getaddrinfo(address, service, &hints, &found))
        return fl_error_set(err, FL_ERR_CONFIG, "listen.address: %s is not an IPv4 or IPv6 address", address);
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        bind(fd, found->ai_addr, found->ai_addrlen) || listen(fd, BACKLOG)) {
        st = fl_error_set(err, FL_ERR_IO, "cannot listen on %s port %u: %m", address, port);
        goto out;
    }
    *ret_port = port_of(fd);
    *ret_fd = fd;
    fd = -1;
out:
    if (fd >= 0)
        close(fd);
    freeaddrinfo(found);
    return st;
}

enum fl_status fl_listen_unix(const char *path, int *ret_fd, struct fl_error *err)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(at.sun_path))
        return fl_error_set(err, FL_ERR_LIMIT,
                            "%s: the path of a socket may have %zu bytes; use a shorter folder", path,
                            sizeof(at.sun_path) - 1);
    memcpy(at.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(path);
    mode_t before = umask(0177);
    int failed = fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, BACKLOG);
    umask(before);
    if (failed) {
        enum fl_status st = fl_error_set(err, FL_ERR_IO, "%s: cannot listen: %m", path);
        if (fd >= 0)
            close(fd);
        return st;
    }
    *ret_fd = fd;
    return FL_OK;
}
