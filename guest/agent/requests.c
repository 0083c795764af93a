// SPDX-License-Identifier: Apache-2.0
/*
 * Requests that lie in a file: a guest that nobody talks to while it runs does the same each time.
 * Its answers go over the port as ever, and when all are given the machine is reset.
 */
#include "agent.h"
#include "numbers.h"

/* include/uapi/linux/reboot.h (6.1) */
#define MAGIC1 0xfee1dead
#define MAGIC2 672274793
#define RESTART 0x01234567

static int answers_port = -1; /* -1: somebody talks */

/* Returns where requests come from: the file where there is one, which is then seen no more. */
int open_requests(int port)
{
	long fd = sys2(NR_open, REQUESTS_FILE, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return port;
	sys3(NR_unlinkat, 0, REQUESTS_FILE, 0);
	answers_port = port;
	return (int)fd;
}

/* What the port has taken and not yet sent would be lost. */
void end_requests(void)
{
	if (answers_port < 0)
		return;
	sys3(NR_ioctl, answers_port, TCSBRK, 1);
	sys3(NR_reboot, MAGIC1, MAGIC2, RESTART);
}
