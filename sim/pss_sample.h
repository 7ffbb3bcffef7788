/* What memory a process costs: its proportional set size, from the kernel. */
#ifndef FLOSIM_SIM_PSS_SAMPLE_H
#define FLOSIM_SIM_PSS_SAMPLE_H

#include <stdint.h>
#include <sys/types.h>

/* KiB; 0 where it cannot be read (the process has ended, an old kernel). */
int64_t pss_sample_kb(pid_t pid);

#endif
