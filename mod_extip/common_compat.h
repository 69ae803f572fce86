/*
 * common_compat.h - what differs between the releases of ProFTPD
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* ProFTPD 1.3.7 to 1.3.9 and its master. Include it after "conf.h". */

#ifndef COMMON_COMPAT_H
#define COMMON_COMPAT_H

#if PROFTPD_VERSION_NUMBER < 0x0001030700
#error "ProFTPD 1.3.7 or later is needed"
#endif

#if defined(PR_USE_CTRLS)
#include "mod_ctrls.h"

/* Before 1.3.9 an action returns 0 or -1. */
#if !defined(PR_CTRLS_STATUS_OK)
#define PR_CTRLS_STATUS_OK                0
#define PR_CTRLS_STATUS_GENERIC_ERROR     -1
#define PR_CTRLS_STATUS_ACCESS_DENIED     -1
#define PR_CTRLS_STATUS_WRONG_PARAMETERS  -1
#define PR_CTRLS_STATUS_SUBJECT_NOT_FOUND -1
#define PR_CTRLS_STATUS_OPERATION_DENIED  -1
#define PR_CTRLS_STATUS_OPERATION_IGNORED -1
#define PR_CTRLS_STATUS_INTERNAL_ERROR    -1
#endif
#endif

#endif
