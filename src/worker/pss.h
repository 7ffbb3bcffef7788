/* Memory that this process really costs. Any thread. */
#ifndef FLOSIM_WORKER_PSS_H
#define FLOSIM_WORKER_PSS_H

/* The proportional set size in KiB, from /proc/self/smaps_rollup; 0 where the kernel does not tell. */
long pss_read_kb(void);

#endif
