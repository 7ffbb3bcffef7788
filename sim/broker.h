/* The MQTT broker of a run: a mosquitto of its own on a free port of the loopback. It dies with the supervisor. */
#ifndef FLOSIM_SIM_BROKER_H
#define FLOSIM_SIM_BROKER_H

#include "sim/supervisor.h"

struct broker {
    struct process process;
    char *program, *config_path;
    int port;
};

/* Start it in `folder` (its configuration and log go there) and wait until it takes connections. ERR_SETUP with the
 * remedy where mosquitto is not installed or does not start. *out is good for broker_fini in any case. */
int broker_start(struct broker *out, struct supervisor *supervisor, const char *folder, struct error *err);
void broker_fini(struct broker *broker); /* the process is the supervisor's to end */

/* Is mosquitto there to be started? ERR_SETUP with the remedy. */
int broker_is_installed(struct error *err);

/* Is somebody there who takes connections? ERR_SETUP with the remedy. */
int broker_probe(const char *host, int port, struct error *err);

#endif
