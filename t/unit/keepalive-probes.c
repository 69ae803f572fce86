/*
 * keepalive-probes.c - what the kernel is asked for on the control connection,
 * in each state of a session, and that it is as before afterwards.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_keepalive/probes.c"
#include "../../mod_keepalive/sockopt.c"
#include "keepalive-probed.h"
#include "tap.h"

#include <stdlib.h>

static int control = -1;
static unsigned int traced = 0;

int keepalive_control_fd(void) {
  return control;
}

int pr_trace_msg(const char *channel, int level, const char *fmt, ...) {
  (void) channel;
  (void) level;
  (void) fmt;
  traced++;
  return 0;
}

int main(void) {
  static const struct keepalive_sockopts odd = { { 1234, 56, 7, 8901, 0 } };
  struct keepalive_sockopts fresh;
  int data = socket(AF_INET, SOCK_STREAM, 0), fds[2];

  control = socket(AF_INET, SOCK_STREAM, 0);
  (void) keepalive_sockopts_get(control, &fresh);
  (void) keepalive_sockopts_change(control, &fresh, &odd);

  keepalive_probes_idle(60, 0);
  is_probed(
    control, "1234 56 7 8901 0", "before the start nothing is asked for");

  is_int(keepalive_probes_start(), 0, "it starts");
  is_probed(control, "1234 56 7 8901 0", "... and changes nothing by itself");
  keepalive_probes_idle(60, 0);
  is_probed(control, "60 60 15 8901 1",
    "between commands without a deadline: for a quarter of an hour");
  keepalive_probes_idle(60, 300);
  is_probed(control, "60 48 5 299500 1", "with one: until then");
  keepalive_probes_idle(200, 0);
  is_probed(
    control, "200 200 9 8901 1", "at least nine, and no deadline any more");

  keepalive_probes_idle(53, 0);
  is_probed(control, "53 53 16 8901 1", "... never for longer than that");

  keepalive_probes_transfer(10, 0);
  is_probed(
    control, "10 10 90 8901 1", "in a transfer: for a quarter of an hour");
  keepalive_probes_transfer(10, 720);
  is_probed(control, "10 10 90 8901 1", "... also with a deadline before that");
  keepalive_probes_transfer(10, 1600);
  is_probed(control, "10 16 125 8901 1",
    "a longer one: a quarter more, in no more than 127 probes");
  keepalive_probes_transfer(10, 1626);
  is_probed(control, "10 17 119 8901 1", "... exactly 127 seconds times 16");
  keepalive_probes_transfer(20, 1600);
  is_probed(
    control, "20 20 100 8901 1", "... and not more often than the interval");

  keepalive_probes_measure(7);
  is_probed(
    control, "7 1 127 8901 1", "to measure: one each second without an answer");
  keepalive_probes_pause();
  is_probed(control, "7 1 127 8901 0", "a pause: none");

  keepalive_probes_data(data, 30, 0);
  is_probed(
    data, "30 30 30 0 1", "the data connection has those of a transfer");
  is_probed(
    control, "7 1 127 8901 0", "... and the control connection its own");

  keepalive_probes_stop();
  is_probed(
    control, "1234 56 7 8901 0", "after the stop all is as before the start");
  keepalive_probes_idle(60, 0);
  is_probed(control, "1234 56 7 8901 0", "... and stays so");
  is_int(traced, 0, "the kernel has refused nothing");

  (void) keepalive_probes_start();
  keepalive_probes_idle(40000, 0);
  is_int(traced, 1, "what the kernel refuses is traced");
  keepalive_probes_stop();

  (void) keepalive_probes_start();
  keepalive_probes_idle(60, 0);
  data = control;
  control = -1;
  keepalive_probes_stop();
  is_probed(data, "60 60 15 8901 1", "a connection that is gone is left alone");

  is_int(traced, 1, "... and nothing is said of it");

  control = data;
  (void) dup2(control, STDIN_FILENO); /* as inetd has it */
  control = STDIN_FILENO;
  (void) keepalive_probes_start();
  keepalive_probes_pause();
  is_probed(control, "60 60 15 8901 0",
    "a pause at once changes nothing else, also on descriptor 0");
  keepalive_probes_stop();
  is_probed(control, "60 60 15 8901 1", "... and ends");

  (void) !pipe(fds);
  control = fds[0];
  is_int(
    keepalive_probes_start(), -1, "what is no TCP connection has no probes");
  return done_testing();
}
