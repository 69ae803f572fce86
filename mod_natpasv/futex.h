/*
 * mod_natpasv - sleeping on a word of shared memory
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_FUTEX_H
#define NATPASV_FUTEX_H

#include <stdatomic.h>
#include <stdint.h>

/* Sleeps until the word differs from what was seen, another process wakes this
 * one, a signal comes, or so many milliseconds have passed. */
void natpasv_futex_wait(_Atomic uint32_t *word, uint32_t seen, unsigned int ms);

/* The same, and natpasv_futex_interrupt() ends the sleep, also if it was called
 * before the sleep but after natpasv_futex_attend(). */
void natpasv_futex_nap(_Atomic uint32_t *word, uint32_t seen, unsigned int ms);
void natpasv_futex_attend(void);

/* To be called by a signal handler. */
void natpasv_futex_interrupt(void);

/* Wakes one of the processes that sleep on the word. */
void natpasv_futex_wake(_Atomic uint32_t *word);

/* Milliseconds since some fixed point, the same for all processes. */
uint64_t natpasv_now_ms(void);

#endif
