/* What people and events.jsonl are told of faults. */
#ifndef FLOSIM_SIM_FAULT_TELL_H
#define FLOSIM_SIM_FAULT_TELL_H

#include "sim/fault_strike.h"

/* One event about one victim. */
void fault_tell_event(const struct strike *strike, const char *event, const struct strike_victim *victim);

/* It begins: a line with whom it strikes, and a warning where those are fewer than were asked for. */
void fault_tell_begin(const struct strike *strike);

/* Its round went by without it: it is late. */
void fault_tell_late(const struct strike *strike);

#endif
