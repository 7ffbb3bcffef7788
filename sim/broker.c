#include "sim/broker.h"

#include <pwd.h>
#include <unistd.h>

/* Without limits on queues: by default mosquitto drops adverts when a thousand clients speak at once. It stays the user
 * who called us, for a change of user would clear the signal that ends it when the supervisor dies. */
static void write_config(const struct server *server, FILE *out)
{
    const struct passwd *user = getpwuid(geteuid());

    fprintf(out,
            "listener %d 127.0.0.1\n"
            "allow_anonymous true\n"
            "persistence false\n"
            "max_queued_messages 0\n"
            "max_inflight_messages 0\n"
            "set_tcp_nodelay true\n"
            "sys_interval 0\n"
            "log_dest stderr\n"
            "log_type error\nlog_type warning\nlog_type notice\nlog_type information\n",
            server->port);
    if (geteuid() == 0 && user)
        fprintf(out, "user %s\n", user->pw_name);
}

const struct server_kind broker_kind = {
    .program = "mosquitto",
    .config_option = "-c",
    .remedy = "`apt-get install mosquitto`, or name a broker that runs with `broker: {host: ..., port: ...}`",
    .write_config = write_config,
};
