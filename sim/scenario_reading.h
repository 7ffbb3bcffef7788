/* Between the files that read a scenario. */
#ifndef FLOSIM_SIM_SCENARIO_READING_H
#define FLOSIM_SIM_SCENARIO_READING_H

#include "sim/scenario.h"

struct scenario_reading {
    struct scenario *scenario;
    struct yaml_node root;
    const char *const *session_overrides; /* for the session file; or NULL */
    struct diags *diags;
};

/* Where a top-level key stands; of the whole file where it is absent. */
struct diag_place scenario_place(const struct scenario_reading *r, const char *key);

/* The session, from `session` or `session_file`: read, completed from the rest of the scenario, checked. */
void scenario_read_session(const struct scenario_reading *r);

#endif
