/* The process of the link (link.h): made before leader and clients, ended after them. The supervisor's thread. */
#ifndef FLOSIM_SIM_LINK_PROCESS_H
#define FLOSIM_SIM_LINK_PROCESS_H

#include "sim/simulation.h"

/* Opens its ports, tells each client's in its block, and forks it; the ports are its own then. Nothing where the
 * scenario needs none. The servers run already. */
int link_process_start(struct simulation *simulation, struct error *err);

/* Every fault of the network is over: so clients that cannot be reached can leave in peace. */
void link_process_heal(struct simulation *simulation);

void link_process_fini(struct simulation *simulation); /* it has ended */

/* The block of this client was changed: the link is to look at it. */
void link_changed(struct shared *shared, size_t client, int wake_fd);

#endif
