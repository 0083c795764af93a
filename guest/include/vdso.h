/* SPDX-License-Identifier: Apache-2.0 */
/* Looking a function up in the vDSO, as a C library does. */
#ifndef VDSO_H
#define VDSO_H

#include "guest.h"

#define AT_SYSINFO 32
#define AT_SYSINFO_EHDR 33

/* The address of a symbol of a version; 0 where the image at `base` has none, or `base` is 0. */
uptr find_in_vdso(uptr base, const char *name, const char *version);

#endif
