/* A server program that a run brings along, on a port of its own of the loopback: the broker, the state store. It is
 * watched like any process of the run, can be started again on the same port, and dies with the supervisor. The
 * supervisor's thread only. */
#ifndef FLOSIM_SIM_SERVER_H
#define FLOSIM_SIM_SERVER_H

#include <stdio.h>

#include "sim/supervisor.h"

struct server;

struct server_kind {
    const char *program;       /* "mosquitto" */
    const char *config_option; /* that the name of its configuration file follows; NULL: the name stands alone */
    const char *remedy;        /* where it is not installed: what to do */
    void (*write_config)(const struct server *server, FILE *out);
    /* Whoever is connected through `fd` (which gives up reading soon): is he served? NULL: who is let in is served. */
    bool (*serves)(int fd);
};

struct server {
    const struct server_kind *kind;
    struct process process;
    struct supervisor *supervisor;
    char *program, *config_path;
    char *folder; /* for its data */
    int port;
    int port_fd;  /* keeps the port ours while the server is dead */
    bool is_open; /* takes connections, as far as we know */
    struct supervisor_timer door;
    void (*opened)(void *context); /* after server_start_again; may be NULL */
    void *context;
};

/* Start it and wait until it takes connections. Its configuration and log go to `logs`, its data to `folder`, which is
 * made. ERR_SETUP with the remedy where it is not installed or does not start. *out is good for server_fini in any
 * case, and so is one that is all zeros. */
int server_start(struct server *out, const struct server_kind *kind, struct supervisor *supervisor, const char *logs,
                 const char *folder, struct error *err);
void server_fini(struct server *server); /* the process is the supervisor's to end */

/* Start one that has ended, with its data and on its port, and do not wait: `is_open` turns true, and `opened` is
 * called, when it takes connections. */
int server_start_again(struct server *server, struct error *err);

/* Its process has ended. */
void server_has_ended(struct server *server);

/* Is the program there to be started? ERR_SETUP with the remedy. */
int server_is_installed(const struct server_kind *kind, struct error *err);

/* Does somebody take connections there? ERR_SETUP with the remedy; `key` is the scenario's ("broker"). */
int server_probe(const char *key, const char *host, int port, struct error *err);

#endif
