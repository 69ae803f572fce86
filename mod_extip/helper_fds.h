/*
 * mod_extip - the descriptors of a helper that is started by the daemon
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_HELPER_FDS_H
#define EXTIP_HELPER_FDS_H

#define EXTIP_HELPER_NAME "extip-helper"

/* The argument that distinguishes the daemon's helper from one that a person
 * starts. */
#define EXTIP_HELPER_SERVE "serve"

/* That of one that tries ports, see trial.h. */
#define EXTIP_HELPER_PROBE "probe"

/* The only descriptors besides the first three that it keeps. */
#define EXTIP_LINK_FD 3 /* messages to and from the daemon, see task.h */
#define EXTIP_WAKE_FD 4 /* datagrams of struct extip_wake */
#define EXTIP_LAST_FD EXTIP_WAKE_FD

#endif
