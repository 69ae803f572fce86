/* Prints what mod_extip makes of a configuration, for t/extip-plan.t: a line
 * for each server, and one for each answer that is to be found. */

#include "../../mod_extip/plan.c"
#include "../../mod_extip/log.c"
#include "../../mod_extip/table.c"
#include "../../mod_extip/vote.c"

#include <arpa/inet.h>

extern module extip_plan_module;
extern xaset_t *server_list;

static void print_discovery(const struct extip_discovery *discovery) {
  char bind[INET_ADDRSTRLEN];

  printf("discovery '%s': quorum %u, refresh %u %u, timeout %u, bind %s, ca %s%s:",
    discovery->label, discovery->quorum, discovery->refresh, discovery->retry,
    discovery->timeout,
    inet_ntop(AF_INET, &discovery->bind, bind, sizeof(bind)),
    *discovery->ca_file != '\0' ? discovery->ca_file : "-",
    discovery->allow_reserved ? ", reserved" : "");
  for (size_t i = 0; i < discovery->source_count; i++) {
    printf(" %s", discovery->sources[i]->text);
  }
  printf("\n");
}

static void print_plan(const void *event_data, void *user_data) {
  char reason[256];
  struct extip_plan *plan = extip_plan_make(
    main_server->pool, server_list, reason, sizeof(reason));

  (void) event_data;
  (void) user_data;
  for (size_t i = 0; i < plan->vhost_count; i++) {
    const struct extip_vhost *vhost = &plan->vhosts[i];

    printf("server '%s': %s%s, age %u: %s%s\n", vhost->server->ServerName,
      vhost->engine ? "on" : "off", vhost->announce_to_all ? ", to all" : "",
      vhost->max_age, vhost->discovery != NULL ? vhost->discovery->label : "-",
      extip_plan_find(plan, vhost->server) == vhost ? "" : " not found");
  }

  for (size_t i = 0; i < plan->discovery_count; i++) {
    print_discovery(&plan->discoveries[i]);
  }
  printf("%s\n", extip_plan_find(NULL, main_server) == NULL &&
      extip_plan_find(plan, NULL) == NULL ? "end" : "found what is not there");
  fflush(stdout);
}

static int extip_plan_init(void) {
  pr_event_register(&extip_plan_module, "core.postparse", print_plan, NULL);
  return 0;
}

static int extip_plan_sess_init(void) {
  return 0;
}

__attribute__((visibility("default"))) module extip_plan_module = {
  NULL,
  NULL,
  0x20,
  "extip_plan",
  NULL,
  NULL,
  NULL,
  extip_plan_init,
  extip_plan_sess_init,
  "mod_extip_plan",
  NULL,
  0,
};
