/* What Redis' error replies mean to us, and what to do about them. */
#include <stdio.h>
#include <string.h>

#include "state/store/redis.h"

struct refusal {
    const char *begins; /* the reply */
    int status;         /* ERR_UNAVAILABLE: may pass; ERR_SETUP: wants a person; ERR_CORRUPT: will never do */
    const char *meaning;
};

/* The first row that fits. */
static const struct refusal refusals[] = {
    {"LOADING", ERR_UNAVAILABLE, "it still loads its data"},
    {"OOM", ERR_UNAVAILABLE, "it is full: raise its maxmemory, or drop old sessions"},
    {"READONLY", ERR_UNAVAILABLE, "it is a replica: state.state_hostname and state_port must be the primary's"},
    {"MISCONF", ERR_UNAVAILABLE, "it cannot save to its disk: see its log"},
    {"NOREPLICAS", ERR_UNAVAILABLE, "it wants more replicas"},
    {"MASTERDOWN", ERR_UNAVAILABLE, "it is a replica that has lost its primary"},
    {"BUSY", ERR_UNAVAILABLE, "it is busy with a script"},
    {"ERR max number of clients", ERR_UNAVAILABLE, "it has too many clients: raise its maxclients"},
    {"WRONGPASS", ERR_SETUP, "wrong state_username or state_password_file"},
    {"ERR AUTH", ERR_SETUP, "wrong state_username or state_password_file: it has no password"},
    {"ERR invalid password", ERR_SETUP, "wrong state_username or state_password_file"},
    {"NOAUTH", ERR_SETUP, "it wants a password: set state.state_password_file"},
    {"NOPERM", ERR_SETUP, "state_username lacks a right"},
    {"ERR DB index", ERR_SETUP, "it has no such database (state.state_db)"},
    {"CLUSTERDOWN", ERR_SETUP, "a Redis Cluster cannot keep the state: its transactions need one server"},
    {"MOVED", ERR_SETUP, "a Redis Cluster cannot keep the state: its transactions need one server"},
    {"CROSSSLOT", ERR_SETUP, "a Redis Cluster cannot keep the state: its transactions need one server"},
    {"WRONGTYPE", ERR_CORRUPT,
     "something else lies under a key of the state: remove it, or set state.state_db to a database of its own"},
    {"", ERR_CORRUPT, "it refuses what is asked of it"},
};

int redis_refused(struct redis *self, const char *reply, struct error *err)
{
    const struct refusal *refusal = refusals;
    char why[400];

    while (strncmp(reply, refusal->begins, strlen(refusal->begins)) != 0)
        refusal++;
    snprintf(why, sizeof why, "%s (%.200s)", refusal->meaning, reply);
    return redis_lost(self, refusal->status, why, err); /* it may be in the middle of a transaction */
}
