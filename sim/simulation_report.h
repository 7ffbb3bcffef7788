/* What a run tells: its head, and at its end figures, expectations, junit.xml and the exit code. */
#ifndef FLOSIM_SIM_SIMULATION_REPORT_H
#define FLOSIM_SIM_SIMULATION_REPORT_H

#include "sim/simulation.h"

void simulation_report_begin(struct simulation *simulation);

/* All processes have ended. `run`: how the run itself went. Returns the exit code. */
int simulation_report_end(struct simulation *simulation, const struct error *run);

#endif
