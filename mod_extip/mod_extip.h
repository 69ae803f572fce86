/*
 * mod_extip - what the files that use ProFTPD share
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * Where to begin. In the module, which is loaded into ProFTPD:
 *
 *   mod_extip     what ProFTPD calls        directives   ExtIP directives
 *   plan          what each server asks     helper       starts the helper
 *   shared        what stays over reloads   session      what a client is told
 *   ftpdctl       requests of operators     status       the replies to them
 *   check         listens while a probe     verdict      what follows from what
 *   check_run     tries from outside                     was seen
 *   router_conf   the router's directives   forward_*    ports, table, status
 *
 * In the program extip-helper:
 *
 *   extip-helper  its main loop             engine       when to ask, and why
 *   schedule      the time of a round       round        asks all sources
 *   source_*      a driver for each kind    kinds.h      the list of kinds
 *   vote          counts the answers        trial_*      has a probe try ports
 *   router        talks to the router       forward      what it is asked when
 *   gateway       which one that is         announce     what it tells
 *
 * In both:
 *
 *   task          the messages between      table        what is known, in
 *                 the two                                memory
 *   uri           ExtIPSource               table_file   the same in a file
 *   probe         ExtIPProbe                confine      drops privileges
 *   clock         time that has passed
 *
 * Words that are used in one sense only:
 *
 *   source     whom to ask and how: an ExtIPSource as it was parsed (uri.h)
 *   driver     what the sources of one kind have in common as code
 *   plan       what the daemon read from its configuration: which server takes
 *              its address from which discovery, if from any
 *   discovery  a set of sources with quorum, times and local address, and the
 *              one address that results; servers that ask alike share it
 *   tracker    the engine's side of a discovery: what it knows, when it asks
 *   round      each source of a discovery asked once
 *   query      one source asked in one round, with its answer
 *   vote       what an answer counts for; equal endpoints have one vote
 *   tally      the votes of a round, counted
 *   record     what the table holds of a discovery: the answer in use, and the
 *              status, which says how it was found
 *   forward    a port of the router that leads to one of this server
 *   early      a round before its time, for a reason other than the schedule
 */

#ifndef MOD_EXTIP_H
#define MOD_EXTIP_H

#include "conf.h"

#define MOD_EXTIP_VERSION "mod_extip/0.1"

extern module extip_module;

#endif
