/* The MQTT broker of a run: a mosquitto of its own. */
#ifndef FLOSIM_SIM_BROKER_H
#define FLOSIM_SIM_BROKER_H

#include "sim/server.h"

extern const struct server_kind broker_kind;

#endif
