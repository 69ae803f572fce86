/*
 * mod_extip - asks one source for a person, who runs the helper by hand
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_ASK_H
#define EXTIP_ASK_H

/* ARGV is a URI and its options, as in ExtIPSource. Prints the answer; returns
 * the exit status of the program. */
int extip_ask(int argc, char **argv);

#endif
